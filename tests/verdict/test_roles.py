from __future__ import annotations

import pytest

from unipelt_search.records.results import AblationRow
from unipelt_search.verdict.roles import Role, role_of


@pytest.mark.parametrize(
    ("drop", "role"),
    [(0.31, "carries"), (0.29, "helps"), (0.05, "helps"), (0.04, "idle"), (-0.04, "idle"), (-0.05, "hurts")],
)
def test_a_submodule_is_judged_by_its_drop_its_error_and_the_floor(drop: float, role: Role) -> None:
    row = AblationRow(submodule="lora", layer=None, value=0.8 - drop, drop=drop, error=0.02)
    assert role_of(row, floor=0.2) == role


def test_a_single_layer_and_an_unsure_drop_have_no_role() -> None:
    row = AblationRow(submodule="lora", layer=None, value=0.5, drop=0.3)
    assert role_of(row, 0.2) is None
    assert role_of(row.model_copy(update={"layer": 0, "error": 0.01}), 0.2) is None


def test_nothing_that_changes_nothing_is_idle() -> None:
    assert role_of(AblationRow(submodule="lora", layer=None, value=0.8, drop=0.0, error=0.0), 0.2) == "idle"

from __future__ import annotations

import pytest

from unipelt_search.search.asked_ablation import asked_ablation
from unipelt_search.specs.study import SpaceSpec


@pytest.mark.parametrize(
    ("edition", "method", "asked", "passes"),
    [
        (1, "head", False, 0),
        (1, "lora", False, 8),
        (1, "unipelt_apl", False, 22),
        (2, "lora", True, 0),
        (2, "fine_tuning", True, 0),
        (2, "unipelt_apl", False, 4),
        (2, "unipelt_apl", True, 22),
    ],
)
def test_passes_of_an_ablation_on_six_layers(edition: int, method: str, asked: bool, passes: int) -> None:
    assert asked_ablation(method, SpaceSpec(ablate_layers=asked), edition).passes(6) == passes

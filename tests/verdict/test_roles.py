from __future__ import annotations

import numpy as np
import pytest
from made_record import made_record, with_labels

from unipelt_search.records.results import AblationRow
from unipelt_search.verdict.roles import AblationScale, Role, Worth, ablation_scale, worth_of

SCALE = AblationScale(floor=0.2, margin=0.01)
AREAS = {"select": {"roc_auc": 0.5}}


def removal(drop: float, error: float | None, layer: int | None = None) -> AblationRow:
    return AblationRow(submodule="lora", layer=layer, value=0.8 - drop, drop=drop, error=error)


@pytest.mark.parametrize(
    ("drop", "role"),
    [(0.31, "carries"), (0.29, "helps"), (0.05, "helps"), (0.04, None), (-0.04, None), (-0.05, "hurts")],
)
def test_a_submodule_is_judged_by_its_drop_its_error_and_the_floor(drop: float, role: Role | None) -> None:
    assert worth_of(removal(drop, 0.02), SCALE).role == role


@pytest.mark.parametrize(
    ("drop", "error", "role"),
    [(0.0, 0.005, "idle"), (0.004, 0.003, "idle"), (-0.004, 0.003, "idle"), (0.0, 0.0051, None), (0.005, 0.003, None)],
)
def test_idle_needs_the_whole_interval_within_the_margin(drop: float, error: float, role: Role | None) -> None:
    assert worth_of(removal(drop, error), SCALE).role == role


def test_what_was_not_seen_says_what_could_have_been_seen() -> None:
    found = worth_of(removal(-0.03, 0.02), SCALE)
    assert found.role is None
    # A true change of this size is estimated beyond two standard errors in four studies of five.
    random = np.random.default_rng(0)
    assert found.detectable is not None
    estimates = random.normal(found.detectable, 0.02, 100_000)
    assert (estimates > 0.04).mean() == pytest.approx(0.8, abs=0.01)


def test_a_single_layer_and_an_unsure_drop_are_not_judged() -> None:
    assert worth_of(removal(0.3, None), SCALE) == Worth()
    assert worth_of(removal(0.3, 0.01, layer=0), SCALE) == Worth()


def test_predictions_that_did_not_change_show_only_as_much_as_there_are_rows() -> None:
    task = made_record().task
    same = removal(0.0, 0.0)
    few = ablation_scale(task)
    assert (few.floor, few.margin, few.unseen) == (0.25, 0.01, 3 / 200)
    assert worth_of(same, few) == Worth(detectable=3 / 200)
    many = ablation_scale(task.model_copy(update={"rows": {**task.rows, "select": 900}}))
    assert (many.unseen, worth_of(same, many).role) == (3 / 500, "idle")
    folds = ablation_scale(task.model_copy(update={"folds": 5, "rows": {**task.rows, "select": 900}}))
    assert folds.unseen == 3 / 180
    # A number that is predicted changes with the smallest change of a model.
    numbers = with_labels(made_record(), (), kind="regression", metric="spearman").task
    assert worth_of(same, ablation_scale(numbers)).role == "idle"


def test_the_margin_of_an_error_is_a_share_of_the_constant_predictions() -> None:
    changes = {"kind": "regression", "metric": "mae", "direction": "minimize", "majority": {"select": {"mae": 3.0}}}
    task = with_labels(made_record(), (), **changes).task
    scale = ablation_scale(task)
    assert (scale.margin, scale.unseen, scale.sign) == (pytest.approx(0.03), 0.0, -1)


@pytest.mark.parametrize(("without", "role"), [(1.1, "helps"), (2.2, "carries"), (0.9, "hurts"), (1.001, "idle")])
def test_what_a_submodule_is_worth_is_seen_where_lower_is_better(without: float, role: Role) -> None:
    scale = AblationScale(floor=3.0, margin=0.03, sign=-1)
    # The whole model has an error of 1.0, the constant prediction one of 3.0.
    row = AblationRow(submodule="lora", layer=None, value=without, drop=without - 1.0, error=0.01)
    assert worth_of(row, scale).role == role


def test_a_probability_changes_with_the_smallest_change_of_a_model() -> None:
    assert ablation_scale(made_record().task.model_copy(update={"metric": "roc_auc", "majority": AREAS})).unseen == 0.0

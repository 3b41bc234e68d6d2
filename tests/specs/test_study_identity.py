from __future__ import annotations

from unipelt_search.specs.study import BackboneSpec, BudgetSpec, StudySpec, TaskSpec
from unipelt_search.specs.study_identity import shrunk_budget, spec_differences

SPEC = StudySpec(name="a", task=TaskSpec(data="d", text=("t",), label="l"), backbone=BackboneSpec(model="m"))


def test_what_two_studies_ask_differently() -> None:
    assert spec_differences(SPEC, SPEC.model_copy(update={"name": "b", "budget": BudgetSpec(trials=99)})) == []
    other = SPEC.model_copy(update={"seed": 1, "backbone": BackboneSpec(model="n")})
    assert spec_differences(SPEC, other) == ["backbone.model: m → n", "seed: 0 → 1"]


def test_a_budget_may_grow_and_not_shrink() -> None:
    limited = BudgetSpec(trials=5, seeds=2, time_seconds=60)
    assert shrunk_budget(limited, BudgetSpec(trials=6, seeds=2, time_seconds=None)) == []
    assert shrunk_budget(BudgetSpec(trials=5, seeds=2), limited) == ["budget.time_seconds: no limit → 60"]
    assert shrunk_budget(limited, BudgetSpec(trials=4, seeds=1, time_seconds=30)) == [
        "budget.trials: 5 → 4", "budget.seeds: 2 → 1", "budget.time_seconds: 60 → 30",
    ]  # fmt: skip

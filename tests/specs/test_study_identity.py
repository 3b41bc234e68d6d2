from __future__ import annotations

from editions import EDITION_1, NEWEST

from unipelt_search.specs.study import BackboneSpec, BudgetSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.specs.study_identity import as_begun, shrunk_budget, spec_differences

SPEC = StudySpec(name="a", task=TaskSpec(data="d", text=("t",), label="l"), backbone=BackboneSpec(model="m"))


def test_what_two_studies_ask_differently() -> None:
    assert spec_differences(SPEC, SPEC.model_copy(update={"name": "b", "budget": BudgetSpec(trials=99)})) == []
    other = SPEC.model_copy(update={"seed": 1, "backbone": BackboneSpec(model="n")})
    assert spec_differences(SPEC, other) == ["backbone.model: m → n", "seed: 0 → 1"]


def asking(adapter: dict[str, object]) -> StudySpec:
    given = {"name": "mine", "method": "adapter", "adapter": adapter}
    return SPEC.model_copy(update={"space": SpaceSpec.model_validate({"configurations": [given]})})


def test_what_is_left_open_is_what_the_study_began_with() -> None:
    open_request = asking({"bottleneck": 6})
    newest = {"bottleneck": 6, "activation": "relu", "input": "normalised", "up": "normal"}
    for basis, whole in ((EDITION_1, {"bottleneck": 6, "activation": "gelu"}), (NEWEST, newest)):
        stored = StudySpec.model_validate(open_request.completed(basis).model_dump(mode="json"))
        assert spec_differences(stored.completed(basis), open_request.completed(basis)) == []
        assert spec_differences(stored.completed(basis), asking(whole).completed(basis)) == []
    # The same words ask something else of another edition.
    assert spec_differences(open_request.completed(EDITION_1), open_request.completed(NEWEST)) != []
    assert open_request.completed(EDITION_1).question_hash() == open_request.question_hash()


def test_a_budget_may_grow_and_not_shrink() -> None:
    limited = BudgetSpec(trials=5, seeds=2, time_seconds=60)
    assert shrunk_budget(limited, BudgetSpec(trials=6, seeds=2, time_seconds=None)) == []
    assert shrunk_budget(BudgetSpec(trials=5, seeds=2), limited) == ["budget.time_seconds: no limit → 60"]
    assert shrunk_budget(limited, BudgetSpec(trials=4, seeds=1, time_seconds=30)) == [
        "budget.trials: 5 → 4", "budget.seeds: 2 → 1", "budget.time_seconds: 60 → 30",
    ]  # fmt: skip


def test_a_key_that_is_left_out_where_it_is_off_is_a_difference_too() -> None:
    other = SPEC.model_copy(update={"space": SpaceSpec(ablate_layers=True)})
    assert spec_differences(SPEC, other) == ["space.ablate_layers: default → True"]
    assert spec_differences(other, SPEC) == ["space.ablate_layers: True → default"]
    assert "ablate_layers" not in SPEC.identity()["space"]


def test_what_a_study_chose_for_itself_is_no_difference() -> None:
    begun = SPEC.model_copy(
        update={"space": SpaceSpec(steps=40), "task": SPEC.task.model_copy(update={"truncation": "left"})}
    )
    assert as_begun(begun, SPEC, 2) == begun
    assert as_begun(SPEC, SPEC, 3) == SPEC
    asked = begun.model_copy(
        update={"space": SpaceSpec(steps=50), "task": SPEC.task.model_copy(update={"truncation": "right"})}
    )
    assert as_begun(begun, asked, 3) == asked
    assert spec_differences(begun, asked) == ["task.truncation: left → right", "space.steps: 40 → 50"]
    assert spec_differences(SPEC, as_begun(SPEC, asked, 3)) == [
        "task.truncation: default → right", "space.steps: None → 50",
    ]  # fmt: skip

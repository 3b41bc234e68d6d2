from __future__ import annotations

from typing import Any

import pytest
from editions import EDITION_1
from made_record import made_record

from unipelt_search.records.notice import Notice
from unipelt_search.records.run_timing import RunTiming
from unipelt_search.records.study_plan import StudyPlan
from unipelt_search.search.capacity import Capacity
from unipelt_search.search.forecast import Measured, fits, forecast, steps_within
from unipelt_search.specs.study import BudgetSpec, SpaceSpec
from unipelt_search.specs.variants import Variant
from unipelt_search.verdict.power import expected_detectable

TIMINGS = {"head": RunTiming(0.1, 0.01, 10, 10), "unipelt_apl": RunTiming(0.2, 0.01, 50, 40)}


def machine(workers: int = 1, timings: dict[str, RunTiming] = TIMINGS, **known: Any) -> Measured:
    return Measured(Capacity("cpu", workers, 1.0, 0.0), 6, timings, **known)


def planned(workers: int = 1, **budget: Any) -> StudyPlan:
    record = made_record()
    space = SpaceSpec(methods=tuple(TIMINGS), steps=100, evaluations=2, tune_rows=150)
    spec = record.spec.model_copy(update={"space": space, "budget": BudgetSpec(**{"trials": 5, "seeds": 2, **budget})})
    return forecast(spec, record.task, machine(workers), (), EDITION_1)


def test_the_estimate_adds_up_by_hand() -> None:
    plan = planned()
    head, apl = plan.methods
    assert (head.screen_trials, plan.tune_trials, plan.confirm_runs, plan.runs) == (2, 1, 4, 9)
    # 100 steps and 2 evaluations of 150 tune rows; the gated method looks at its gates once before the first step.
    assert head.run_seconds == pytest.approx(100 * 0.1 + 2 * 150 * 0.01)
    assert apl.run_seconds == pytest.approx(100 * 0.2 + 3 * 150 * 0.01)
    # 200 select and 500 test rows per seed; gates need two more passes, the ablation 3 · 7 + 1 of the select rows.
    assert head.confirm_seconds == pytest.approx(2 * (13 + 7))
    assert apl.confirm_seconds == pytest.approx(2 * (24.5 + 7 + 4) + 22 * 2)
    assert plan.seconds == pytest.approx(2 * (13 + 24.5) + (13 + 24.5) / 2 + 40 + 115)
    screen, tune, confirm = plan.phases
    assert (screen.trials, screen.runs, screen.steps, screen.trained_rows) == (4, 4, 400, 6400)
    assert screen.scored_rows == 2 * (300 + 450)
    assert (tune.trials, tune.runs, tune.scored_rows) == (1, 1, 375)
    assert (confirm.trials, confirm.runs) == (2, 4)
    assert confirm.scored_rows == 2 * (300 + 700 + 450 + 700 + 400) + 22 * 200
    assert [phase.seconds for phase in plan.phases] == pytest.approx([75, 18.75, 155])


def test_phases_end_one_after_another_however_many_workers_there_are() -> None:
    alone = planned().phases
    four = planned(workers=4)
    # The longest run of each phase takes as long as it takes; the first of unipelt_apl's confirm runs has an ablation.
    assert [phase.seconds for phase in four.phases] == pytest.approx([24.5, 18.75, 35.5 + 44])
    assert four.seconds == pytest.approx(sum(phase.seconds for phase in four.phases))
    assert [phase.runs for phase in four.phases] == [phase.runs for phase in alone]


def test_what_begins_before_the_first_run_and_cores_that_are_shared_take_time() -> None:
    record = made_record()
    space = SpaceSpec(methods=tuple(TIMINGS), steps=100, evaluations=2, tune_rows=150)
    spec = record.spec.model_copy(update={"space": space, "budget": BudgetSpec(trials=5, seeds=2)})
    slow = Measured(Capacity("cpu", 1, 1.0, 0.0, slowdown=2.0), 6, TIMINGS, start_seconds=30.0)
    plan = forecast(spec, record.task, slow, (), EDITION_1)
    assert plan.start_seconds == 30
    assert plan.seconds == pytest.approx(30 + 2 * planned().seconds)
    started = {name: RunTiming(0.1, 0.01, 10, 10, start_seconds=3.0) for name in TIMINGS}
    late = forecast(spec, record.task, machine(timings=started), (), EDITION_1)
    assert late.methods[0].run_seconds == pytest.approx(planned().methods[0].run_seconds + 3)


def test_what_is_done_once_per_gated_method_is_counted_once() -> None:
    record = made_record()
    plain = SpaceSpec(methods=tuple(TIMINGS), steps=100, evaluations=2, tune_rows=150)
    spec = record.spec.model_copy(update={"space": plain, "budget": BudgetSpec(trials=5, seeds=2)})

    def of(**asked: bool) -> StudyPlan:
        space = plain.model_copy(update=asked)
        return forecast(spec.model_copy(update={"space": space}), record.task, machine(), (), EDITION_1)

    head, apl, *_ = of().methods
    null_head, null_apl = of(gate_null=True).methods
    assert null_head == head
    assert null_apl.confirm_seconds == pytest.approx(apl.confirm_seconds + 24.5 + 7 + 4)
    pruning = of(prune_gates=True)
    assert [method.variant for method in pruning.methods] == [None, None, "unipelt_apl-pruned"]
    # All, each of 3 submodules in 6 layers alone, and as often at most together.
    assert pruning.methods[1].confirm_seconds == pytest.approx(apl.confirm_seconds + (1 + 2 * 18) * 150 * 0.01)


def test_the_plan_says_what_such_a_study_detects() -> None:
    plan = planned()
    assert plan.detectable == expected_detectable(200, 2, methods=2)
    record = made_record()
    task = record.task.model_copy(update={"kind": "regression", "labels": ()})
    assert forecast(record.spec, task, machine(), (), EDITION_1).detectable is None


def test_facts_of_the_data_have_a_place_of_their_own() -> None:
    record = made_record()
    fact = Notice(code="rows_read", severity="fact", values={"rows": 9})
    remark = Notice(code="overlap", severity="warning", values={"split": "test", "count": 1, "rows": 4})
    task = record.task.model_copy(update={"notices": (remark, fact)})
    spec = record.spec.model_copy(update={"space": SpaceSpec(methods=tuple(TIMINGS), steps=100)})
    plan = forecast(spec, task, machine(), (), EDITION_1)
    assert plan.data == (fact,)
    assert plan.notices == (remark,)


def test_a_limit_below_the_estimate_is_noted() -> None:
    notice = planned(time_seconds=60.0).notices[-1]
    assert (notice.code, notice.values["limit"]) == ("time_limit_short", 60.0)
    assert planned(time_seconds=6000.0).notices == planned().notices


def test_a_users_configuration_is_one_trial_of_its_own_length() -> None:
    own = Variant.model_validate({"name": "mine", "method": "head", "training": {"steps": 10, "evaluations": 1}})
    record = made_record()
    space = SpaceSpec(methods=tuple(TIMINGS), steps=100, evaluations=2, tune_rows=150, configurations=(own,))
    spec = record.spec.model_copy(update={"space": space, "budget": BudgetSpec(trials=6, seeds=2)})
    timings = {**TIMINGS, "mine": RunTiming(0.1, 0.01, 10, 10)}
    plan = forecast(spec, record.task, machine(timings=timings), (), EDITION_1)
    assert [(m.method, m.variant, m.screen_trials) for m in plan.methods] == [
        ("head", None, 2), ("unipelt_apl", None, 2), ("head", "mine", 1),
    ]  # fmt: skip
    assert plan.methods[2].run_seconds == pytest.approx(10 * 0.1 + 150 * 0.01)
    assert (plan.tune_trials, plan.confirm_runs, plan.runs) == (1, 6, 12)
    extra = plan.methods[2].run_seconds + plan.methods[2].confirm_seconds
    assert plan.seconds == pytest.approx(planned().seconds + extra)


@pytest.mark.parametrize(("limit", "steps"), [(None, 400), (4000.0, 400), (480.0, 235), (60.0, 150)])
def test_steps_are_what_a_limit_allows(limit: float | None, steps: int) -> None:
    record = made_record()
    task = record.task.model_copy(update={"rows": {**record.task.rows, "train": 320}})
    space = SpaceSpec(methods=tuple(TIMINGS), evaluations=2, tune_rows=150)
    budget = BudgetSpec(trials=5, seeds=2, time_seconds=limit)
    spec = record.spec.model_copy(update={"space": space, "budget": budget})
    assert steps_within(spec, task, machine(), EDITION_1) == steps
    given = spec.model_copy(update={"space": space.model_copy(update={"steps": 333})})
    assert steps_within(given, task, machine(), EDITION_1) == 333
    if steps == 235:  # by hand: the search takes 0.75 s + 18.75 seconds, all 1.35 s + 113.75, with s steps
        shorter = spec.model_copy(update={"space": space.model_copy(update={"steps": steps})})
        plan = forecast(shorter, task, machine(), (), EDITION_1)
        search = plan.seconds - sum(method.confirm_seconds for method in plan.methods)
        assert plan.seconds <= 0.9 * 480
        assert search <= 0.9 * 0.65 * 480
        assert fits(plan)


def test_with_folds_every_seed_is_five_runs_on_a_fifth_of_the_rows() -> None:
    record = made_record()
    space = SpaceSpec(methods=tuple(TIMINGS), steps=100, evaluations=2, tune_rows=150)
    spec = record.spec.model_copy(update={"space": space, "budget": BudgetSpec(trials=5, seeds=2)})
    rows = {"train": 100, "validation": 150, "tune": 150, "select": 250, "test": 500}
    task = record.task.model_copy(update={"folds": 5, "rows": rows})
    plan = forecast(spec, task, machine(), (), EDITION_1)
    head, apl = plan.methods
    assert (plan.confirm_runs, plan.runs) == (20, 25)
    assert head.run_seconds == pytest.approx(13)
    # 50 rows of a fold and 500 test rows per run; gates need two more passes, the ablation 22 passes of one run.
    assert head.confirm_seconds == pytest.approx(10 * (13 + 5.5))
    assert apl.confirm_seconds == pytest.approx(10 * (24.5 + 5.5 + 1) + 22 * 0.5)

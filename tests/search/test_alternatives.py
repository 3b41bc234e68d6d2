from __future__ import annotations

from typing import Any

import pytest
from editions import EDITION_1
from made_record import made_record

from unipelt_search.cli.durations import parse_duration
from unipelt_search.records.run_timing import RunTiming
from unipelt_search.records.study_plan import StudyProposal
from unipelt_search.search.alternatives import propose_alternatives
from unipelt_search.search.capacity import Capacity
from unipelt_search.search.forecast import Measured, fits, forecast, steps_within, with_steps
from unipelt_search.specs.study import BudgetSpec, SpaceSpec, StudySpec
from unipelt_search.specs.variants import Variant

METHODS = ("fine_tuning", "head", "bitfit", "lora")
SECONDS = {"fine_tuning": 0.4, "head": 0.05, "bitfit": 0.1, "lora": 0.2, "mine": 0.2}
MEASURED = Measured(
    Capacity("cpu", 1, 1.0, 0.0),
    6,
    {name: RunTiming(seconds, 0.001, 10, 10) for name, seconds in SECONDS.items() if name != "mine"},
    start_seconds=20.0,
)
TASK = made_record().task


def asked(seconds: float | None, space: dict[str, Any] | None = None, **budget: Any) -> StudySpec:
    made = SpaceSpec.model_validate({"methods": METHODS, "evaluations": 2, **(space or {})})
    limited = BudgetSpec.model_validate({"trials": 12, "seeds": 3, **budget, "time_seconds": seconds})
    return made_record().spec.model_copy(update={"space": made, "budget": limited})


def propose(spec: StudySpec, measured: Measured = MEASURED) -> tuple[StudyProposal, ...]:
    return propose_alternatives(spec, TASK, measured, EDITION_1)


def assert_holds(spec: StudySpec, proposal: StudyProposal, measured: Measured = MEASURED) -> None:
    """Ask for a proposal as its options say it, and forecast that as a study would."""
    options = dict(zip(proposal.options[::2], proposal.options[1::2], strict=True))
    assert set(options) <= {"--methods", "--trials", "--seeds", "--time"}
    methods = tuple(options["--methods"].split(",")) if "--methods" in options else spec.space.methods
    budget = {
        "trials": int(options.get("--trials", spec.budget.trials)),
        "seeds": int(options.get("--seeds", spec.budget.seeds)),
        "time_seconds": parse_duration(options["--time"]) if "--time" in options else spec.budget.time_seconds,
    }
    other = spec.model_copy(
        update={
            "space": spec.space.model_copy(update={"methods": methods}),
            "budget": BudgetSpec.model_validate(budget),
        }
    )
    assert len(methods) + len(spec.space.configurations) <= other.budget.trials
    steps = steps_within(other, TASK, measured, EDITION_1)
    plan = forecast(with_steps(other, steps), TASK, measured, (), EDITION_1)
    assert fits(plan)
    assert (plan.steps, plan.seconds, plan.detectable) == (proposal.steps, proposal.seconds, proposal.detectable)
    assert (other.budget.trials, other.budget.seeds) == (proposal.trials, proposal.seeds)
    assert other.budget.time_seconds == proposal.time_seconds


def test_a_study_that_fits_or_has_no_limit_needs_no_proposal() -> None:
    assert propose(asked(None)) == ()
    assert propose(asked(36_000)) == ()


@pytest.mark.parametrize(
    ("seconds", "purpose", "methods", "trials", "seeds"),
    [
        (700, "fits", METHODS, 8, 3),  # a screen round less
        (600, "fits", METHODS, 4, 3),
        (300, "fits", METHODS[1:], 3, 3),  # the slowest is left out first
        (170, "fits", METHODS[1:3], 4, 3),
        (110, "fits", METHODS[1:3], 2, 2),  # and at last a seed
        (30, "least", METHODS[1:3], 2, 2),
    ],
)
def test_what_is_given_up_first(
    seconds: float, purpose: str, methods: tuple[str, ...], trials: int, seeds: int
) -> None:
    spec = asked(seconds)
    smaller, complete = propose(spec)
    assert (smaller.purpose, smaller.methods, smaller.trials, smaller.seeds) == (purpose, methods, trials, seeds)
    assert (smaller.time_seconds == seconds) is (purpose == "fits")
    assert_holds(spec, smaller)
    assert (complete.purpose, complete.methods, complete.trials, complete.seeds) == ("complete", METHODS, 12, 3)
    assert complete.options[:1] == ("--time",)
    assert complete.time_seconds > seconds
    assert_holds(spec, complete)


@pytest.mark.parametrize("seconds", [20.0, 120.0, 333.0, 1000.0, 5000.0])
@pytest.mark.parametrize(
    ("space", "budget"),
    [
        ({}, {"seeds": 7, "trials": 40}),
        ({"steps": 300}, {"seeds": 1}),
        ({"methods": ("lora",)}, {"trials": 2}),
        ({"configurations": ({"name": "mine", "method": "lora"},)}, {"trials": 5}),
    ],
)
def test_every_proposal_holds(seconds: float, space: dict[str, Any], budget: dict[str, Any]) -> None:
    timings = {name: RunTiming(step, 0.001, 10, 10) for name, step in SECONDS.items()}
    names = {*space.get("methods", METHODS), *(("mine",) if "configurations" in space else ())}
    used = {name: timing for name, timing in timings.items() if name in names}
    measured = Measured(Capacity("cpu", 2, 1.0, 0.0), 6, used, start_seconds=10.0)
    spec = asked(seconds, space, **budget)
    for proposal in propose(spec, measured):
        assert_holds(spec, proposal, measured)


def test_methods_that_cannot_be_tried_are_named_no_more_where_fewer_trials_are_asked_for() -> None:
    absent = {name: timing for name, timing in MEASURED.timings.items() if name != "bitfit"}
    measured = Measured(MEASURED.capacity, 6, absent)
    spec = asked(200, trials=4)
    smaller, _ = propose(spec, measured)
    assert "bitfit" not in smaller.methods
    assert_holds(spec, smaller, measured)


def test_where_the_least_is_all_that_was_asked_for_it_is_proposed_once() -> None:
    spec = asked(1, {"methods": ("head",), "steps": 100}, trials=1, seeds=1)
    (only,) = propose(spec)
    assert only.purpose == "complete"
    assert_holds(spec, only)


def test_nothing_less_is_proposed_for_the_time_that_all_of_it_needs() -> None:
    quick = {name: RunTiming(0.0001, 0.00001, 10, 10) for name in ("head", "lora")}
    measured = Measured(MEASURED.capacity, 6, quick, start_seconds=10.0)
    spec = asked(1, {"methods": tuple(quick), "steps": 100}, trials=12)
    (only,) = propose(spec, measured)
    assert (only.purpose, only.trials, only.seeds) == ("complete", 12, 3)
    assert_holds(spec, only, measured)


def test_a_users_own_configurations_stay() -> None:
    own = Variant.model_validate({"name": "mine", "method": "lora"})
    timings = {**MEASURED.timings, "mine": RunTiming(0.2, 0.001, 10, 10)}
    measured = Measured(MEASURED.capacity, 6, timings)
    least, _ = propose(asked(30, {"configurations": (own,)}), measured)
    assert least.purpose == "least"
    assert (least.methods, least.trials) == (("head",), 2)

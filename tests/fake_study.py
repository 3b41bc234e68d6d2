"""Records of studies that never ran, built by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from made_results import make_costs, make_run_result

from unipelt_search.records.history import (
    DroppedMethod,
    RunRecord,
    RunState,
    StudyRecord,
    StudyState,
    TaskSummary,
    TrialRecord,
    TrialState,
)
from unipelt_search.records.results import RunResult
from unipelt_search.search import plan
from unipelt_search.specs.seeds import SEARCH_SEED_INDEX
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.specs.trial import Phase, TrialSpec
from unipelt_search.specs.variants import Variant

METHODS = ("head", "lora", "unipelt_apl")


def make_result(score: float, *, seconds: float = 10.0, stored: int = 100, confirm: bool = False) -> RunResult:
    """Build a result with one score everywhere."""
    scores = {"accuracy": score, "macro_f1": score, "matthews": score}
    costs = make_costs(stored, train_seconds=seconds, predict_ms_per_example=1.0 if confirm else None)
    return make_run_result(score, scores if confirm else None, costs=costs)


class Fake:
    """A study's record in memory that answers the planner's steps at once, or leaves them running."""

    def __init__(
        self, *, methods: tuple[str, ...] = METHODS, trials: int = 9, seeds: int = 2,
        configurations: tuple[Variant, ...] = (), **budget: Any,
    ) -> None:  # fmt: skip
        self.record = StudyRecord(
            id="study",
            spec=make_spec(methods=methods, trials=trials, seeds=seeds, configurations=configurations, **budget),
            task=make_task(),
            state=StudyState.RUNNING,
            phase="screen",
            created=datetime(2024, 1, 1, tzinfo=UTC),
            software={},
            command="",
            wall_seconds=0.0,
            trials=(),
            dropped=(),
            notices=(),
        )

    def change(self, **fields: Any) -> None:
        self.record = self.record.model_copy(update=fields)

    def use_folds(self, folds: int = 5) -> None:
        self.change(task=self.record.task.model_copy(update={"folds": folds}))

    def set_budget(self, **fields: Any) -> None:
        budget = self.record.spec.budget.model_copy(update=fields)
        self.change(spec=self.record.spec.model_copy(update={"budget": budget}))

    def add_trial(self, spec: TrialSpec, phase: Phase, origin: str = "published", variant: str | None = None) -> int:
        number = len(self.record.trials)
        run = RunRecord(
            id=f"{number}/0", trial=number, phase=phase, seed_index=SEARCH_SEED_INDEX, state=RunState.RUNNING
        )
        trial = TrialRecord(
            number=number, method=spec.method, variant=variant, spec=spec, phase=phase, state=TrialState.RUNNING,
            value=None, origin=origin, runs=(run,),
        )  # fmt: skip
        self.change(trials=(*self.record.trials, trial))
        return number

    def add_run(self, number: int, seed_index: int, fold: int = 0, state: RunState = RunState.RUNNING) -> None:
        trial = self.record.trials[number]
        run_id = f"{number}/{seed_index}/{fold}" if fold else f"{number}/{seed_index}"
        run = RunRecord(
            id=run_id, trial=number, phase="confirm", seed_index=seed_index, fold=fold, state=state
        )  # fmt: skip
        self._replace(trial.model_copy(update={"runs": (*trial.runs, run), "phase": "confirm"}))

    def end(self, number: int, seed_index: int = 0, fold: int = 0, score: float | None = 0.5, **result: Any) -> None:
        """Let a run end with a score, or fail without one."""
        trial = self.record.trials[number]
        update: dict[str, Any] = {"state": RunState.FAILED, "error": "it failed"}
        if score is not None:
            update = {
                "state": RunState.COMPLETE,
                "result": make_result(score, confirm=seed_index > 0, **result),
            }
        ended = (seed_index, fold)
        runs = tuple(
            run.model_copy(update=update) if (run.seed_index, run.fold) == ended else run for run in trial.runs
        )
        changed = {"runs": runs}
        if seed_index == SEARCH_SEED_INDEX:
            changed |= {"value": score, "state": TrialState.FAILED if score is None else TrialState.COMPLETE}
        self._replace(trial.model_copy(update=changed))

    def _replace(self, trial: TrialRecord) -> None:
        trials = list(self.record.trials)
        trials[trial.number] = trial
        self.change(trials=tuple(trials))

    def apply(self, decision: plan.Decision) -> tuple[int, int, int] | None:
        """Write a decision down; returns the trial, the seed index and the fold of the run that it starts."""
        self.change(
            phase=decision.phase,
            dropped=(*self.record.dropped, *decision.dropped),
            notices=(*self.record.notices, *decision.notices),
        )
        match decision.step:
            case plan.StartTrial(spec, phase, origin, variant):
                return self.add_trial(spec, phase, origin, variant), SEARCH_SEED_INDEX, 0
            case plan.StartRun(trial, seed_index, fold):
                self.add_run(trial, seed_index, fold)
                return trial, seed_index, fold
            case plan.Resume(run):
                trial = self.record.trials[run.trial]
                runs = tuple(r.model_copy(update={"state": RunState.RUNNING}) if r == run else r for r in trial.runs)
                self._replace(trial.model_copy(update={"runs": runs}))
                return run.trial, run.seed_index, run.fold
        return None

    def play(
        self, score: Callable[[TrialSpec, int], float | None], *, seconds: float = 10.0, limit: int = 200
    ) -> list[plan.Decision]:
        """Follow the planner with one worker until nothing is left; every run takes the same time."""
        decisions = []
        cost_so_far = self.record.wall_seconds
        for _ in range(limit):
            decision = plan.next_step(self.record, plan.Clock(seconds=cost_so_far))
            started = self.apply(decision)
            decisions.append(decision)
            if started is None:
                self.change(wall_seconds=cost_so_far)
                return decisions
            cost_so_far += seconds
            number, seed_index, fold = started
            self.end(number, seed_index, fold, score(self.record.trials[number].spec, seed_index), seconds=seconds)
        raise AssertionError("the plan has no end")


def make_task() -> TaskSummary:
    """Summarise a task of three labels."""
    return TaskSummary(
        name="toy",
        kind="classification",
        labels=("a", "b", "c"),
        rows={"train": 320, "validation": 200, "test": 100, "tune": 100, "select": 100},
        metric="accuracy",
        direction="maximize",
        hidden_size=384,
        fingerprint="0" * 16,
        majority={"select": {"accuracy": 0.3}, "test": {"accuracy": 0.3}},
    )


def make_spec(
    *, methods: tuple[str, ...] = METHODS, trials: int = 9, seeds: int = 2, configurations: tuple[Variant, ...] = (),
    **budget: Any,
) -> StudySpec:  # fmt: skip
    """Ask for a small study."""
    return StudySpec(
        name="toy",
        task=TaskSpec(data="toy.csv", text=("text",), label="label"),
        backbone=BackboneSpec(model="toy"),
        space=SpaceSpec(methods=methods, steps=10, configurations=configurations),
        budget=BudgetSpec(trials=trials, seeds=seeds, **budget),
    )


@pytest.fixture
def fake() -> type[Fake]:
    """Give the class of fake studies."""
    return Fake


@pytest.fixture
def dropped() -> Callable[[str, Phase], DroppedMethod]:
    """Make a dropped method."""
    return lambda method, phase: DroppedMethod(method=method, phase=phase, reason="for a test")


@pytest.fixture
def result() -> Callable[..., RunResult]:
    """Make results."""
    return make_result


@pytest.fixture
def spec() -> Callable[..., StudySpec]:
    """Make small studies."""
    return make_spec


@pytest.fixture
def task() -> TaskSummary:
    """Give a summary of a task."""
    return make_task()


@pytest.fixture
def all_plausible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every method stay plausible, whatever the scores."""
    monkeypatch.setattr(plan, "plausible_methods", lambda record: (set(record.spec.space.methods), {}))

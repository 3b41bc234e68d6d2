"""The store against a small model in memory: any order of calls by several owners, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import update

from unipelt_search.errors import StorageError
from unipelt_search.records.history import RunState, StudyState, TaskSummary, TrialState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import RunResult
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.storage.store import StudyStore
from unipelt_search.storage.tables import AttemptRow

OWNERS = st.sampled_from(["a", "b", "c"])


@dataclass
class ModelRun:
    """A run as the model has it."""

    trial: int
    seed_index: int
    state: RunState = RunState.WAITING
    attempt: int = 0
    owner: str = ""
    expired: bool = False
    value: float | None = None
    evaluations: int = 0
    failed: int = 0


@dataclass
class Model:
    """A study as the model has it."""

    state: StudyState = StudyState.RUNNING
    trials: int = 0
    runs: dict[str, ModelRun] = field(default_factory=dict)

    def held(self) -> list[ModelRun]:
        return [run for run in self.runs.values() if run.state is RunState.RUNNING]


def machine_over(
    store: StudyStore, spec: StudySpec, task: TaskSummary, trial: TrialSpec, result: Callable[..., RunResult]
) -> type[RuleBasedStateMachine]:
    """Build the machine over one open database; every example has a study of its own."""
    numbers = iter(range(10**6))

    class StorageMachine(RuleBasedStateMachine):
        runs = Bundle("runs")

        @initialize()
        def create(self) -> None:
            self.name = f"{spec.name}-{next(numbers)}"
            self.study = store.studies.create(spec.model_copy(update={"name": self.name}), task, {}, "")
            self.model = Model()

        def expect(self, allowed: bool, call: Callable[[], object]) -> bool:
            """Make a call that the model allows or refuses; tells whether it happened."""
            if not allowed:
                with pytest.raises(StorageError):
                    call()
                return False
            call()
            return True

        @rule(target=runs, guess=st.integers(-1, 0))
        def add_trial(self, guess: int) -> str:
            number = self.model.trials + guess
            if not self.expect(guess == 0, lambda: setattr(self, "added", self.add(number))):
                return ""
            self.model.runs[self.added] = ModelRun(number, 0)
            self.model.trials += 1
            return self.added

        def add(self, number: int) -> str:
            return store.runs.add_trial(self.study, trial, "tune", "tpe", number=number).id

        @rule(target=runs, number=st.integers(0, 3), seed_index=st.integers(1, 2))
        def add_run(self, number: int, seed_index: int) -> str:
            taken = any((run.trial, run.seed_index) == (number, seed_index) for run in self.model.runs.values())
            allowed = number < self.model.trials and not taken
            call = lambda: setattr(self, "added", store.runs.add(self.study, number, "confirm", seed_index).id)  # noqa: E731
            if not self.expect(allowed, call):
                return ""
            self.model.runs[self.added] = ModelRun(number, seed_index)
            return self.added

        @rule(run_id=runs, owner=OWNERS)
        def start(self, run_id: str, owner: str) -> None:
            run = self.model.runs.get(run_id)
            allowed = run is not None and run.state is RunState.WAITING
            if self.expect(allowed, lambda: store.attempts.start(run_id, owner)) and run:
                run.state, run.owner, run.expired, run.attempt = RunState.RUNNING, owner, False, run.attempt + 1

        @rule(run_id=runs, late=st.integers(0, 1), how=st.sampled_from(["evaluation", "finish", "fail", "retry"]))
        def write(self, run_id: str, late: int, how: str) -> None:
            run = self.model.runs.get(run_id)
            attempt = run.attempt - late if run else 1
            calls: dict[str, Callable[[], object]] = {
                "evaluation": lambda: store.runs.record_evaluation(run_id, attempt, result().evaluations[0]),
                "finish": lambda: store.runs.finish(run_id, attempt, result(0.5)),
                "fail": lambda: store.runs.fail(run_id, attempt, "no memory"),
                "retry": lambda: store.attempts.retry(self.study, run_id, attempt, "no memory", Notice(code="again")),
            }
            allowed = run is not None and run.state is RunState.RUNNING and not late
            if self.expect(allowed, calls[how]) and run:
                if how == "evaluation":
                    run.evaluations = 1
                elif how == "finish":
                    run.state, run.value = RunState.COMPLETE, 0.5
                elif how == "retry":
                    run.failed += 1
                    self.release([run])
                else:
                    run.state = RunState.FAILED

        @rule(owner=OWNERS)
        def expire(self, owner: str) -> None:
            with store._database.session(write=True) as session:
                past = datetime(2000, 1, 1, tzinfo=UTC)
                session.execute(update(AttemptRow).where(AttemptRow.owner == owner).values(lease_expires=past))
            for run in self.model.held():
                run.expired = run.expired or run.owner == owner

        @rule(owner=OWNERS)
        def renew(self, owner: str) -> None:
            mine = [run for run in self.model.held() if run.owner == owner]
            # Owners of other examples' studies are the same few.
            assert store.attempts.renew(owner) >= len(mine)
            for run in mine:
                run.expired = False

        @rule()
        def requeue_expired(self) -> None:
            lost = [run for run in self.model.held() if run.expired]
            assert store.attempts.requeue_expired(self.study) == len(lost)
            self.release(lost)

        @rule(owner=OWNERS)
        def release_all(self, owner: str) -> None:
            held = self.model.held()
            mine = [run for run in held if run.owner == owner]
            assert store.attempts.release_all(self.study, owner) == len(mine)
            if self.model.state is StudyState.RUNNING and len(mine) == len(held):
                self.model.state = StudyState.STOPPED
            self.release(mine)

        def release(self, runs: list[ModelRun]) -> None:
            for run in runs:
                run.state, run.evaluations = RunState.WAITING, 0

        @rule(state=st.sampled_from(StudyState))
        def set_state(self, state: StudyState) -> None:
            now = self.model.state
            allowed = now is StudyState.RUNNING or state in {now, StudyState.RUNNING}
            if self.expect(allowed, lambda: store.studies.set_state(self.study, state)):
                self.model.state = state

        @rule()
        def repair(self) -> None:
            store.runs.repair_mirror(self.study)

        @invariant()
        def the_database_says_what_the_model_says(self) -> None:
            if not hasattr(self, "model"):
                return
            record = store.studies.load(self.name)
            assert record.state is self.model.state
            assert [t.number for t in record.trials] == list(range(self.model.trials))
            found = {run.id: run for t in record.trials for run in t.runs}
            assert set(found) == set(self.model.runs)
            for run_id, run in self.model.runs.items():
                stored = found[run_id]
                assert (stored.trial, stored.seed_index) == (run.trial, run.seed_index)
                assert (stored.state, stored.attempt) == (run.state, run.attempt)
                assert (stored.result.tune if stored.result else None) == run.value
                failed = run.failed + (run.state is RunState.FAILED)
                assert store.attempts.earlier(run_id).failed == failed
                if run.seed_index == 0:
                    ended = {RunState.COMPLETE: TrialState.COMPLETE, RunState.FAILED: TrialState.FAILED}
                    state = ended.get(run.state, TrialState.RUNNING)
                    assert (record.trials[run.trial].state, record.trials[run.trial].value) == (state, run.value)
            assert store.attempts.owners(self.study) == {run.owner for run in self.model.held()}

    return StorageMachine


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("examples", "steps"),
    [pytest.param(3, 12, id="few"), pytest.param(200, 40, id="many", marks=pytest.mark.slow)],
)
def test_any_order_of_calls_does_what_the_model_does(
    examples: int,
    steps: int,
    database_url: str,
    study_spec: Callable[..., StudySpec],
    task: TaskSummary,
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    store = StudyStore.open(database_url)
    machine = machine_over(store, study_spec("machine"), task, trial_spec(), run_result)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=examples < 10,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    store.close()

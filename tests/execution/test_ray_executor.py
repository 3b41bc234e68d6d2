"""How Tune's callbacks become events, without Ray; the executor contract and tests/test_api.py run all of it on Ray."""

from __future__ import annotations

import pickle
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError, RayTaskError
from ray.tune.search import Searcher

import tiny
from unipelt_search.errors import UnipeltError
from unipelt_search.execution import ray_executor
from unipelt_search.execution.ray_executor import RayExecutor, error_of, is_lost_machine, ray_executors, worker_lost
from unipelt_search.execution.run_messages import (
    Evaluated,
    Failed,
    OutOfMemory,
    RunAssignment,
    RunEvent,
    WorkerLost,
    decode_assignment,
    encode_assignment,
    encode_event,
)
from unipelt_search.execution.worker import WorkerSetup
from unipelt_search.records.results import EvaluationRow
from unipelt_search.search.capacity import Capacity
from unipelt_search.specs.study import BackboneSpec

CAPACITY = Capacity("cpu", 1, 1.0, 0.0)
EVALUATED = Evaluated(
    run_id="r1", attempt=1, row=EvaluationRow(step=1, epoch=0.1, train_loss=None, value=0.5, seconds=1.0)
)
FAILED = Failed(run_id="r1", attempt=1, message="no memory", out_of_memory=True)


def assignment(run_id: str = "r1", attempt: int = 1) -> RunAssignment:
    run = tiny.tiny_run(tiny.tiny_trial("lora"))
    return RunAssignment(run_id=run_id, attempt=attempt, run=run, label=run_id, checkpoint=None)


def trial_of(assigned: RunAssignment, actor: str | None = None, file: Path | None = None) -> Any:
    """Return a trial as Tune has it."""
    return SimpleNamespace(
        config=encode_assignment(assigned),
        temporary_state=SimpleNamespace(ray_actor=actor),
        pickled_error_file=file and str(file),
    )


class FakeTune:
    """In place of `Tuner.fit`: runs a script over the searcher and the callbacks, as Tune does in its loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, script: Any) -> None:
        self.ended = threading.Event()
        outer = self

        def run(executor: RayExecutor) -> None:
            outer.searcher = ray_executor._Assigner(executor)
            outer.listener = ray_executor._Listener(executor)
            try:
                script(outer)
            finally:
                outer.ended.set()

        monkeypatch.setattr(RayExecutor, "_run_tuner", run)

    def suggest(self) -> Any:
        return self.searcher.suggest("t")

    def says(self, event: RunEvent) -> None:
        self.listener.on_trial_result(0, [], None, encode_event(event))

    def step(self, *trials: Any) -> None:
        self.listener.on_step_begin(0, list(trials))


def test_what_is_submitted_is_suggested_and_events_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    suggested: list[Any] = []

    def script(tune: FakeTune) -> None:
        tune.step()
        suggested.append(decode_assignment(tune.suggest()))
        tune.says(EVALUATED)
        tune.says(FAILED)
        tune.says(FAILED)
        suggested.append(tune.suggest())
        suggested.append(tune.suggest())

    tune = FakeTune(monkeypatch, script)
    executor = RayExecutor(None, CAPACITY)
    executor.submit(assignment())
    events = [executor.next_event() for _ in range(6)]
    assert events == [None, EVALUATED, FAILED, None, None, None], "a second last event is none, and Tune asks on and on"
    executor.close()
    executor.close()
    assert tune.ended.wait(20)
    assert suggested == [assignment(), None, Searcher.FINISHED], "after the last run Tune ends by itself"


def test_closing_leaves_tune_at_its_next_step_when_a_run_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def script(tune: FakeTune) -> None:
        tune.suggest()
        tune.step()
        seen.append("went on")

    tune = FakeTune(monkeypatch, script)
    executor = RayExecutor(None, CAPACITY)
    executor.submit(assignment())
    assert executor.next_event() is None
    executor.close()
    assert tune.ended.is_set()
    assert seen == []


def test_only_the_worker_of_a_released_attempt_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(ray_executor.ray, "kill", ended.append)
    trials = [
        trial_of(assignment(run, attempt), actor)
        for run, attempt, actor in (("r1", 1, "old"), ("r1", 2, "hangs"), ("r2", 2, "works"), ("r1", 2, None))
    ]
    FakeTune(monkeypatch, lambda tune: (tune.suggest(), tune.step(*trials)))
    executor = RayExecutor(None, CAPACITY)
    executor.submit(assignment("r1", 2))
    executor.next_event()
    executor.release("r1", 1)
    executor.release("r9", 1)
    assert ended == []
    executor.release("r1", 2)
    assert ended == ["hangs"]
    executor.close()


def test_an_assignment_that_is_released_before_a_worker_has_it_ends_at_once() -> None:
    executor = RayExecutor(None, CAPACITY)
    executor.submit(assignment())
    executor.release("r1", 1)
    executor.release("r1", 1)
    assert executor.next_event() == WorkerLost(run_id="r1", attempt=1, cause="process")
    executor.close()


def out_of_memory(tune: FakeTune) -> None:
    raise RuntimeError("Caught unexpected exception") from OutOfMemoryError("2 workers were killed")


def broken(tune: FakeTune) -> None:
    raise RuntimeError("something else")


def test_tune_out_of_memory_is_an_event_and_another_fault_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTune(monkeypatch, out_of_memory)
    assert RayExecutor(None, CAPACITY).next_event() == OutOfMemory()
    FakeTune(monkeypatch, broken)
    with pytest.raises(RuntimeError, match="something else"):
        RayExecutor(None, CAPACITY).next_event()
    FakeTune(monkeypatch, lambda tune: sys.exit(3))
    with pytest.raises(SystemExit):
        RayExecutor(None, CAPACITY).next_event()
    FakeTune(monkeypatch, lambda tune: None)
    with pytest.raises(UnipeltError, match="ended by itself"):
        RayExecutor(None, CAPACITY).next_event()


def failed(error: Exception, folder: Path) -> Any:
    """Return a trial of Tune's whose worker ended with an error."""
    file = folder / "error.pkl"
    file.write_bytes(cloudpickle.dumps(error))
    return trial_of(assignment(), file=file)


def test_why_a_worker_was_lost_is_told(tmp_path: Path) -> None:
    assert worker_lost(trial_of(assignment())).cause == "process"
    assert worker_lost(failed(ActorUnavailableError("Socket closed", None), tmp_path)).cause == "machine"
    unset = RayActorError(None, "The actor died\nTraceback\nMachineError: no plug-in", actor_init_failed=True)
    assert worker_lost(failed(unset, tmp_path)).message == "MachineError: no plug-in"
    raised = worker_lost(failed(RayTaskError("step", "", ValueError("a fault of ours")), tmp_path))
    assert (raised.key, raised.cause, raised.message) == (("r1", 1), "error", "ValueError: a fault of ours")


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (ActorUnavailableError("Socket closed", None), True),
        (RayActorError(None, "The actor died because its node has died. Node Id: ab", preempted=False), True),
        (RayActorError(None, "drained", preempted=True), True),
        (RayActorError(None, "The actor is dead because its worker process has died.", preempted=False), False),
        (ValueError("its node has died"), False),
        (None, False),
    ],
)
def test_a_machine_that_is_gone_is_told_from_a_worker_that_is(error: Exception | None, lost: bool) -> None:
    assert is_lost_machine(error) is lost


def test_why_a_worker_ended_is_read_where_tune_has_written_it(tmp_path: Path) -> None:
    assert isinstance(error_of(failed(RayActorError(None, "gone"), tmp_path)), RayActorError)
    assert error_of(trial_of(assignment())) is None


def test_tune_can_pickle_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_executor.tune, "with_parameters", lambda trainable, **given: trainable)
    shared = WorkerSetup(tiny.tiny_task(), BackboneSpec(model="tiny"), "cpu", 500)
    executor = ray_executors(CAPACITY, shared)(3)
    assert executor._capacity.workers == 3
    assert pickle.loads(pickle.dumps(executor)).__dict__ == {}

"""The loop between a driver and an executor, with made-up ones; that it runs whole studies is seen in test_api.py."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from editions import EDITION_1

from unipelt_search.errors import MachineError, StorageError
from unipelt_search.execution.driver import FINISHED
from unipelt_search.execution.executor import MAX_NODE_LOSSES, MAX_OUT_OF_MEMORY_RESTARTS, drive
from unipelt_search.execution.run_messages import (
    Evaluated,
    ExecutorEvent,
    Failed,
    Finished,
    OutOfMemory,
    RunAssignment,
    WorkerLost,
)
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow
from unipelt_search.search.space import published
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.trial import RunSpec

RUN = RunSpec(trial=published("lora", SpaceSpec(), 100, EDITION_1)[0], seeds=run_seeds(0, 0))
ROW = EvaluationRow(step=1, epoch=0.1, train_loss=None, value=0.5, seconds=1.0)
LOST = WorkerLost(run_id="r1", attempt=1, cause="process")


def assignment(run_id: str, attempt: int = 1) -> RunAssignment:
    return RunAssignment(run_id=run_id, attempt=attempt, run=RUN, label=run_id, checkpoint=None)


class FakeDriver:
    """Assigns what it is given, and keeps what it hears."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.heard: list[Any] = []
        self.overdue: list[list[RunAssignment]] = []

    def next_run(self) -> Any:
        step = self.steps.pop(0) if self.steps else FINISHED
        if isinstance(step, Exception):
            raise step
        return step

    def fail_overdue(self) -> list[RunAssignment]:
        return self.overdue.pop(0) if self.overdue else []

    def on_evaluation(self, *given: Any, checkpoint: str | None, problem: str | None) -> None:
        self.heard.append(("evaluation", *given, checkpoint, problem))

    def on_result(self, *given: Any) -> None:
        self.heard.append(("result", *given))

    def on_error(self, *given: Any, out_of_memory: bool = False, machine_lost: bool = False) -> None:
        self.heard.append(("error", *given, out_of_memory, machine_lost))

    def reschedule(self, workers: int, why: Notice) -> None:
        assert (why.code, why.values) == ("fewer_workers", {"workers": workers})
        self.heard.append(("reschedule", workers))

    def stop_waiting(self) -> None:
        self.heard.append("stop waiting")


class FakeExecutor:
    """Says what it is given, and keeps what it is asked."""

    def __init__(self, *events: ExecutorEvent | None | Exception) -> None:
        self.events = list(events)
        self.asked: list[Any] = []

    def submit(self, assignment: RunAssignment) -> None:
        self.asked.append(assignment.run_id)

    def next_event(self) -> ExecutorEvent | None:
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    def release(self, run_id: str, attempt: int) -> None:
        self.asked.append(("release", run_id, attempt))

    def close(self) -> None:
        self.asked.append("close")


def test_runs_are_submitted_as_workers_get_free_and_events_reach_the_driver(result) -> None:
    done = result(0.5)
    driver = FakeDriver(assignment("r1"), assignment("r2"), None, assignment("r3"))
    executor = FakeExecutor(
        Evaluated(run_id="r1", attempt=1, row=ROW, checkpoint="/kept/1"),
        Finished(run_id="r1", attempt=1, result=done),
        None,
        Failed(run_id="r2", attempt=1, message="no memory", out_of_memory=True),
        Finished(run_id="r3", attempt=1, result=done),
    )
    assert drive(driver, lambda workers: executor, 2)  # type: ignore[arg-type]
    assert executor.asked == ["r1", "r2", "r3", "close"]
    assert driver.heard == [
        ("evaluation", "r1", 1, ROW, "/kept/1", None),
        ("result", "r1", 1, done),
        ("error", "r2", 1, "no memory", True, False),
        ("result", "r3", 1, done),
    ]


def test_what_is_running_when_nothing_more_is_assigned_is_waited_for(result) -> None:
    driver = FakeDriver(assignment("r1"), FINISHED)
    executor = FakeExecutor(None, Finished(run_id="r1", attempt=1, result=result(0.5)))
    assert drive(driver, lambda workers: executor, 2)  # type: ignore[arg-type]
    assert (executor.events, executor.asked) == ([], ["r1", "close"])


def test_an_overdue_run_is_released_and_holds_its_worker_until_it_has_ended() -> None:
    driver = FakeDriver(assignment("r1"), assignment("r2"))
    driver.overdue = [[], [assignment("r1")]]
    executor = FakeExecutor(None, None, LOST, WorkerLost(run_id="r2", attempt=1, cause="process"))
    assert drive(driver, lambda workers: executor, 1)  # type: ignore[arg-type]
    assert executor.asked == ["r1", ("release", "r1", 1), "r2", "close"]


def test_a_lost_machine_is_no_failure_but_not_forever() -> None:
    losses = MAX_NODE_LOSSES + 1
    driver = FakeDriver(*(assignment("r1", attempt) for attempt in range(losses)))
    executor = FakeExecutor(*(WorkerLost(run_id="r1", attempt=attempt, cause="machine") for attempt in range(losses)))
    assert drive(driver, lambda workers: executor, 1)  # type: ignore[arg-type]
    assert [(out_of_memory, machine) for *_, out_of_memory, machine in driver.heard] == [
        *[(False, True)] * MAX_NODE_LOSSES,
        (True, False),
    ], "from then on it is taken for a worker that wants too much memory"


def test_a_killed_worker_is_taken_for_one_out_of_memory_and_one_that_raised_is_not() -> None:
    driver = FakeDriver(assignment("r1"), assignment("r2"))
    raised = WorkerLost(run_id="r2", attempt=1, cause="error", message="ValueError: a fault of ours")
    assert drive(driver, lambda workers: FakeExecutor(LOST, raised), 2)  # type: ignore[arg-type]
    assert driver.heard[0][4:] == (True, False)
    assert driver.heard[1] == ("error", "r2", 1, "ValueError: a fault of ours", False, False)


def test_an_error_of_the_driver_ends_the_executor() -> None:
    executor = FakeExecutor()
    with pytest.raises(StorageError, match="the disk is full"):
        drive(FakeDriver(StorageError("the disk is full")), lambda workers: executor, 1)  # type: ignore[arg-type]
    assert executor.asked == ["close"]


def test_an_error_of_the_executor_is_raised() -> None:
    executor = FakeExecutor(RuntimeError("something else"))
    driver = FakeDriver(assignment("r1"))
    with pytest.raises(RuntimeError, match="something else"):
        drive(driver, lambda workers: executor, 1)  # type: ignore[arg-type]
    assert (driver.heard, executor.asked) == ([], ["r1", "close"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_loop_and_the_workers_that_end_with_it_have_not_failed(number: signal.Signals) -> None:
    class Interrupted(FakeExecutor):
        def next_event(self) -> ExecutorEvent | None:
            signal.raise_signal(number)
            return LOST

    executor = Interrupted()
    driver = FakeDriver(assignment("r1"))
    assert not drive(driver, lambda workers: executor, 1)  # type: ignore[arg-type]
    assert driver.heard == ["stop waiting"], "nor for a database that is away"
    assert executor.asked == ["r1", "close"]


def test_runs_lost_because_memory_was_short_are_done_again_by_fewer_workers(result) -> None:
    executors = [
        FakeExecutor(OutOfMemory()),
        FakeExecutor(OutOfMemory()),
        FakeExecutor(Finished(run_id="r1", attempt=3, result=result(0.5))),
    ]
    started: list[int] = []

    def start(workers: int) -> FakeExecutor:
        started.append(workers)
        return executors[len(started) - 1]

    driver = FakeDriver(assignment("r1", 1), None, assignment("r1", 2), None, assignment("r1", 3))
    assert drive(driver, start, 4)  # type: ignore[arg-type]
    assert started == [4, 2, 1]
    assert driver.heard[:2] == [("reschedule", 2), ("reschedule", 1)]
    assert [executor.asked for executor in executors] == [["r1", "close"]] * 3


def test_a_machine_without_memory_for_one_run_is_named() -> None:
    started: list[int] = []

    def start(workers: int) -> FakeExecutor:
        started.append(workers)
        return FakeExecutor(OutOfMemory())

    driver = FakeDriver(*[assignment("r1"), None] * 4)
    with pytest.raises(MachineError, match="memory for one run at a time; the machine ran out of it 4 times"):
        drive(driver, start, 2)  # type: ignore[arg-type]
    assert started == [2, 1, 1, 1]
    assert len(driver.heard) == MAX_OUT_OF_MEMORY_RESTARTS

"""What every executor must do, seen over real training of a tiny model: threads of this process, and Ray Tune."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from thread_executor import ThreadExecutor

import tiny
from unipelt_search.execution.executor import Executor, StartExecutor
from unipelt_search.execution.ray_executor import ray_executors
from unipelt_search.execution.ray_session import open_ray
from unipelt_search.execution.run_messages import (
    Evaluated,
    ExecutorEvent,
    Failed,
    Finished,
    OutOfMemory,
    RunAssignment,
    WorkerLost,
)
from unipelt_search.execution.worker import Worker, WorkerSetup
from unipelt_search.specs.study import BackboneSpec, MachineSpec
from unipelt_search.specs.trial import TrialSpec

pytestmark = pytest.mark.timeout(240)
_TURNS = 3000
"""Far more events than any of these tests has; one without an end fails instead of hanging."""
ENDLESS = tiny.tiny_trial("lora", steps=30_000, evaluations=1000, patience=1000)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> WorkerSetup:
    folder = tmp_path_factory.mktemp("tiny")
    tiny.tiny_model("bert").save_pretrained(folder)
    tiny.tiny_tokenizer().save_pretrained(folder)
    return WorkerSetup(tiny.tiny_task(), BackboneSpec(model=str(folder)), "cpu", 500)


@pytest.fixture(scope="module", params=["threads", pytest.param("ray", marks=pytest.mark.ray)])
def start(request: pytest.FixtureRequest, shared: WorkerSetup) -> Iterator[StartExecutor]:
    if request.param == "threads":
        yield lambda workers: ThreadExecutor(lambda: Worker(shared), workers)
        return
    with open_ray(MachineSpec(device="cpu", concurrency=2)) as capacity:
        yield ray_executors(capacity, shared)


@pytest.fixture
def executor(start: StartExecutor) -> Iterator[Executor]:
    made = start(1)
    yield made
    made.close()


def assignment(run_id: str, trial: TrialSpec | None = None, **named: Any) -> RunAssignment:
    run = tiny.tiny_run(trial or tiny.tiny_trial("lora"))
    return RunAssignment(run_id=run_id, attempt=1, run=run, label=run_id, checkpoint=None, **named)


def until(
    executor: Executor, ends: Callable[[ExecutorEvent], bool], events: list[ExecutorEvent] | None = None
) -> list[ExecutorEvent]:
    """Return the events up to one that ends the wait."""
    events = [] if events is None else events
    for _ in range(_TURNS):
        event = executor.next_event()
        if event is not None:
            events.append(event)
            if ends(event):
                return events
    raise AssertionError(f"the wait has no end after {events[-3:]}")


def is_last(event: ExecutorEvent) -> bool:
    return not isinstance(event, Evaluated)


def keys(events: list[ExecutorEvent]) -> list[tuple[str, type]]:
    return [(event.run_id, type(event)) for event in events if not isinstance(event, OutOfMemory)]


def test_a_run_is_trained_to_its_result(executor: Executor, shared: WorkerSetup) -> None:
    asked = assignment("a")
    executor.submit(asked)
    events = until(executor, is_last)
    alone = list(Worker(shared).events(asked))
    assert keys(events) == keys(alone) == [("a", Evaluated)] * (len(events) - 1) + [("a", Finished)]
    last, lone = events[-1], alone[-1]
    assert isinstance(last, Finished) and isinstance(lone, Finished)
    assert (last.result.tune, last.result.gates) == (lone.result.tune, lone.result.gates)


def test_more_assignments_than_workers_wait_and_a_failed_one_costs_no_other(executor: Executor) -> None:
    wide = tiny.tiny_trial("adapter").model_copy(deep=True)
    assert wide.adapter is not None
    wide = wide.model_copy(update={"adapter": wide.adapter.model_copy(update={"bottleneck": 4096})})
    for asked in (assignment("a"), assignment("wide", wide), assignment("b", tiny.tiny_trial("head"))):
        executor.submit(asked)
    ends = []
    for _ in range(3):
        ends += [event for event in until(executor, is_last) if is_last(event)]
    assert keys(ends) == [("a", Finished), ("wide", Failed), ("b", Finished)]
    failed = ends[1]
    assert isinstance(failed, Failed)
    assert "bottleneck" in failed.message
    assert not failed.out_of_memory


def test_a_released_attempt_ends_once_and_its_worker_takes_the_next_one(executor: Executor) -> None:
    executor.submit(assignment("endless", ENDLESS))
    executor.submit(assignment("next"))
    events = until(executor, lambda event: isinstance(event, Evaluated))
    executor.release("endless", 2)
    executor.release("unknown", 1)
    until(executor, lambda event: isinstance(event, Evaluated), events)
    assert set(keys(events)) == {("endless", Evaluated)}, "another attempt and another run are no reason to end it"
    executor.release("endless", 1)
    executor.release("endless", 1)
    until(executor, is_last, events)
    assert keys(events)[-1] == ("endless", WorkerLost)
    executor.release("endless", 1)
    rest = until(executor, is_last)
    assert {run for run, _ in keys(rest)} == {"next"}
    assert isinstance(rest[-1], Finished)


def test_closing_ends_what_runs_without_an_event(start: StartExecutor) -> None:
    made = start(1)
    made.submit(assignment("endless", ENDLESS))
    until(made, lambda event: isinstance(event, Evaluated))
    made.close()
    made.close()
    again = start(1)  # closing has given the worker's place back
    again.submit(assignment("a"))
    assert isinstance(until(again, is_last)[-1], Finished)
    again.close()


def test_a_state_that_was_kept_is_where_the_event_says(executor: Executor, tmp_path: Path) -> None:
    executor.submit(assignment("kept", progress=tmp_path / "kept"))
    events = until(executor, is_last)
    first = events[0]
    assert isinstance(first, Evaluated)
    assert first.problem is None
    assert first.checkpoint is not None
    assert Path(first.checkpoint).parent == tmp_path / "kept"

"""An executor whose workers are threads of the test's own process: what an executor must do, without Ray."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Protocol

import pytest

from unipelt_search.execution import ray_executor, ray_session
from unipelt_search.execution.run_messages import (
    AttemptKey,
    Evaluated,
    ExecutorEvent,
    RunAssignment,
    RunEvent,
    WorkerLost,
)
from unipelt_search.execution.worker import Worker, WorkerSetup, one_line
from unipelt_search.search.capacity import Capacity
from unipelt_search.specs.study import MachineSpec

_NO_EVENT_SECONDS = 0.2


class TrainsRuns(Protocol):
    """What the executor needs of a worker."""

    def events(self, assignment: RunAssignment) -> Iterator[RunEvent]: ...


class ThreadExecutor:
    """Trains runs in threads, each with a worker of its own.

    A worker goes on only when the driver has handled its last event, as on Ray: what a test does in between is in
    order.
    """

    def __init__(self, make_worker: Callable[[], TrainsRuns], workers: int) -> None:
        self._make_worker = make_worker
        self._submitted: SimpleQueue[RunAssignment | None] = SimpleQueue()
        self._events: SimpleQueue[tuple[ExecutorEvent, threading.Event]] = SimpleQueue()
        self._handled: threading.Event | None = None
        self._open: set[AttemptKey] = set()
        self._released: set[AttemptKey] = set()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, assignment: RunAssignment) -> None:
        self._open.add(assignment.key)
        self._submitted.put(assignment)

    def next_event(self) -> ExecutorEvent | None:
        if self._handled is not None:
            self._handled.set()
            self._handled = None
        try:
            event, self._handled = self._events.get(timeout=_NO_EVENT_SECONDS)
        except Empty:
            return None
        return event

    def release(self, run_id: str, attempt: int) -> None:
        if (run_id, attempt) in self._open:
            self._released.add((run_id, attempt))

    def close(self) -> None:
        self._closed = True
        for _ in self._threads:
            self._submitted.put(None)
        for thread in self._threads:
            thread.join(20)

    def _work(self) -> None:
        worker: TrainsRuns | None = None
        while not self._closed and (assignment := self._submitted.get()) is not None:
            try:
                worker = worker or self._make_worker()
                self._train(worker, assignment)
            except Exception as error:  # noqa: BLE001 - a worker that cannot be made is lost
                self._say(
                    WorkerLost(
                        run_id=assignment.run_id, attempt=assignment.attempt, cause="error", message=one_line(error)
                    )
                )

    def _train(self, worker: TrainsRuns, assignment: RunAssignment) -> None:
        for event in worker.events(assignment):
            if assignment.key in self._released:
                break
            self._say(event)
            # Before the worker is asked to go on: what was not heard of must not have happened.
            if self._closed or not isinstance(event, Evaluated):
                return
        self._say(WorkerLost(run_id=assignment.run_id, attempt=assignment.attempt, cause="process"))

    def _say(self, event: RunEvent | WorkerLost) -> None:
        handled = threading.Event()
        if not isinstance(event, Evaluated):
            self._open.discard(event.key)
        self._events.put((event, handled))
        while not self._closed and not handled.wait(0.05):
            pass


def train_in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Train in a thread instead of on Ray until the test ends; returns the labels of the runs, as they begin."""
    begun: list[str] = []

    class Noted(Worker):
        def events(self, assignment: RunAssignment) -> Iterator[RunEvent]:
            begun.append(assignment.label)
            yield from super().events(assignment)

    @contextmanager
    def open_ray(machine: MachineSpec) -> Iterator[Capacity]:
        yield Capacity("cpu", 1, 1.0, 0.0)

    def thread_executors(capacity: Capacity, shared: WorkerSetup) -> Callable[[int], ThreadExecutor]:
        return lambda workers: ThreadExecutor(lambda: Noted(shared), workers)

    monkeypatch.setattr(ray_session, "open_ray", open_ray)
    monkeypatch.setattr(ray_executor, "ray_executors", thread_executors)
    return begun

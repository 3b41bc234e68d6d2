"""Training in the test's own process, in a thread, in place of Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from thread_executor import ThreadExecutor

from unipelt_search.execution import ray_executor, ray_session
from unipelt_search.execution.run_messages import RunAssignment, RunEvent
from unipelt_search.execution.worker import Worker, WorkerSetup
from unipelt_search.search.capacity import Capacity
from unipelt_search.specs.study import MachineSpec


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

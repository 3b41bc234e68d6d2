"""Driving a study: ask the driver what to run, have an executor run it, tell the driver what came of it.

The loop is written once for every executor. An executor trains and reports, and decides nothing: what a lost worker or
a machine without memory means for a run is decided here, and what to run next in the driver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from unipelt_search.errors import MachineError
from unipelt_search.execution.driver import FINISHED, Driver
from unipelt_search.execution.interrupts import interrupt_on_signal
from unipelt_search.execution.run_messages import (
    AttemptKey,
    Evaluated,
    ExecutorEvent,
    Failed,
    Finished,
    OutOfMemory,
    RunAssignment,
    WorkerLost,
)
from unipelt_search.records.notice import Notice

MAX_OUT_OF_MEMORY_RESTARTS = 4
"""How often all workers may be lost because their machine ran out of memory, each time half of them are started."""
MAX_NODE_LOSSES = 3
"""How many machines a run may lose; a worker that wants too much memory now and then looks alike."""
_MACHINE_LOST = "The machine that trained this run was lost."
_PROCESS_ENDED = "The worker process ended while it trained this run: it ran out of memory, or was killed."


class Executor(Protocol):
    """Trains assignments on workers that stay warm.

    Every method is called from one thread. Each attempt that was submitted ends with exactly one last event,
    `Finished`, `Failed` or `WorkerLost`, whether it was released or not. An `OutOfMemory` stands for the last events of
    all; after it the executor can only be closed.
    """

    def submit(self, assignment: RunAssignment) -> None:
        """Have an assignment trained; one that finds no free worker waits for it."""

    def next_event(self) -> ExecutorEvent | None:
        """Wait for the next event; None where nothing has happened for about a second.

        Raises:
            Exception: The executor itself has failed.
        """

    def release(self, run_id: str, attempt: int) -> None:
        """End the work on an attempt, and its worker where there is no other way; another worker is started then.

        Idempotent: an attempt that has ended, was released before or was never submitted is left alone.
        """

    def close(self) -> None:
        """End every worker; attempts that have not ended stay unfinished, without an event. Idempotent."""


StartExecutor = Callable[[int], Executor]
"""Makes an executor with so many workers."""


def drive(driver: Driver, start: StartExecutor, workers: int) -> bool:
    """Run what the driver assigns until nothing is left.

    The first Ctrl-C or SIGTERM ends the loop in order, a second one ends it at once.

    Args:
        driver: Knows what to run.
        start: Makes the executor that runs it; called again with fewer workers where a machine has run out of memory.
        workers: Runs at a time.

    Returns:
        True when every assignment has ended; False when the user interrupted, with runs left running.

    Raises:
        MachineError: There is not enough memory for one run at a time.
        KeyboardInterrupt: The user interrupted twice.
    """
    loop = StudyLoop(driver, start, workers)
    with interrupt_on_signal(loop.interrupt):
        return loop.run()


class StudyLoop:
    """The decisions between a driver and an executor."""

    def __init__(self, driver: Driver, start: StartExecutor, workers: int) -> None:
        """Begin with nothing submitted.

        Args:
            driver: Knows what to run.
            start: Makes an executor.
            workers: Runs at a time.
        """
        self._driver = driver
        self._start = start
        self._workers = workers
        self._executor = start(workers)
        self._open: set[AttemptKey] = set()
        """Attempts without a last event; the driver may have given up some of them."""
        self._all_assigned = False
        self._interrupted = False
        self._restarts = 0
        self._nodes_lost: Counter[str] = Counter()

    def interrupt(self) -> None:
        """End the loop at its next step, and wait no longer for a database; may be called by a signal's handler."""
        self._interrupted = True
        self._driver.stop_waiting()

    def run(self) -> bool:
        """Go on until nothing is left to run, and close the executor.

        Returns:
            Whether it came to that; False after `interrupt`.

        Raises:
            MachineError: There is not enough memory for one run at a time.
        """
        try:
            return self._run()
        finally:
            self._executor.close()

    def _run(self) -> bool:
        while not self._interrupted:
            # Between any two events, so that a run that hangs is noticed while the others go on.
            for late in self._driver.fail_overdue():
                self._executor.release(late.run_id, late.attempt)
            self._submit()
            if self._all_assigned and not self._open:
                return True
            event = self._executor.next_event()
            if event is not None:
                self._handle(event)
        return False

    def _submit(self) -> None:
        # Counted here and not by the driver: a run that the driver has given up holds its worker until its last event.
        while not self._all_assigned and len(self._open) < self._workers:
            assignment = self._driver.next_run()
            if assignment is FINISHED:
                self._all_assigned = True
            elif assignment is None:
                return
            else:
                self._open.add(assignment.key)
                self._executor.submit(assignment)

    def _handle(self, event: ExecutorEvent) -> None:
        match event:
            case Evaluated():
                self._driver.on_evaluation(
                    event.run_id, event.attempt, event.row, checkpoint=event.checkpoint, problem=event.problem
                )
            case Finished():
                self._open.discard(event.key)
                self._driver.on_result(event.run_id, event.attempt, event.result)
            case Failed():
                self._open.discard(event.key)
                self._driver.on_error(event.run_id, event.attempt, event.message, out_of_memory=event.out_of_memory)
            case WorkerLost():
                self._open.discard(event.key)
                self._on_worker_lost(event)
            case OutOfMemory():
                self._restart_with_fewer()

    def _on_worker_lost(self, event: WorkerLost) -> None:
        if self._interrupted:
            return  # a scheduler's SIGTERM reaches the workers too; their runs are released, not failed
        if event.cause == "error":
            self._driver.on_error(event.run_id, event.attempt, event.message)
        elif event.cause == "machine" and self._nodes_lost[event.run_id] < MAX_NODE_LOSSES:
            self._nodes_lost[event.run_id] += 1
            self._driver.on_error(event.run_id, event.attempt, _MACHINE_LOST, machine_lost=True)
        else:
            # A process that was killed, or one machine too many, is taken for a run that wants too much memory: the
            # kernel and Ray kill without a word, and half of the rows at a time can do no harm.
            self._driver.on_error(event.run_id, event.attempt, _PROCESS_ENDED, out_of_memory=True)

    def _restart_with_fewer(self) -> None:
        self._restarts += 1
        self._workers = max(1, self._workers // 2)
        fewer = Notice(code="fewer_workers", severity="warning", values={"workers": self._workers})
        self._driver.reschedule(self._workers, fewer)
        if self._restarts == MAX_OUT_OF_MEMORY_RESTARTS:
            raise MachineError(
                f"A study needs memory for one run at a time; the machine ran out of it {MAX_OUT_OF_MEMORY_RESTARTS} "
                "times. Free some, or ask for a smaller task.max_length, space.batch_size or backbone; what is "
                "finished is kept."
            )
        # The driver has let every run wait again, so that there is something to assign even after the last one.
        self._open.clear()
        self._all_assigned = False
        self._executor.close()
        self._executor = self._start(self._workers)

"""Running assignments on Ray Tune.

Tune schedules and keeps workers warm, nothing more: what to run comes from the driver, every event goes to the driver,
and Tune's own files are thrown away. A study goes on from the database, never from Tune's state.

Tune owns its loop and calls back, while an `Executor` is asked for its next event. So Tune runs in a thread of its own
that has its turn only while `next_event` waits: the two threads never run at once, as if Tune's loop were a generator
that yields events.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.exceptions import ActorUnavailableError, OutOfMemoryError, RayActorError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from unipelt_search.errors import UnipeltError
from unipelt_search.execution.ray_worker import RunWorker
from unipelt_search.execution.run_messages import (
    AttemptKey,
    Evaluated,
    ExecutorEvent,
    OutOfMemory,
    RunAssignment,
    WorkerLost,
    decode_assignment,
    decode_event,
    encode_assignment,
)
from unipelt_search.execution.worker import WorkerSetup, one_line
from unipelt_search.search.capacity import Capacity

_STOP_SECONDS = 10.0
"""How long closing waits for Tune's thread. Tune comes to its next step in far less, unless its cluster hangs; then the
thread ends with the process."""


class _StopTune(BaseException):
    """Leaves `Tuner.fit` between two of its steps; Tune itself catches every `Exception`."""


class RayExecutor:
    """An `Executor` on Ray Tune, inside `open_ray`; `ray_executors` makes them."""

    def __init__(self, trainable: Any, capacity: Capacity) -> None:
        """Begin without workers; Tune starts with the first `next_event`.

        Args:
            trainable: A `RunWorker` with what it loads.
            capacity: How many workers, and what each gets.
        """
        self._trainable = trainable
        self._capacity = capacity
        self._thread: threading.Thread | None = None
        self._closing = False
        self._turns: SimpleQueue[None] = SimpleQueue()
        self._said: SimpleQueue[ExecutorEvent | BaseException | None] = SimpleQueue()
        self._waiting: deque[RunAssignment] = deque()
        """Submitted, and not yet handed to Tune."""
        self._released: deque[WorkerLost] = deque()
        """Last events of what was released before Tune was handed it."""
        self._open: set[AttemptKey] = set()
        """Submitted, and without a last event."""
        self._trials: list[Trial] = []

    def __getstate__(self) -> dict[str, Any]:
        """Keep nothing: Tune pickles its settings for a restore that never comes."""
        return {}

    def submit(self, assignment: RunAssignment) -> None:
        """Have an assignment trained; one that finds no free worker waits for it."""
        self._waiting.append(assignment)
        self._open.add(assignment.key)

    def next_event(self) -> ExecutorEvent | None:
        """Let Tune go on up to its next event; None where a step of it brought none.

        Raises:
            RuntimeError: Tune failed.
            UnipeltError: Tune ended by itself.
        """
        if self._released:
            return self._end(self._released.popleft())
        if self._thread is None:
            self._thread = threading.Thread(target=self._fit, name="ray-tune", daemon=True)
            self._thread.start()
        else:
            self._turns.put(None)
        event = self._said.get()
        if not isinstance(event, BaseException):
            return self._end(event)
        if isinstance(event, RuntimeError) and isinstance(event.__cause__, OutOfMemoryError):
            return OutOfMemory()  # Tune gives up where Ray ends workers because memory is short
        raise event

    def release(self, run_id: str, attempt: int) -> None:
        """End the worker of an attempt; Tune starts another one."""
        key = (run_id, attempt)
        waiting = next((assignment for assignment in self._waiting if assignment.key == key), None)
        if waiting is not None:
            self._waiting.remove(waiting)
            self._released.append(WorkerLost(run_id=run_id, attempt=attempt, cause="process"))
            return
        for trial in self._trials if key in self._open else ():
            actor = trial.temporary_state.ray_actor
            if actor is not None and decode_assignment(trial.config).key == key:
                ray.kill(actor)

    def close(self) -> None:
        """Leave Tune at its next step."""
        if self._closing:
            return
        self._closing = True
        if self._thread is not None:
            self._turns.put(None)
            self._thread.join(_STOP_SECONDS)

    def _end(self, event: ExecutorEvent | None) -> ExecutorEvent | None:
        """Note the end of an attempt; a second one, as of a worker that is killed after its last word, is no event."""
        if event is None or isinstance(event, OutOfMemory):
            return event
        if event.key not in self._open:
            return None
        if not isinstance(event, Evaluated):
            self._open.discard(event.key)
        return event

    def _fit(self) -> None:
        """Run Tune in its own thread until `close`, or until it fails."""
        try:
            self._run_tuner()
        except _StopTune:
            return
        except BaseException as error:  # noqa: BLE001 - this thread has nobody to raise to; `next_event` raises it again
            self._said.put(error)
            return
        if not self._closing:
            self._said.put(UnipeltError("Ray Tune must run until the study has ended; it ended by itself."))

    def _run_tuner(self) -> None:
        with TemporaryDirectory(prefix="unipelt-search-", ignore_cleanup_errors=True) as folder:
            resources = {"cpu": self._capacity.cpus, "gpu": self._capacity.gpus}
            tuner = tune.Tuner(
                tune.with_resources(self._trainable, resources),
                tune_config=tune.TuneConfig(
                    search_alg=_Assigner(self),
                    num_samples=-1,
                    max_concurrent_trials=self._capacity.workers,
                    reuse_actors=True,
                    trial_name_creator=_short_name,
                    trial_dirname_creator=_short_name,
                ),
                run_config=tune.RunConfig(
                    name="runs",
                    storage_path=folder,
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                    callbacks=[_Listener(self)],
                    verbose=0,
                ),
            )
            tuner.fit()

    # What follows is called from Tune's thread alone.

    def _say(self, event: ExecutorEvent | None) -> None:
        """Hand over an event and the turn; come back with the next turn."""
        if not self._closing:
            self._said.put(event)
            self._turns.get()

    def _step(self, trials: list[Trial]) -> None:
        self._trials = trials
        self._say(None)
        if self._closing and self._open:
            raise _StopTune

    def _next_config(self) -> dict[str, str] | str | None:
        if not self._waiting:
            self._say(None)  # Tune asks on and on when nothing runs, and takes no step in between
        if self._closing:
            return str(Searcher.FINISHED)
        return encode_assignment(self._waiting.popleft()) if self._waiting else None


def ray_executors(capacity: Capacity, shared: WorkerSetup) -> Callable[[int], RayExecutor]:
    """Prepare executors on Ray Tune.

    Args:
        capacity: What each worker gets.
        shared: What every worker loads; kept in Ray's object store once for all executors.

    Returns:
        What makes one, given the number of its workers.
    """
    trainable = tune.with_parameters(RunWorker, shared=shared, threads=capacity.threads)
    return lambda workers: RayExecutor(trainable, replace(capacity, workers=workers))


class _Assigner(Searcher):  # type: ignore[misc]  # ray's classes are untyped
    """Hands Tune what was submitted; keeps no state of its own."""

    def __init__(self, executor: RayExecutor) -> None:
        super().__init__()
        self._executor = executor

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        return self._executor._next_config()

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,
    ) -> None:
        """Do nothing: the listener has told the driver."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the database knows."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: Tune's state is never gone back to."""


class _Listener(tune.Callback):  # type: ignore[misc]  # ray's classes are untyped
    """Turns Tune's callbacks into events."""

    def __init__(self, executor: RayExecutor) -> None:
        self._executor = executor

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._executor._step(trials)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        self._executor._say(decode_event(result))

    def on_trial_error(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        **info: Any,
    ) -> None:
        self._executor._say(worker_lost(trial))


def worker_lost(trial: Trial) -> WorkerLost:
    """Say why the worker of a trial of Tune's ended.

    Args:
        trial: A trial that ended with an error.

    Returns:
        The event.
    """
    run_id, attempt = decode_assignment(trial.config).key
    error = error_of(trial)
    if isinstance(error, RayActorError) and error.actor_init_failed:
        # The cause itself is not kept; its line is the last one of its traceback.
        cause = str(error).strip().splitlines()[-1]
        return WorkerLost(run_id=run_id, attempt=attempt, cause="error", message=cause)
    if isinstance(error, RayTaskError):
        return WorkerLost(run_id=run_id, attempt=attempt, cause="error", message=one_line(error.cause))
    if is_lost_machine(error):
        return WorkerLost(run_id=run_id, attempt=attempt, cause="machine")
    return WorkerLost(run_id=run_id, attempt=attempt, cause="process")


def error_of(trial: Trial) -> BaseException | None:
    """Return why the worker of a trial of Tune's ended.

    `Trial.get_pickled_error` looks for the file where Tune has not copied it to yet.
    """
    file = trial.pickled_error_file
    if file is None:
        return None
    error: BaseException = cloudpickle.loads(Path(file).read_bytes())
    return error


def is_lost_machine(error: BaseException | None) -> bool:
    """Tell whether a machine of the cluster is gone, and not only a worker on it."""
    # Nobody is left there who could say that the worker has ended.
    unavailable = isinstance(error, ActorUnavailableError) or "its node has died" in str(error)
    return isinstance(error, RayActorError) and (error.preempted or unavailable)


def _short_name(trial: Trial) -> str:
    return f"run-{trial.trial_id}"

"""Running a study's assignments on Ray Tune.

Tune schedules and keeps workers warm, nothing more: what to run comes from the driver, every answer goes to the
driver, and Tune's own files are thrown away. A study goes on from the database, never from Tune's state.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, TypeVar

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from unipelt_search.errors import MachineError
from unipelt_search.execution.driver import FINISHED, Driver
from unipelt_search.execution.ray_session import handled
from unipelt_search.execution.worker import RunWorker, error_of, is_lost_machine, one_line
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.search.capacity import Capacity
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.tasks.encode import EncodedTask

_Result = TypeVar("_Result")
_ENDS = (signal.SIGINT, signal.SIGTERM)
_MAX_OUT_OF_MEMORY_RESTARTS = 4
"""How often runs are taken up again that were lost for want of memory, each time with half of the workers."""
_MAX_NODE_LOSSES = 3
"""How many machines a run may lose; a worker that wants too much memory now and then looks alike."""


class _StopTune(BaseException):
    """Leaves `Tuner.fit` between two of its steps; Tune itself catches every `Exception`."""


def execute(driver: Driver, capacity: Capacity, task: EncodedTask, backbone: BackboneSpec, tune_rows: int) -> bool:
    """Run what the driver assigns until nothing is left, inside `open_ray`.

    Args:
        driver: Knows what to run.
        capacity: How many workers, and what each gets.
        task: The encoded task.
        backbone: Which backbone.
        tune_rows: Tune rows that an evaluation scores at most.

    Returns:
        True when every assignment was answered; False when the user interrupted, with runs left running.

    Raises:
        MachineError: There is not enough memory for one run at a time.
        RuntimeError: Tune failed.
    """
    adapter = _TuneAdapter(driver)
    worker = tune.with_parameters(
        RunWorker,
        task=task,
        backbone=backbone.absolute(),
        device=capacity.device,
        threads=capacity.threads,
        tune_rows=tune_rows,
    )
    for _ in range(_MAX_OUT_OF_MEMORY_RESTARTS):
        try:
            _fit(adapter, worker, capacity)
            break
        except RuntimeError as error:  # Tune gives up where Ray ends workers for want of memory
            if not isinstance(error.__cause__, OutOfMemoryError):
                raise
            capacity = replace(capacity, workers=max(1, capacity.workers // 2))
            driver.reschedule(
                capacity.workers,
                Notice(code="fewer_workers", severity="warning", values={"workers": capacity.workers}),
            )
    else:
        raise MachineError(
            f"A study needs memory for one run at a time; the machine ran out of it {_MAX_OUT_OF_MEMORY_RESTARTS} "
            "times. Free some, or ask for a smaller task.max_length, space.batch_size or backbone; what is finished is "
            "kept."
        )
    if adapter.error is not None:
        raise adapter.error
    return not adapter.interrupted


def _fit(adapter: _TuneAdapter, worker: Any, capacity: Capacity) -> None:
    with TemporaryDirectory(prefix="unipelt-search-", ignore_cleanup_errors=True) as folder:
        tuner = tune.Tuner(
            tune.with_resources(worker, {"cpu": capacity.cpus, "gpu": capacity.gpus}),
            tune_config=tune.TuneConfig(
                search_alg=_Assigner(adapter),
                num_samples=-1,
                max_concurrent_trials=capacity.workers,
                reuse_actors=True,
                trial_name_creator=_short_name,
                trial_dirname_creator=_short_name,
            ),
            run_config=tune.RunConfig(
                name="runs",
                storage_path=folder,
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                callbacks=[_Listener(adapter)],
                verbose=0,
            ),
        )
        try:
            with _handle_signals(adapter):
                tuner.fit()
        except _StopTune:
            pass


class _TuneAdapter:
    """Between Tune's callbacks, which must never raise, and the driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.error: Exception | None = None
        self.interrupted = False
        self._nodes_lost: Counter[str] = Counter()

    def __getstate__(self) -> dict[str, Any]:
        """Keep nothing: Tune pickles its settings for a restore that never comes."""
        return {}

    def interrupt(self) -> None:
        self.interrupted = True
        self._driver.stop_waiting()

    def stop_if_needed(self) -> None:
        if self.interrupted or self.error is not None:
            raise _StopTune

    def assign(self) -> dict[str, Any] | str | None:
        if self.interrupted:
            return str(Searcher.FINISHED)  # Tune asks on and on when nothing runs, and takes no step in between
        assignment = self._guard(self._driver.next_run)
        if assignment is FINISHED or self.error is not None:
            return str(Searcher.FINISHED)
        if assignment is None:
            return None
        return {
            "run_id": assignment.run_id,
            "attempt": assignment.attempt,
            "run": assignment.run.model_dump_json(),
            "checkpoint": str(assignment.checkpoint.resolve()) if assignment.checkpoint else None,
            "progress": str(assignment.progress) if assignment.progress else None,
            "micro_batch": assignment.micro_batch,
        }

    def end_overdue(self, trials: list[Trial]) -> None:
        """End the workers of runs that take too long; others are started in their place."""
        late = self._guard(self._driver.fail_overdue) or []
        ended = {(assignment.run_id, assignment.attempt) for assignment in late}
        for trial in trials if ended else ():
            actor = trial.temporary_state.ray_actor
            if actor is not None and (trial.config["run_id"], trial.config["attempt"]) in ended:
                ray.kill(actor)

    def on_message(self, config: dict[str, Any], result: dict[str, Any]) -> None:
        self._guard(lambda: self._dispatch(config["run_id"], config["attempt"], result))

    def on_worker_lost(self, config: dict[str, Any], error: BaseException | None) -> None:
        if self.interrupted:
            return  # a scheduler's SIGTERM reaches the workers too; their runs are released, not failed
        run_id = config["run_id"]
        memory = machine = False
        if isinstance(error, RayTaskError):
            message = one_line(error.cause)
        elif is_lost_machine(error) and self._nodes_lost[run_id] < _MAX_NODE_LOSSES:
            message, machine = "The machine that trained this run was lost.", True
            self._nodes_lost[run_id] += 1
        else:
            message = "The worker process ended while it trained this run: it ran out of memory, or was killed."
            memory = True
        self._guard(lambda: self._driver.on_error(run_id, config["attempt"], message, memory=memory, machine=machine))

    def _dispatch(self, run_id: str, attempt: int, result: dict[str, Any]) -> None:
        match result["kind"]:
            case "evaluation":
                row = EvaluationRow.model_validate_json(result["record"])
                kept = result["checkpoint"]
                problem = Notice.model_validate_json(result["problem"]) if result["problem"] else None
                self._driver.on_evaluation(run_id, attempt, row, checkpoint=kept, problem=problem)
            case "result":
                self._driver.on_result(run_id, attempt, RunResult.model_validate_json(result["record"]))
            case "error":
                self._driver.on_error(run_id, attempt, result["message"], memory=result["memory"])

    def _guard(self, call: Callable[[], _Result]) -> _Result | None:
        if self.error is not None:
            return None
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - Tune would swallow or garble it; `execute` raises it again
            self.error = error
            return None


class _Assigner(Searcher):  # type: ignore[misc]  # ray's classes are untyped
    """Asks the driver for the next run; keeps no state of its own."""

    def __init__(self, adapter: _TuneAdapter) -> None:
        super().__init__()
        self._adapter = adapter

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        return self._adapter.assign()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the listener has told the driver."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the database knows."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing: Tune's state is never gone back to."""


class _Listener(tune.Callback):  # type: ignore[misc]  # ray's classes are untyped
    """Hands every answer of a worker to the driver."""

    def __init__(self, adapter: _TuneAdapter) -> None:
        self._adapter = adapter

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._adapter.stop_if_needed()
        self._adapter.end_overdue(trials)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._adapter.on_message(trial.config, result)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._adapter.on_worker_lost(trial.config, error_of(trial))


def _short_name(trial: Trial) -> str:
    return f"run-{trial.trial_id}"


@contextmanager
def _handle_signals(adapter: _TuneAdapter) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a quick, orderly end; a second one ends at once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        adapter.interrupt()
        for signal_ in _ENDS:
            signal.signal(signal_, signal.default_int_handler)

    with handled(dict.fromkeys(_ENDS, interrupt)):
        yield

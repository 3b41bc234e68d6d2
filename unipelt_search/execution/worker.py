"""The worker: a warm process that trains one run after another on Ray Tune.

It keeps the device, the frozen backbone and the encoded task from run to run; only the run changes.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from ray import cloudpickle, tune
from ray.exceptions import ActorUnavailableError, RayActorError
from ray.tune.experiment import Trial

from unipelt_search.backbones.backbone import load_backbone
from unipelt_search.errors import UnipeltError
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.remote_paths import to_storage_path
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import EncodedTask
from unipelt_search.training.checkpoint import RunCheckpoints
from unipelt_search.training.train import train_events

_LONGEST_MESSAGE = 500
_NO_MEMORY = ("can't allocate memory", "_STATUS_ALLOC_FAILED")
"""Of torch's allocator for the CPU, which raises no class of its own, and of CUDA's libraries."""


class RunWorker(tune.Trainable):  # type: ignore[misc]  # ray's classes are untyped
    """Trains the run in its configuration; one step goes on to the run's next event."""

    def setup(
        self,
        config: dict[str, Any],
        *,
        task: EncodedTask,
        backbone: BackboneSpec,
        device: str,
        threads: int,
        tune_rows: int,
    ) -> None:
        """Load once what every run shares.

        Args:
            config: The first run, as an assignment has it: `run_id`, `attempt`, `run`, a `RunSpec` as JSON,
                `checkpoint` and `progress`, each a folder or None, and `micro_batch`.
            task: The encoded task.
            backbone: Which backbone; local folders absolute, since Ray moves the working directory.
            device: `cpu` or `cuda`.
            threads: Threads of this process on a CPU.
            tune_rows: Tune rows that an evaluation scores at most.
        """
        if device == "cpu":
            torch.set_num_threads(threads)
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it cuBLAS is not deterministic
        torch.use_deterministic_algorithms(True, warn_only=True)
        self._task, self._tune_rows = task, tune_rows
        self._backbone = load_backbone(backbone, task.target.outputs, device)
        self._events: Iterator[EvaluationRow | RunResult] | None = None
        self._progress: RunCheckpoints | None = None
        self._config = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next run.

        Args:
            new_config: The run, as in `setup`.

        Returns:
            True: the process stays warm.
        """
        self._release()
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the run's next event.

        Returns:
            `kind` (`evaluation`, `result` or `error`), and the record as JSON or the error as one line. With an
            evaluation `checkpoint`, where the run's state was kept, or `problem`, why it was not; with an error
            `memory`, whether want of memory is its cause.
        """
        try:
            return self._next_event()
        except Exception as error:  # noqa: BLE001 - a run's fault is an answer; raised, it would cost the warm process
            answer = {"kind": "error", "message": one_line(error), "memory": is_out_of_memory(error), "done": True}
        self._release()  # behind the handler, whose error holds on to what the step had in memory
        return answer

    def cleanup(self) -> None:
        """Let go of a run that was not finished."""
        self._release()

    def _next_event(self) -> dict[str, Any]:
        if self._events is None:
            self._events = self._begin()
        event = next(self._events)
        if isinstance(event, EvaluationRow):
            kept = self._progress
            newest = kept.newest if kept and not kept.problem else None
            return {
                "kind": "evaluation",
                "record": event.model_dump_json(),
                "checkpoint": str(newest) if newest else None,
                "problem": kept.problem.model_dump_json() if kept and kept.problem else None,
            }
        self._release()
        return {"kind": "result", "record": event.model_dump_json(), "done": True}

    def _begin(self) -> Iterator[EvaluationRow | RunResult]:
        config = self._config
        checkpoint, folder = (
            to_storage_path(config[name]) if config[name] else None for name in ("checkpoint", "progress")
        )
        self._progress = RunCheckpoints(folder, config["run_id"], config["attempt"]) if folder else None
        return train_events(
            RunSpec.model_validate_json(config["run"]),
            self._backbone,
            self._task,
            checkpoint=checkpoint,
            tune_rows=self._tune_rows,
            progress=self._progress,
            micro_batch=config["micro_batch"],
        )

    def _release(self) -> None:
        self._events = None  # closes the generator, which takes the run's hooks off the backbone
        gc.collect()
        if self._backbone.device.type == "cuda":
            torch.cuda.empty_cache()


def one_line(error: BaseException) -> str:
    """Say in one line what went wrong.

    Args:
        error: Any error.

    Returns:
        The message, behind the error's type where it is not ours.
    """
    text = " ".join(str(error).split())[:_LONGEST_MESSAGE]
    return text if isinstance(error, UnipeltError) else f"{type(error).__name__}: {text}"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether want of memory is the cause, on a CPU or a GPU."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


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

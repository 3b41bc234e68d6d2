"""The worker: trains one assignment after another and says what comes of it, whoever carries its words.

It keeps the frozen backbone and the encoded task from run to run; only the run changes.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import UnipeltError
from unipelt_search.execution.run_messages import Evaluated, Failed, Finished, RunAssignment, RunEvent
from unipelt_search.methods.plugins import check_plugins
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.tasks.encode import EncodedTask
from unipelt_search.training.checkpoint import RunCheckpoints
from unipelt_search.training.train import train_events

_LONGEST_MESSAGE = 500
_NO_MEMORY = ("can't allocate memory", "_STATUS_ALLOC_FAILED")
"""Of torch's allocator for the CPU, which raises no class of its own, and of CUDA's libraries."""


@dataclass(frozen=True)
class WorkerSetup:
    """What all runs of a study share, and every worker loads once."""

    task: EncodedTask
    backbone: BackboneSpec
    """Local folders absolute: a worker may have a working directory of its own."""
    device: Literal["cpu", "cuda"]
    tune_rows: int
    """Tune rows that an evaluation scores at most."""
    plugins: Mapping[str, str] = field(default_factory=dict)
    """The driver's versions of the packages that bring methods of the study; a worker must have the same."""


class Worker:
    """Trains one run at a time on a backbone that stays loaded."""

    def __init__(self, setup: WorkerSetup) -> None:
        """Load the backbone.

        Args:
            setup: What all runs share.

        Raises:
            MachineError: This machine lacks a plug-in of the driver's, or has another version of it.
            BackboneError: The backbone cannot be loaded.
        """
        check_plugins(setup.plugins)
        self._setup = setup
        self._backbone = load_backbone(setup.backbone, setup.task.target.outputs, setup.device)

    def events(self, assignment: RunAssignment) -> Iterator[RunEvent]:
        """Train a run up to its next event, again and again; closing the iterator gives the run up.

        Args:
            assignment: What to train.

        Yields:
            Its evaluations, then its end: a run that raises is a run that has failed, and the worker goes on.
        """
        last: RunEvent
        try:
            result = yield from self._train(assignment)
            last = Finished(run_id=assignment.run_id, attempt=assignment.attempt, result=result)
        except Exception as error:  # noqa: BLE001 - a run's fault is a message; raised, it would cost the warm process
            last = Failed(
                run_id=assignment.run_id,
                attempt=assignment.attempt,
                message=one_line(error),
                out_of_memory=is_out_of_memory(error),
            )
        finally:
            # After the handler, whose error holds on to what the run had in memory, and before the last event: whoever
            # hears it may send the next run at once.
            self._free_memory()
        yield last

    def _train(self, assignment: RunAssignment) -> Generator[Evaluated, None, RunResult]:
        """Train a run; its result is the last event, and dropping the iterator takes its hooks off the backbone."""
        kept = None
        if assignment.progress is not None:
            kept = RunCheckpoints(assignment.progress, assignment.run_id, assignment.attempt)
        events = train_events(
            assignment.run,
            self._backbone,
            self._setup.task,
            checkpoint=assignment.checkpoint,
            tune_rows=self._setup.tune_rows,
            progress=kept,
            micro_batch=assignment.micro_batch,
        )
        for event in events:
            if isinstance(event, RunResult):
                return event
            yield _evaluated(assignment, event, kept)
        raise UnipeltError("A run must end with a result; this one ended without.")

    def _free_memory(self) -> None:
        gc.collect()
        if self._backbone.device.type == "cuda":
            torch.cuda.empty_cache()


def _evaluated(assignment: RunAssignment, row: EvaluationRow, kept: RunCheckpoints | None) -> Evaluated:
    problem = None if kept is None else kept.problem
    newest = None
    if kept is not None and not problem and kept.newest is not None:
        newest = str(kept.newest)
    return Evaluated(
        run_id=assignment.run_id,
        attempt=assignment.attempt,
        row=row,
        checkpoint=newest,
        problem=problem,
    )


def one_line(error: BaseException) -> str:
    """Say in one line what went wrong.

    Args:
        error: Any error.

    Returns:
        The message, after the error's type where it is not ours.
    """
    text = " ".join(str(error).split())[:_LONGEST_MESSAGE]
    return text if isinstance(error, UnipeltError) else f"{type(error).__name__}: {text}"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether too little memory is the cause, on a CPU or a GPU."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)

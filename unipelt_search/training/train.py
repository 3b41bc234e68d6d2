"""Training runs: one alone, or a pack of them together. Needs no Ray and no database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.errors import DivergedError
from unipelt_search.pelt.applicability import packable
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.remote_paths import StoragePath
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import EncodedTask
from unipelt_search.training.checkpoint import RunCheckpoints
from unipelt_search.training.pack_training import Event, PackTraining
from unipelt_search.training.shuffled_control import shuffled, with_shuffled_control

TUNE_ROWS = 500
"""Tune rows that an evaluation scores at most."""


def train_events(
    run: RunSpec,
    backbone: Backbone,
    task: EncodedTask,
    *,
    checkpoint: StoragePath | None = None,
    tune_rows: int = TUNE_ROWS,
    progress: RunCheckpoints | None = None,
    micro_batch: int | None = None,
) -> Iterator[Event]:
    """Train one run, or go on with it.

    Args:
        run: The configuration, its seeds, and what to measure at the end.
        backbone: The frozen backbone; left as it was when the iterator ends or is closed.
        task: The encoded rows.
        checkpoint: A folder for the best weights; None writes none.
        tune_rows: Tune rows that an evaluation scores at most.
        progress: Keeps the run's state at every evaluation; where an earlier attempt has left one, the run goes on
            from there to the result of a run that nothing disturbed. None keeps none.
        micro_batch: Rows that a training pass takes at most, to save memory: the gradient of a step is added up over
            several. None takes a step's rows at once.

    Yields:
        An `EvaluationRow` at every evaluation to come, and at last one `RunResult`, which has those before it too.

    Raises:
        DivergedError: The loss became no finite number.
        BackboneError: The configuration cannot attach to the backbone.
    """
    task = task.of_resample(run.draw)
    finished = None
    with Pack(backbone, [run]) as pack:
        training = PackTraining(pack, [run], task, tune_rows, micro_batch)
        for _, event in training.events(checkpoint, progress):
            if isinstance(event, DivergedError):
                raise event
            if isinstance(event, RunResult) and run.gate_null:
                finished = event  # held back until the control has been trained
            else:
                yield event
    if finished is not None:
        switched_off = {"gate_null": False, "prune": False, "ablation": False}
        plain = run.model_copy(update={**switched_off, "draw": 0})
        mixed = shuffled(task, run.seeds.order)
        with suppress(DivergedError):  # then there is no control
            *_, control = train_events(plain, backbone, mixed, tune_rows=tune_rows, micro_batch=micro_batch)
            if isinstance(control, RunResult):
                finished = with_shuffled_control(finished, control)
        yield finished


def train(
    runs: Sequence[RunSpec], backbone: Backbone, task: EncodedTask, *, tune_rows: int = TUNE_ROWS
) -> list[RunResult | DivergedError]:
    """Train several runs: those with the same rows as one pack, those that must be alone each in its own.

    Args:
        runs: What to train.
        backbone: The frozen backbone.
        task: The encoded rows.
        tune_rows: Tune rows that an evaluation scores at most.

    Returns:
        In the order of the runs, each one's result, or the error of a run whose loss became no finite number.

    Raises:
        BackboneError: A configuration cannot attach to the backbone.
    """
    results: dict[int, RunResult | DivergedError] = {}
    for group in _groups(runs, backbone):
        members = [runs[i] for i in group]
        with Pack(backbone, members) as pack:
            rows = task.of_resample(members[0].draw)
            for slot, event in PackTraining(pack, members, rows, tune_rows).events(None, None):
                if not isinstance(event, EvaluationRow):
                    results[group[slot]] = event
    return [results[i] for i in range(len(runs))]


def _groups(runs: Sequence[RunSpec], backbone: Backbone) -> list[list[int]]:
    """Put runs into packs, by their numbers: one for each resample of rows, and one for each run that must be alone."""
    alone = []
    by_resample: dict[int, list[int]] = {}
    for number, run in enumerate(runs):
        if packable(backbone, run.trial):
            by_resample.setdefault(run.draw, []).append(number)
        else:
            alone.append([number])
    return alone + [by_resample[resample] for resample in sorted(by_resample)]

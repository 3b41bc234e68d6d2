"""How long a run would take, from a few of its steps."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice

import numpy as np

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.run_timing import RunTiming
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask
from unipelt_search.training.batches import evaluation_batches, lengths_of, training_batches
from unipelt_search.training.evaluate import every_row, predict
from unipelt_search.training.pack_training import PackTraining

TIMED_ROWS = 64
"""Tune rows from which the time to score one is estimated."""
_FEWEST_STEPS, _MOST_STEPS, _ENOUGH_SECONDS = 3, 20, 0.5
"""Timed steps: at least and at most, and the seconds after which they are enough, since short ones vary the most."""
_COUNTED_BATCHES = 500
"""Training batches that are looked at for the length of a usual one."""


def time_run(run: RunSpec, backbone: Backbone, task: EncodedTask, micro_batch: int | None = None) -> RunTiming:
    """Take a few steps of a run and throw them away.

    Batches hold rows of similar length, so a few of them may be short or long ones; what they took is taken for as many
    token positions as the batches of the whole run have.

    Args:
        run: The configuration and its seeds.
        backbone: The frozen backbone; left as it was.
        task: The encoded rows.
        micro_batch: Rows that a training pass takes at most; None is a step's rows at once.

    Returns:
        Seconds per step and per scored row, and the run's parameters.

    Raises:
        BackboneError: The configuration cannot attach to the backbone.
    """
    began = time.perf_counter()
    with Pack(backbone, [run]) as pack:
        training = PackTraining(pack, [run], task, TIMED_ROWS, micro_batch)
        start_seconds = time.perf_counter() - began
        training.step()  # the first one is slower: it allocates memory
        training.train_seconds = 0.0
        training.positions = 0
        steps = 0
        while steps < _FEWEST_STEPS or (steps < _MOST_STEPS and training.train_seconds < _ENOUGH_SECONDS):
            training.step()
            steps += 1
        began = time.perf_counter()
        predict(pack, task.tune, task.pad_token_id, training.tune_rows)
        seconds = time.perf_counter() - began
        trained, stored, _ = pack.counts(0)
    per_position = training.train_seconds / max(training.positions, 1)
    timed_positions = _scored_positions(task.tune, training.tune_rows)
    return RunTiming(
        step_seconds=per_position * _positions_per_step(run, task),
        row_seconds=seconds / timed_positions * _positions_per_row(task),
        trained_parameters=trained,
        stored_parameters=stored,
        start_seconds=start_seconds,
    )


def _positions_per_step(run: RunSpec, task: EncodedTask) -> float:
    """Return the mean number of token positions of a training batch, padding included."""
    lengths = lengths_of(task.train)
    size = run.trial.training.batch_size
    of_epoch = -(-len(lengths) // size)
    batches = training_batches(lengths, size, run.seeds.order)
    counted = min(of_epoch, _COUNTED_BATCHES)
    return _positions(lengths, islice(batches, counted)) / counted


def _positions_per_row(task: EncodedTask) -> float:
    """Return the mean number of token positions that scoring a row takes, padding included."""
    splits = (task.tune, task.select, task.test)
    positions = sum(_scored_positions(split, every_row(split)) for split in splits)
    return positions / sum(len(split) for split in splits)


def _scored_positions(split: EncodedSplit, rows: np.ndarray) -> int:
    lengths = lengths_of(split)
    return _positions(lengths, evaluation_batches(lengths, rows))


def _positions(lengths: np.ndarray, batches: Iterable[np.ndarray]) -> int:
    """Count the token positions of batches, each padded to its longest row."""
    return sum(len(batch) * int(lengths[batch].max()) for batch in batches)

"""Scoring rows with a pack: predictions label by label, and the score with a submodule removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from unipelt_search.kinds.label_kind import Target
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.results import ABLATION_ROWS, AblationRow, OutcomeRow
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask
from unipelt_search.tasks.metrics import score_logits
from unipelt_search.training.batches import evaluation_batches, lengths_of, make_batch
from unipelt_search.training.recorder import GateRecorder

_GROUPS, _FEWEST_ROWS = 20, 40
"""Groups of rows for the standard error of a drop, and rows from which it is taken."""
NOTHING: frozenset[tuple[str, int | None]] = frozenset()


def spread_rows(count: int, most: int) -> np.ndarray:
    """Choose at most ``most`` of ``count`` rows, evenly spread, in order: ``(min(count, most),)``."""
    positions = np.linspace(0, count - 1, min(count, most))
    return np.unique(positions.round().astype(np.int64))


def every_row(split: EncodedSplit) -> np.ndarray:
    """Return the numbers of all rows of a split, ``(n,)``."""
    return np.arange(len(split))


@torch.inference_mode()
def predict(
    pack: Pack,
    split: EncodedSplit,
    pad_token_id: int,
    rows: np.ndarray,
    *,
    recorder: GateRecorder | None = None,
    removed: frozenset[tuple[str, int | None]] = NOTHING,
) -> np.ndarray:
    """Compute every slot's logits for some rows of a split.

    Args:
        pack: The attached pack.
        split: The encoded rows.
        pad_token_id: What padding positions hold.
        rows: ``(m,)``, which rows.
        recorder: Who wants to see the gates.
        removed: (submodule, layer) pairs that act as if absent.

    Returns:
        ``(S, m, outputs)``, in the order of ``rows``.
    """
    position = {int(row): i for i, row in enumerate(rows)}
    shape = (pack.slots, len(rows), pack.backbone.classes)
    logits = np.empty(shape, dtype=np.float32)
    for numbers in evaluation_batches(lengths_of(split), rows):
        batch = make_batch(split, [numbers] * pack.slots, pad_token_id, pack.backbone.device)
        if recorder is not None:
            recorder.begin(numbers)
        out = pack(batch.inputs, recorder=recorder, removed=removed)
        positions = [position[int(row)] for row in numbers]
        logits[:, positions] = out.float().cpu().numpy()
    return logits


def ablate(pack: Pack, slot: int, task: EncodedTask, *, layers: bool) -> Iterator[AblationRow]:
    """Measure one slot's score on select rows with each submodule removed.

    Args:
        pack: The attached pack, with the weights to evaluate.
        slot: The run's slot in the pack.
        task: The encoded task; at most 500 of its select rows are used.
        layers: Whether each submodule is also removed from single layers.

    Yields:
        A row per submodule, with the standard error of its drop, then, with ``layers``, one per layer × submodule.

    Source:
        The jackknife over groups of rows: Shao and Tu, "The Jackknife and Bootstrap", 1995.
    """
    trial = pack.trials[slot]
    submodules = find_method(trial.method).submodules
    if not submodules:
        return
    metric = task.target.metric(task.metric)
    rows = spread_rows(len(task.select), ABLATION_ROWS)
    labels = task.select.labels[rows]
    weights = _weights_of(task, task.select, rows)

    def outputs(removed: frozenset[tuple[str, int | None]]) -> np.ndarray:
        return predict(pack, task.select, task.pad_token_id, rows, removed=removed)[slot]

    def score(logits: np.ndarray, kept_rows: np.ndarray) -> float:
        counted = None if weights is None else weights[kept_rows]
        return score_logits(task.target, task.metric, labels[kept_rows], logits[kept_rows], counted)

    every = np.ones(len(rows), dtype=bool)
    complete = outputs(NOTHING)
    full = score(complete, every)
    single = range(len(pack.layers)) if layers else ()
    for layer in (None, *single):
        for submodule in submodules:
            if (submodule, layer) in trial.without:
                continue
            without = outputs(frozenset({(submodule, layer)}))
            value = score(without, every)
            error = None
            if layer is None and len(rows) >= _FEWEST_ROWS:
                drops = []
                for group in range(_GROUPS):
                    kept = np.arange(len(rows)) % _GROUPS != group
                    drops.append(score(complete, kept) - score(without, kept))
                error = float(np.sqrt((_GROUPS - 1) * np.var(drops)))
            drop = metric.sign * (full - value)
            yield AblationRow(submodule=submodule, layer=layer, value=value, drop=drop, error=error)


def prunable_parts(
    pack: Pack,
    slot: int,
    task: EncodedTask,
    tune_rows: int,
) -> tuple[tuple[str, int], ...]:
    """Find submodules that can be taken out of single layers, all together, at no cost on tune rows.

    Those that cost least when they are taken out alone are taken out first, one after another, as long as the score is
    no worse than that of the complete model.

    Args:
        pack: The attached pack, with the weights to evaluate.
        slot: The run's slot in the pack.
        task: The encoded task.
        tune_rows: Tune rows that are scored at most; the select rows have to evaluate the smaller model.

    Returns:
        (submodule, layer) pairs, sorted; none where nothing, or everything, could go.
    """
    metric = task.target.metric(task.metric)
    rows = spread_rows(len(task.tune), tune_rows)
    labels = task.tune.labels[rows]
    weights = _weights_of(task, task.tune, rows)

    def value(removed: frozenset[tuple[str, int | None]]) -> float:
        """Return the score, with a sign that makes higher ones better."""
        logits = predict(pack, task.tune, task.pad_token_id, rows, removed=removed)[slot]
        return metric.sign * score_logits(task.target, task.metric, labels, logits, weights)

    trial = pack.trials[slot]
    submodules = find_method(trial.method).submodules
    everywhere = [(submodule, layer) for submodule in submodules for layer in range(len(pack.layers))]
    pairs = [pair for pair in everywhere if pair not in trial.without]
    full = value(NOTHING)
    removed_alone = {pair: value(frozenset({pair})) for pair in pairs}
    gone: frozenset[tuple[str, int | None]] = NOTHING
    taken = []
    for pair in sorted(pairs, key=lambda pair: -removed_alone[pair]):
        if removed_alone[pair] < full:
            break
        if value(gone | {pair}) >= full:
            gone |= {pair}
            taken.append(pair)
    return () if len(taken) == len(pairs) else tuple(sorted(taken))


def _weights_of(task: EncodedTask, split: EncodedSplit, rows: np.ndarray) -> np.ndarray | None:
    """Return what some rows of a split count in the metrics, ``(m,)``; None where all count the same."""
    weights = task.metric_weights(split)
    return None if weights is None else weights[rows]


def outcome_rows(
    split: Literal["select", "test"],
    target: Target,
    labels: np.ndarray,
    predicted: np.ndarray,
) -> Iterator[OutcomeRow]:
    """Count true labels against predictions.

    Args:
        split: Which rows.
        target: What is predicted.
        labels: The true labels, as `Target.to_array` gives them.
        predicted: The predictions in the same shape.

    Yields:
        The counts that are not 0, in the order of the labels: pairs of true and predicted label, or, where a row may
        have any number of labels, each label's hits, misses and false alarms; none for a task without labels.
    """
    for label, found, n in target.label_kind.outcomes(target, labels, predicted):
        yield OutcomeRow(split=split, label=label, predicted=found, n=n)

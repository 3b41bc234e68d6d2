"""Scores row by row from the predictions of confirmed runs, and the predictions of a repeat's folds put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unipelt_search.kinds.pseudo_values import pseudo_values
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.results import Predictions

_SINGLE = np.dtype("<f4")


def row_scores(task: TaskSummary, predictions: Sequence[Predictions]) -> np.ndarray:
    """Score every row under every run.

    Args:
        task: What was asked, and the metric.
        predictions: To the same rows in the same order, one per run, at least one; 3 rows or more.

    Returns:
        ``(S, n)``, pseudo-values where the metric is no mean over rows; the mean of a run's is its metric.
    """
    # No row is trained on here, so nothing needs to be fitted but the choice of the positive label.
    target = task.target
    metric = task.find_metric()
    true = target.to_array(predictions[0].labels)
    inputs = []
    for run in predictions:
        labels, found = metric.inputs(target.positive, true, target.to_array(run.predicted), probabilities_of(run))
        inputs.append(found)
    return pseudo_values(metric.leave_one_out, labels, np.stack(inputs), _weights_of(predictions[0]))


def can_be_scored(task: TaskSummary, predictions: Sequence[Predictions]) -> bool:
    """Tell whether predictions have what the study's metric needs.

    Args:
        task: What was asked, and the metric.
        predictions: Of any runs.

    Returns:
        False where the metric is one of probabilities and a run has not kept them.

    Raises:
        MachineError: The metric is that of a package that is not installed.
    """
    return not task.find_metric().needs_probabilities or all(run.probabilities is not None for run in predictions)


def probabilities_of(predictions: Predictions) -> np.ndarray | None:
    """Return the probabilities of predictions.

    Args:
        predictions: Of at least one row.

    Returns:
        ``(n, outputs)`` of float32; None where they were not kept.
    """
    if predictions.probabilities is None:
        return None
    return np.frombuffer(predictions.probabilities, dtype=_SINGLE).reshape(len(predictions.labels), -1)


def _weights_of(predictions: Predictions) -> np.ndarray | None:
    if predictions.weights is None:
        return None
    weights = np.asarray(predictions.weights, dtype=np.float64)
    # The unit of weights means nothing; sums of about one per row do not vanish.
    return weights / weights.mean()


def joined_folds(folds: Sequence[Predictions]) -> Predictions:
    """Put the predictions of a repeat's folds together.

    Args:
        folds: Every fold's predictions, no row twice.

    Returns:
        The predictions for all rows in their order, as if one run had made them.
    """
    order = np.argsort(_row_numbers(folds))
    positions = order.tolist()
    labels = [label for fold in folds for label in fold.labels]
    predicted = [label for fold in folds for label in fold.predicted]
    probabilities = _joined([probabilities_of(fold) for fold in folds])
    weights = _joined([None if fold.weights is None else np.asarray(fold.weights) for fold in folds])
    return Predictions(
        split="select",
        labels=tuple(labels[number] for number in positions),
        predicted=tuple(predicted[number] for number in positions),
        probabilities=None if probabilities is None else probabilities[order].tobytes(),
        weights=None if weights is None else tuple(weights[order].tolist()),
    )


def _joined(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Put the rows of folds together; None where a fold has none."""
    kept = [part for part in parts if part is not None]
    return np.concatenate(kept) if len(kept) == len(parts) else None


def fold_of_rows(folds: Sequence[Predictions]) -> np.ndarray:
    """Tell which fold held out which row.

    Args:
        folds: Every fold's predictions, no row twice.

    Returns:
        ``(n,)``, the position in `folds`, from 0, for every row in order.
    """
    sizes = [len(part.labels) for part in folds]
    positions = np.repeat(np.arange(len(folds)), sizes)
    return np.asarray(positions[np.argsort(_row_numbers(folds))])


def _row_numbers(folds: Sequence[Predictions]) -> np.ndarray:
    """Return the rows' numbers, fold after fold."""
    return np.concatenate([np.asarray(part.rows, dtype=np.int64) for part in folds])

"""Scores row by row from the predictions of confirmed runs, and the predictions of a repeat's folds put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.kinds.pseudo_values import pseudo_values
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.results import Predictions


def row_scores(task: TaskSummary, predictions: Sequence[Predictions]) -> np.ndarray:
    """Score every row under every run.

    Args:
        task: What was asked, and the metric.
        predictions: To the same rows in the same order, one per run, at least one; 3 rows or more.

    Returns:
        ``(S, n)``, pseudo-values where the metric is no mean over rows; the mean of a run's is its metric.
    """
    # No row is trained on here, so nothing needs to be fitted but the choice of the positive label.
    target = find_kind(task.kind).of_labels(task.labels)
    metric = target.metric(task.metric)
    labels = metric.view(target, target.to_array(predictions[0].labels))
    predicted = [metric.view(target, target.to_array(run.predicted)) for run in predictions]
    return pseudo_values(metric.leave_one_out, labels, np.stack(predicted))


def joined_folds(folds: Sequence[Predictions]) -> Predictions:
    """Put the predictions of a repeat's folds together.

    Args:
        folds: Every fold's predictions, no row twice.

    Returns:
        The predictions for all rows in their order, as if one run had made them.
    """
    order = np.argsort(_row_numbers(folds)).tolist()
    labels = [label for fold in folds for label in fold.labels]
    predicted = [label for fold in folds for label in fold.predicted]
    return Predictions(
        split="select",
        labels=tuple(labels[number] for number in order),
        predicted=tuple(predicted[number] for number in order),
    )


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

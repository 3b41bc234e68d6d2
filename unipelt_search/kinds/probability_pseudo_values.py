"""Leave-one-out values of the metrics of probabilities, in closed form; beside `pseudo_values`, which explains them.

Each function takes what those of `probability_scores` take, of n rows, at least three, and returns the metric with the
values ``(n,)`` that it has without each row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unipelt_search.kinds.probability_scores import (
    CHANCE_AUC,
    binary_average_precision,
    brier_scores,
    grouped,
    log_losses,
    one_against_rest,
    pair_wins,
    top_hits,
)
from unipelt_search.kinds.pseudo_values import mean_of, row_weights

_Binary = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, np.ndarray]]


def roc_auc(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the area under the ROC curve."""
    counted = row_weights(labels, weights)
    if probabilities.ndim == 1:
        true = labels == 1
        value, without = _binary_roc_auc(true, probabilities, counted)
        is_left = _both_without(true)
        return value if _has_both(true) else CHANCE_AUC, np.where(is_left, without, CHANCE_AUC)
    return _macro(labels, probabilities, counted, _binary_roc_auc, CHANCE_AUC)


def average_precision(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the average precision."""
    counted = row_weights(labels, weights)
    if probabilities.ndim == 1:
        return _binary_average_precision(labels == 1, probabilities, counted)
    return _macro(labels, probabilities, counted, _binary_average_precision, 0.0)


def log_loss(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the log loss."""
    return mean_of(log_losses(labels, probabilities), weights)


def brier(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of the Brier score."""
    return mean_of(brier_scores(labels, probabilities), weights)


def top_accuracy(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None, *, first: int
) -> tuple[float, np.ndarray]:
    """Leave rows out of the share of rows whose true class is among the most probable ones, so many of them."""
    return mean_of(top_hits(labels, probabilities, first), weights)


def _binary_roc_auc(true: np.ndarray, scores: np.ndarray, counted: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the area and what it is without each row; 0 in place of what is undefined."""
    wins = counted * pair_wins(true, scores, counted)
    won = wins[true].sum()
    positive = counted[true].sum()
    negative = counted[~true].sum()
    pairs = np.where(true, (positive - counted) * negative, positive * (negative - counted))
    without = np.divide(won - wins, pairs, out=np.zeros(len(true)), where=_both_without(true))
    return float(won / (positive * negative)) if _has_both(true) else 0.0, without


def _binary_average_precision(true: np.ndarray, scores: np.ndarray, counted: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the average and what it is without each row; 0 where no true row is left.

    Rows that count the same are looked at together, so that n rows without weights take about n log n steps.
    """
    positives = np.count_nonzero(true)
    if not positives:
        return 0.0, np.zeros(len(true))
    group, positive, negative = grouped(true, -scores, counted)
    rows = np.bincount(group).cumsum()
    total = counted[true].sum()
    without = np.zeros(len(true))
    for weight in np.unique(counted):
        same = counted == weight
        with_true, with_other = _average_precision_without(positive, negative, rows, float(weight))
        area = np.where(true[same], with_true[group[same]], with_other[group[same]])
        is_left = positives - true[same] > 0
        left = total - weight * true[same]
        without[same] = np.divide(area, left, out=np.zeros(len(area)), where=is_left)
    return binary_average_precision(true, scores, counted), without


def _average_precision_without(
    positive: np.ndarray, negative: np.ndarray, rows: np.ndarray, weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """Sum precisions over the true rows when a row of one group is left out.

    Args:
        positive: ``(groups,)``, what the true rows of each group count, the highest scores first.
        negative: ``(groups,)``, what the other rows count.
        rows: ``(groups,)``, rows down to each group.
        weight: What the row counts.

    Returns:
        The sums without a true row and without another row of each group, each ``(groups,)``.
    """
    hits = positive.cumsum()
    found = (positive + negative).cumsum()
    above = (positive * hits / found).cumsum() - positive * hits / found
    # Nothing is left down to a group that consists of the first row alone.
    is_left = (rows > 1) & (found > weight)
    fewer_hits = np.divide(hits - weight, found - weight, out=np.zeros(len(rows)), where=is_left)
    same_hits = np.divide(hits, found - weight, out=np.zeros(len(rows)), where=is_left)
    without_true = above + _from_here_on(positive * fewer_hits) - weight * fewer_hits
    return without_true, above + _from_here_on(positive * same_hits)


def _from_here_on(values: np.ndarray) -> np.ndarray:
    """Sum every value with all later ones."""
    return values[::-1].cumsum()[::-1]


def _has_both(true: np.ndarray) -> bool:
    return bool(true.any() and not true.all())


def _both_without(true: np.ndarray) -> np.ndarray:
    """Tell, row by row ``(n,)``, whether the other rows have both values."""
    positives = np.count_nonzero(true)
    return (positives - true > 0) & (len(true) - positives - ~true > 0)


def _macro(
    labels: np.ndarray, probabilities: np.ndarray, counted: np.ndarray, binary: _Binary, undefined: float
) -> tuple[float, np.ndarray]:
    """Take the mean over the classes or labels that some rows have and some not, of all rows and without each."""
    values = []
    total = np.zeros(len(labels))
    present = np.zeros(len(labels))
    for true, scores in one_against_rest(labels, probabilities):
        if not _has_both(true):
            continue
        value, without = binary(true, scores, counted)
        is_left = _both_without(true)
        values.append(value)
        total += np.where(is_left, without, 0.0)
        present += is_left
    without = np.divide(total, present, out=np.full(len(labels), undefined), where=present > 0)
    return float(np.mean(values)) if values else undefined, without

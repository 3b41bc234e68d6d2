"""The metrics of probabilities, equal to scikit-learn's; a report loads without that library.

Labels are ``(n,)``, true classes from 0, with probabilities ``(n, C)`` of all classes or ``(n,)`` of class 1; or they
are ``(n, L)`` of 0 and 1, with probabilities ``(n, L)`` of every label for itself. Weights ``(n,)`` are above 0, and a
row of weight 2 counts like two equal rows; None is 1 for every row. Every result is a finite number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

CHANCE_AUC = 0.5
"""The area of scores that say nothing, and of rows that all have the same label."""


def roc_auc(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the area under the ROC curve: how often a row with a label has a higher probability than one without.

    Args:
        labels: ``(n,)`` or ``(n, L)``.
        probabilities: ``(n, C)``, ``(n,)`` or ``(n, L)``.
        weights: ``(n,)``, what each row counts; None is 1.

    Returns:
        The area; of several classes or labels the mean over those that some rows have and some have not. A half where
        there is none.

    Source:
        Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982.
    """
    return _macro(labels, probabilities, weights, binary_roc_auc, CHANCE_AUC)


def average_precision(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the average precision: the mean over the rows with a label of the precision down to their probability.

    Args:
        labels: ``(n,)`` or ``(n, L)``.
        probabilities: ``(n, C)``, ``(n,)`` or ``(n, L)``.
        weights: ``(n,)``, what each row counts; None is 1.

    Returns:
        The average; of several classes or labels the mean over those that some rows have and some have not. 0 where
        there is none, or no row of class 1.
    """
    return _macro(labels, probabilities, weights, binary_average_precision, 0.0)


def log_loss(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean of minus the natural logarithm of the true class's probability, or of every label's truth."""
    return float(np.average(log_losses(labels, probabilities), weights=weights))


def brier(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean squared distance of probabilities from the truth.

    Args:
        labels: ``(n,)`` or ``(n, L)``.
        probabilities: ``(n, C)``, ``(n,)`` or ``(n, L)``.
        weights: ``(n,)``, what each row counts; None is 1.

    Returns:
        The mean over the rows of the squares: of class 1's, of every label's in the mean, or of all classes' in sum.
        So it is at most 1, with more than two classes at most 2, as scikit-learn has it.

    Source:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 1950.
    """
    return float(np.average(brier_scores(labels, probabilities), weights=weights))


def top_accuracy(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None, *, first: int
) -> float:
    """Return the share of rows whose true class is among the most probable ones.

    Args:
        labels: ``(n,)``.
        probabilities: ``(n, C)``.
        weights: ``(n,)``, what each row counts; None is 1.
        first: How many classes are looked at.

    Returns:
        The share.
    """
    return float(np.average(top_hits(labels, probabilities, first), weights=weights))


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return every row's part ``(n,)`` of the log loss."""
    smallest = float(np.finfo(np.float64).eps)
    given = np.clip(probabilities.astype(np.float64), smallest, 1 - smallest)
    if labels.ndim == 2:
        return np.asarray(-np.log(np.where(labels == 1, given, 1 - given)).mean(axis=1))
    if given.ndim == 1:
        return np.asarray(-np.log(np.where(labels == 1, given, 1 - given)))
    return np.asarray(-np.log(given[np.arange(len(labels)), labels]))


def brier_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return every row's part ``(n,)`` of the Brier score."""
    given = probabilities.astype(np.float64)
    if labels.ndim == 2:
        return np.asarray(np.square(labels - given).mean(axis=1))
    if given.ndim == 1:
        return np.asarray(np.square(labels - given))
    squares = np.square((labels[:, None] == np.arange(given.shape[1])) - given).sum(axis=1)
    return np.asarray(squares / 2 if given.shape[1] == 2 else squares)


def top_hits(labels: np.ndarray, probabilities: np.ndarray, first: int) -> np.ndarray:
    """Tell of every row ``(n,)``, as 0 or 1, whether its class is among the most probable ones."""
    # Of equal ones the last comes first, as scikit-learn has it.
    order = np.argsort(probabilities, axis=1, kind="stable")[:, ::-1][:, :first]
    return (order == labels[:, None]).any(axis=1).astype(np.float64)


def binary_roc_auc(true: np.ndarray, scores: np.ndarray, counted: np.ndarray) -> float:
    """Return the area under the ROC curve.

    Args:
        true: ``(n,)`` of bool, True and False among them.
        scores: ``(n,)``.
        counted: ``(n,)``, what each row counts.

    Returns:
        The area.
    """
    wins = pair_wins(true, scores, counted)
    positive = counted[true]
    return float((positive * wins[true]).sum() / (positive.sum() * counted[~true].sum()))


def pair_wins(true: np.ndarray, scores: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Weigh, row by row, the rows with the other label that it stands in the right order with.

    Args:
        true: ``(n,)`` of bool.
        scores: ``(n,)``.
        counted: ``(n,)``, what each row counts.

    Returns:
        ``(n,)``: for a true row what the others below it count, for another one the true ones above it; equal scores
        count a half.
    """
    group, positive, negative = grouped(true, scores, counted)
    below = negative.cumsum() - negative / 2
    above = positive.sum() - positive.cumsum() + positive / 2
    return np.where(true, below[group], above[group])


def binary_average_precision(true: np.ndarray, scores: np.ndarray, counted: np.ndarray) -> float:
    """Return the average precision.

    Args:
        true: ``(n,)`` of bool, one True at least.
        scores: ``(n,)``.
        counted: ``(n,)``, what each row counts.

    Returns:
        The average.
    """
    _, positive, negative = grouped(true, -scores, counted)
    hits = positive.cumsum()
    return float((positive * hits / (positive + negative).cumsum()).sum() / hits[-1])


def grouped(true: np.ndarray, scores: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put rows with equal scores together.

    Args:
        true: ``(n,)`` of bool.
        scores: ``(n,)``.
        counted: ``(n,)``, what each row counts.

    Returns:
        The group ``(n,)`` of every row, in the order of the scores, and what the true and the other rows of each group
        count, each ``(groups,)``.
    """
    _, group = np.unique(scores, return_inverse=True)
    groups = int(group.max()) + 1
    return group, np.bincount(group, counted * true, groups), np.bincount(group, counted * ~true, groups)


def one_against_rest(labels: np.ndarray, probabilities: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Split a task into those of each class or label against the rest.

    Args:
        labels: ``(n,)`` or ``(n, L)``.
        probabilities: ``(n, C)`` or ``(n, L)``.

    Yields:
        Which rows have it, ``(n,)`` of bool, and its probabilities ``(n,)``.
    """
    for column in range(probabilities.shape[1]):
        true = labels[:, column] == 1 if labels.ndim == 2 else labels == column
        yield true, probabilities[:, column]


def _macro(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray | None,
    binary: Callable[[np.ndarray, np.ndarray, np.ndarray], float],
    undefined: float,
) -> float:
    counted = np.ones(len(labels)) if weights is None else weights
    if probabilities.ndim == 1:
        true = labels == 1
        # The average precision of rows that are all true is 1.
        defined = true.any() and (undefined == 0.0 or not true.all())
        return binary(true, probabilities, counted) if defined else undefined
    found = []
    for true, scores in one_against_rest(labels, probabilities):
        if true.any() and not true.all():
            found.append(binary(true, scores, counted))
    return float(np.mean(found)) if found else undefined

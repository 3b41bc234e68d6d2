"""The metrics of predicted labels and numbers, equal to scikit-learn's; a report loads without that library.

Labels and predictions are ``(n,)``, or ``(n, L)`` of 0 and 1 where the name ends in `of_sets`. What is undefined is 0.
Weights ``(n,)`` are above 0, and a row of weight 2 counts like two equal rows; None is 1 for every row.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def accuracy(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the share of right rows."""
    return float(np.average(labels == predicted, weights=weights))


def balanced_accuracy(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean over the classes that occur among the labels of the share of their rows that are right."""
    hits, true, _ = confusion(labels, predicted, weights)
    occurs = np.bincount(labels, minlength=len(true)) > 0
    return float((hits[occurs] / true[occurs]).mean())


def macro_f1(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean F1 of the classes that occur among the labels or the predictions."""
    hits, true, guessed = confusion(labels, predicted, weights)
    size = true + guessed
    occurs = size > 0
    return float((2 * hits[occurs] / size[occurs]).mean())


def weighted_f1(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean F1 of the classes, each weighted by its share of the labels."""
    hits, true, guessed = confusion(labels, predicted, weights)
    occurs = true > 0
    f1 = 2 * hits[occurs] / (true + guessed)[occurs]
    return float(np.average(f1, weights=true[occurs]))


def binary_f1(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the F1 of class 1 among 0 and 1."""
    counted = np.ones(len(labels)) if weights is None else weights
    hits = float(counted @ _per_row(labels * predicted))
    size = float(counted @ _per_row(labels + predicted))
    return 2 * hits / size if size else 0.0


def matthews(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return Matthews' correlation of any number of classes.

    Args:
        labels: ``(n,)``, true classes from 0.
        predicted: ``(n,)``.
        weights: ``(n,)``, what each row counts; None is 1.

    Returns:
        The correlation, 0 where all labels or all predictions are alike.

    Source:
        R_K of Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    """
    # As floats, which do not overflow: the product of the two variations grows with the fourth power of the rows.
    hits, true, guessed = confusion(labels, predicted, weights)
    if np.ptp(labels) == 0 or np.ptp(predicted) == 0:
        return 0.0
    rows = guessed.sum()
    covered = hits.sum() * rows - np.dot(true, guessed)
    variation = (rows**2 - np.dot(guessed, guessed)) * (rows**2 - np.dot(true, true))
    return float(covered / np.sqrt(variation))


def quadratic_kappa(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return Cohen's kappa of ordered classes, where a mistake counts by the square of its distance in classes.

    Args:
        labels: ``(n,)``, true classes from 0, in their order.
        predicted: ``(n,)``.
        weights: ``(n,)``, what each row counts; None is 1.

    Returns:
        The agreement beyond chance, 0 where all labels are alike or all predictions.

    Source:
        Cohen, "Weighted kappa: Nominal scale agreement with provision for scaled disagreement or partial credit",
        Psychological Bulletin 1968.
    """
    # Then it is 0 by its formula too, but for rounding, by which a constant would beat another one.
    if np.ptp(labels) == 0 or np.ptp(predicted) == 0:
        return 0.0
    apart = np.average(np.square(labels - predicted), weights=weights)
    label = np.average(labels, weights=weights)
    found = np.average(predicted, weights=weights)
    # The mean square of a label minus the prediction of another row: what there would be by chance.
    chance = np.average(np.square(labels - label), weights=weights) + (label - found) ** 2
    chance += np.average(np.square(predicted - found), weights=weights)
    return float(1 - apart / chance)


def micro_f1_of_sets(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the F1 of all labels of all rows together."""
    return binary_f1(labels, predicted, weights)


def macro_f1_of_sets(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean over all labels of their F1."""
    f1, _ = _f1_of_sets(labels, predicted, weights)
    return float(f1.mean())


def weighted_f1_of_sets(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean F1 of the labels, each weighted by the rows that have it."""
    f1, support = _f1_of_sets(labels, predicted, weights)
    return float(np.average(f1, weights=support)) if support.any() else 0.0


def subset_accuracy_of_sets(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the share of rows whose labels are all right."""
    return float(np.average((labels == predicted).all(axis=1), weights=weights))


def pearson(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return Pearson's correlation, 0 where it is undefined."""
    root = 1.0 if weights is None else np.sqrt(weights)
    a = (labels - np.average(labels, weights=weights)) * root
    b = (predicted - np.average(predicted, weights=weights)) * root
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    if np.ptp(labels) == 0 or np.ptp(predicted) == 0 or size == 0:
        return 0.0
    # Rounding can lead out of the range.
    return float(np.clip(a @ b / size, -1.0, 1.0))


def spearman(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return Spearman's correlation, 0 where it is undefined."""
    return pearson(ranks(labels, weights), ranks(predicted, weights), weights)


def ranks(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Rank values from the smallest up, equal ones alike.

    Args:
        values: ``(n,)``.
        weights: ``(n,)``, how many equal rows each stands for; None is 1.

    Returns:
        ``(n,)``, of the rows that one stands for the mean rank.
    """
    if weights is None:
        return np.asarray(rankdata(values))
    _, group = np.unique(values, return_inverse=True)
    sizes = np.bincount(group, weights=weights)
    below = sizes.cumsum() - sizes
    return np.asarray((below + (sizes + 1) / 2)[group])


def r2(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return R2, 0 where the labels are alike or so nearly that the quotient is no finite number."""
    if np.ptp(labels) == 0:
        return 0.0
    counted = 1.0 if weights is None else weights
    with np.errstate(over="ignore"):
        errors = (counted * (labels - predicted) ** 2).sum()
        spread = (counted * (labels - np.average(labels, weights=weights)) ** 2).sum()
        # As scikit-learn has it: without spread a prediction without error explains all, any other one nothing.
        value = float(1 - errors / spread) if spread else float(errors == 0)
    return value if np.isfinite(value) else 0.0


def mae(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean absolute error."""
    return float(np.average(np.abs(labels - predicted), weights=weights))


def rmse(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the root of the mean squared error."""
    errors = np.abs(labels - predicted)
    largest = float(errors.max())
    # In units of the largest one the squares neither overflow nor vanish.
    return largest * float(np.sqrt(np.average((errors / largest) ** 2, weights=weights))) if largest else 0.0


def confusion(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the rows of every class.

    Args:
        labels: ``(n,)``, true classes from 0.
        predicted: ``(n,)``.
        weights: ``(n,)``, what each row counts; None is 1.

    Returns:
        Hits, true and predicted rows, each ``(classes,)`` of float64, with as many classes as the largest number asks.
    """
    classes = int(max(labels.max(), predicted.max())) + 1
    right = labels == predicted
    hits = np.bincount(labels[right], None if weights is None else weights[right], classes)
    true = np.bincount(labels, weights, classes)
    guessed = np.bincount(predicted, weights, classes)
    return hits.astype(np.float64), true.astype(np.float64), guessed.astype(np.float64)


def _f1_of_sets(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return every label's F1, 0 where it neither is there nor was predicted, and its rows, each ``(L,)``."""
    counted = np.ones(len(labels)) if weights is None else weights
    hits = counted @ (labels * predicted)
    support = counted @ labels
    size = support + counted @ predicted
    return np.divide(2 * hits, size, out=np.zeros(len(size)), where=size > 0), support


def _per_row(values: np.ndarray) -> np.ndarray:
    """Sum over the labels of a row where it has several."""
    return values if values.ndim == 1 else values.sum(axis=1)

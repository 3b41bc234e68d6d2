"""The metrics of predictions, equal to scikit-learn's to the last bit; a report loads without that library.

Labels and predictions are ``(n,)``, or ``(n, L)`` of 0 and 1 where the name ends in `of_sets`. What is undefined is 0.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the share of right rows."""
    return float((labels == predicted).mean())


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean F1 of the classes that occur among the labels or the predictions."""
    classes = int(max(labels.max(), predicted.max())) + 1
    hits = np.bincount(labels[labels == predicted], minlength=classes)
    size = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)
    occurs = size > 0
    return float((2 * hits[occurs] / size[occurs]).mean())


def binary_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the F1 of class 1 among 0 and 1."""
    size = int(labels.sum() + predicted.sum())
    return 2 * int((labels * predicted).sum()) / size if size else 0.0


def matthews(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return Matthews' correlation of any number of classes.

    Args:
        labels: ``(n,)``, true classes from 0.
        predicted: ``(n,)``.

    Returns:
        The correlation, 0 where all labels or all predictions are alike.

    Source:
        R_K of Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    """
    classes = int(max(labels.max(), predicted.max())) + 1
    # As floats, which do not overflow: the product of the two variations grows with the fourth power of the rows.
    true = np.bincount(labels, minlength=classes).astype(np.float64)
    guessed = np.bincount(predicted, minlength=classes).astype(np.float64)
    rows = guessed.sum()
    covered = float((labels == predicted).sum()) * rows - np.dot(true, guessed)
    variation = (rows**2 - np.dot(guessed, guessed)) * (rows**2 - np.dot(true, true))
    return float(covered / np.sqrt(variation)) if variation else 0.0


def micro_f1_of_sets(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the F1 of all labels of all rows together."""
    return binary_f1(labels, predicted)


def macro_f1_of_sets(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean over all labels of their F1."""
    hits = (labels * predicted).sum(axis=0)
    size = labels.sum(axis=0) + predicted.sum(axis=0)
    return float((2 * hits / np.maximum(size, 1)).mean())


def subset_accuracy_of_sets(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return the share of rows whose labels are all right."""
    return float((labels == predicted).all(axis=1).mean())


def pearson(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return Pearson's correlation, 0 where it is undefined."""
    a = labels - labels.mean()
    b = predicted - predicted.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    if np.ptp(labels) == 0 or np.ptp(predicted) == 0 or size == 0:
        return 0.0
    # Rounding can lead out of the range.
    return float(np.clip(a @ b / size, -1.0, 1.0))


def spearman(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return Spearman's correlation, 0 where it is undefined."""
    return pearson(rankdata(labels), rankdata(predicted))


def r2(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return R2, 0 where the labels are alike or so nearly that the quotient is no finite number."""
    if np.ptp(labels) == 0:
        return 0.0
    with np.errstate(over="ignore"):
        errors = ((labels - predicted) ** 2).sum()
        spread = ((labels - labels.mean()) ** 2).sum()
        # As scikit-learn has it: without spread a prediction without error explains all, any other one nothing.
        value = float(1 - errors / spread) if spread else float(errors == 0)
    return value if np.isfinite(value) else 0.0

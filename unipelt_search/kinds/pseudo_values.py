"""Per-example scores of metrics that are no mean over examples: jackknife pseudo-values, in closed form.

Every leave-one-out value follows from sufficient statistics (a confusion matrix, sums, ranks); nothing is refitted. The
pseudo-values are centred on the metric itself, so that their mean is the score that is reported.

Each function here but `pseudo_values` takes true and predicted labels of n rows and returns the metric with the values
``(n,)`` that it has without each row. Labels are ``(n,)``, or ``(n, L)`` of 0 and 1 where the name ends in `of_sets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from unipelt_search.kinds.label_kind import LeaveOneOut

CHUNK = 256
"""Rows of the (n, n) comparison that Spearman's leave-one-out needs, held in memory at a time."""


def pseudo_values(leave_one_out: LeaveOneOut, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Split a metric into one value per example, so that it can be treated as a mean over examples.

    Args:
        leave_one_out: The metric, as `Metric.leave_one_out`.
        labels: ``(n,)``, true classes from 0, or true values; ``(n, L)`` of 0 and 1 for sets of labels; n at least 3.
        predicted: ``(S, n)`` or ``(S, n, L)``, predictions run by run, on the same examples.

    Returns:
        ``(S, n)``; a row's mean is that run's metric. For accuracy: 1 where right, 0 where wrong.

    Raises:
        ValueError: When the shapes do not fit.

    Source:
        Tukey, "Bias and Confidence in Not-quite Large Samples", Annals of Mathematical Statistics 1958.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.ndim not in {1, 2} or predicted.shape[1:] != labels.shape or len(labels) < 3:
        raise ValueError(
            f"Labels must be (n,) or (n, L), predictions (runs, n) or (runs, n, L), n at least 3; got {labels.shape} "
            f"and {predicted.shape}."
        )
    return np.stack([_centred(*leave_one_out(labels, row)) for row in predicted])


def mean_of(values: np.ndarray) -> tuple[float, np.ndarray]:
    """Return a mean over rows ``(n,)`` and what it is without each row: any metric that is one."""
    without = (values.sum() - values) / (values.size - 1)
    return float(values.mean()), without


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of the share of right rows."""
    return mean_of((labels == predicted).astype(np.float64))


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of the mean F1 of the classes that occur among labels or predictions."""
    hits, true, guessed = _confusion(labels, predicted)
    size = true + guessed
    f1 = _f1_of(hits, size)
    classes = np.count_nonzero(size)
    right = labels == predicted
    # An example counts once in its class and once in the class that was predicted: twice in one where both agree.
    step = np.where(right, 2, 1)
    total = np.full(labels.size, f1.sum())
    present = np.full(labels.size, classes)
    for touched, counts in ((labels, True), (predicted, ~right)):
        changed = _f1_of(hits[touched] - right, size[touched] - step)
        total += np.where(counts, changed - f1[touched], 0.0)
        # A class that neither the labels nor the predictions hold any more is left out of the mean.
        present -= counts & (size[touched] == step)
    return float(f1.sum() / classes), total / present


def binary_f1(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of the F1 of class 1 among 0 and 1."""
    true = (labels == 1).astype(np.float64)
    guessed = (predicted == 1).astype(np.float64)
    hits = true * guessed
    size = true + guessed
    complete = float(_f1_of(hits.sum(), size.sum()))
    return complete, _f1_of(hits.sum() - hits, size.sum() - true - guessed)


def matthews(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of Matthews' correlation of classes, 0 where labels or predictions are all alike."""
    hits, true, guessed = _confusion(labels, predicted)
    right = (labels == predicted).astype(np.float64)
    rows = labels.size
    agreed = hits.sum()
    chance = (true * guessed).sum()
    true_squares = (true**2).sum()
    guessed_squares = (guessed**2).sum()
    left_out = _matthews_of(
        rows - 1,
        agreed - right,
        chance - guessed[labels] - true[predicted] + right,
        true_squares - 2 * true[labels] + 1,
        guessed_squares - 2 * guessed[predicted] + 1,
    )
    return float(_matthews_of(rows, agreed, chance, true_squares, guessed_squares)), left_out


def pearson(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of Pearson's correlation."""
    # Standardised first: sums of squares of values far from 0 would cancel.
    x = _standardised(labels)
    y = _standardised(predicted)
    products = _products(x, y)
    complete = tuple(product.sum() for product in products)
    without = tuple(total - part for total, part in zip(complete, products, strict=True))
    return float(_correlation(x.size, complete)), _correlation(x.size - 1, without)


def spearman(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of Spearman's correlation; the ranks of the others change with each of them."""
    n = labels.size
    middle = (n + 1) / 2
    x = rankdata(labels) - middle
    y = rankdata(predicted) - middle
    sums = np.empty((5, n))
    for start in range(0, n, CHUNK):
        out = slice(start, start + CHUNK)
        stays = np.arange(n) != np.arange(n)[out, None]  # (chunk, n)
        a = stays * _ranks_without(x, out)
        b = stays * _ranks_without(y, out)
        sums[:, out] = [part.sum(axis=1) for part in _products(a, b)]
    complete = tuple(part.sum() for part in _products(x, y))
    return float(_correlation(n, complete)), _correlation(n - 1, tuple(sums))


def r2(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of R2, the share of the labels' variance that predictions explain."""
    n = labels.size
    squares = np.square(labels - labels.mean())
    errors = np.square(labels - predicted)
    # The mean moves too when an example is left out.
    spread_left = squares.sum() - squares * n / (n - 1)
    complete = float(_explained(errors.sum(), squares.sum()))
    return complete, _explained(errors.sum() - errors, spread_left)


def subset_accuracy_of_sets(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of the share of rows whose labels are all right."""
    return mean_of((labels == predicted).all(axis=1).astype(np.float64))


def micro_f1_of_sets(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of the F1 of all labels of all rows together."""
    hits = (labels * predicted).sum(axis=1)
    size = (labels + predicted).sum(axis=1)
    complete = float(_f1_of(hits.sum(), size.sum()))
    return complete, _f1_of(hits.sum() - hits, size.sum() - size)


def macro_f1_of_sets(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of the mean F1 of all labels."""
    hits = labels * predicted  # (n, L)
    size = labels + predicted
    all_hits = hits.sum(axis=0)  # (L,)
    all_size = size.sum(axis=0)
    left_out = _f1_of(all_hits - hits, all_size - size)  # (n, L)
    return float(_f1_of(all_hits, all_size).mean()), left_out.mean(axis=1)


def _centred(value: float, left_out: np.ndarray) -> np.ndarray:
    """Turn leave-one-out values ``(n,)`` into pseudo-values whose mean is the metric's value."""
    return value + (left_out.size - 1) * (left_out.mean() - left_out)


def _confusion(labels: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count hits, true and predicted examples, each ``(classes,)``."""
    classes = int(max(labels.max(), predicted.max())) + 1
    hits = _count(labels[labels == predicted], classes)
    return hits, _count(labels, classes), _count(predicted, classes)


def _count(found: np.ndarray, classes: int) -> np.ndarray:
    # As floats: products of four counts would not fit into integers.
    return np.bincount(found, minlength=classes).astype(np.float64)


def _f1_of(hits: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return F1 from hits and the sum of true and predicted examples; 0 where a class does not occur."""
    return 2 * hits / np.maximum(size, 1)


def _matthews_of(
    rows: int, agreed: np.ndarray, chance: np.ndarray, true_squares: np.ndarray, guessed_squares: np.ndarray
) -> np.ndarray:
    varied = (rows**2 - true_squares) * (rows**2 - guessed_squares)
    correlation = (agreed * rows - chance) / np.sqrt(np.maximum(varied, 1.0))
    return np.where(varied > 0, correlation, 0.0)


def _correlation(n: int, sums: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return Pearson's correlation from n and the sums of x, y, xx, yy and xy; 0 where one of them is constant."""
    x, y, xx, yy, xy = sums
    varied = (n * xx - x * x) * (n * yy - y * y)
    correlation = (n * xy - x * y) / np.sqrt(np.maximum(varied, 1e-12))
    return np.where(varied > 1e-12, correlation, 0.0)


def _products(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return what `_correlation` needs the sums of."""
    return x, y, x * x, y * y, x * y


def _standardised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    scale = centred.std()
    return centred / scale if scale > 0 else centred


def _ranks_without(ranks: np.ndarray, out: slice) -> np.ndarray:
    """Return the ranks ``(chunk, n)`` of all rows without each row of a slice."""
    # Leaving a row out lowers every higher rank by one, and a tied one by a half.
    return ranks - np.heaviside(ranks - ranks[out, None], 0.5)


def _explained(errors: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return R2; where the labels are constant it is 1 without errors and else 0, as scikit-learn has it."""
    constant = np.where(errors > 0, 0.0, 1.0)
    return np.where(spread > 1e-12, 1 - errors / np.maximum(spread, 1e-12), constant)

"""Per-example scores of metrics that are no mean over examples: jackknife pseudo-values, in closed form.

Every leave-one-out value follows from sufficient statistics (a confusion matrix, sums, ranks); nothing is refitted. The
pseudo-values are centred on the metric itself, so that their mean is the score that is reported.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

# Rows of the (n, n) comparison that Spearman's leave-one-out needs, held in memory at a time.
_CHUNK = 256


def pseudo_values(metric: str, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Split a metric into one value per example, so that it can be treated as a mean over examples.

    Args:
        metric: One of `accuracy`, `macro_f1`, `f1` (of class 1 among 0 and 1), `matthews`, `pearson`, `spearman`, `r2`;
            where an example may have any number of labels `micro_f1`, `macro_f1` or `subset_accuracy`.
        labels: ``(n,)``, true classes from 0, or true values; ``(n, L)`` of 0 and 1 for sets of labels; n at least 3.
        predicted: ``(S, n)`` or ``(S, n, L)``, predictions run by run, on the same examples.

    Returns:
        ``(S, n)``; a row's mean is that run's metric. For accuracy: 1 where right, 0 where wrong.

    Raises:
        ValueError: When the metric is not one of these, or the shapes do not fit.

    Source:
        Tukey, "Bias and Confidence in Not-quite Large Samples", Annals of Mathematical Statistics 1958.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    known = _OF_SETS if labels.ndim == 2 else _LEAVE_ONE_OUT
    if metric not in known:
        raise ValueError(f"The metric must be one of {', '.join(known)}; got {metric!r}.")
    if labels.ndim not in {1, 2} or predicted.shape[1:] != labels.shape or len(labels) < 3:
        raise ValueError(
            f"Labels must be (n,) or (n, L), predictions (runs, n) or (runs, n, L), n at least 3; got {labels.shape} "
            f"and {predicted.shape}."
        )
    return np.stack([_centred(*known[metric](labels, row)) for row in predicted])


def _centred(value: float, left_out: np.ndarray) -> np.ndarray:
    """Turn leave-one-out values ``(n,)`` into pseudo-values whose mean is the metric's value."""
    return value + (left_out.size - 1) * (left_out.mean() - left_out)


def _accuracy(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    right = (labels == predicted).astype(np.float64)
    return float(right.mean()), (right.sum() - right) / (right.size - 1)


def _confusion(labels: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count hits, true and predicted examples, each ``(classes,)``."""
    classes = int(max(labels.max(), predicted.max())) + 1
    hits, true, guessed = (
        # As floats: products of four counts would not fit into integers.
        np.bincount(part, minlength=classes).astype(np.float64)
        for part in (labels[labels == predicted], labels, predicted)
    )
    return hits, true, guessed


def _f1_of(hits: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return F1 from hits and the sum of true and predicted examples; 0 where a class does not occur."""
    return 2 * hits / np.maximum(size, 1)


def _macro_f1(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    hits, true, guessed = _confusion(labels, predicted)
    size = true + guessed
    f1, classes = _f1_of(hits, size), np.count_nonzero(size)
    right = labels == predicted
    # An example counts once in its class and once in the class that was predicted: twice in one where both agree.
    step = np.where(right, 2, 1)
    total, present = np.full(labels.size, f1.sum()), np.full(labels.size, classes)
    for touched, counts in ((labels, True), (predicted, ~right)):
        change = _f1_of(hits[touched] - right, size[touched] - step) - f1[touched]
        total += np.where(counts, change, 0.0)
        # A class that neither the labels nor the predictions hold any more is left out of the mean.
        present -= counts & (size[touched] == step)
    return float(f1.sum() / classes), total / present


def _binary_f1(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    true, guessed = (labels == 1).astype(np.float64), (predicted == 1).astype(np.float64)
    hits, size = (true * guessed).sum(), (true + guessed).sum()
    return float(_f1_of(hits, size)), _f1_of(hits - true * guessed, size - true - guessed)


def _matthews(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    hits, true, guessed = _confusion(labels, predicted)
    right = (labels == predicted).astype(np.float64)
    rows, agreed, chance = labels.size, hits.sum(), (true * guessed).sum()
    true_squares, guessed_squares = (true**2).sum(), (guessed**2).sum()

    def value(rows: int, agreed: np.ndarray, chance: np.ndarray, true: np.ndarray, guessed: np.ndarray) -> np.ndarray:
        varied = (rows**2 - true) * (rows**2 - guessed)
        return np.where(varied > 0, (agreed * rows - chance) / np.sqrt(np.maximum(varied, 1.0)), 0.0)

    left_out = value(
        rows - 1,
        agreed - right,
        chance - guessed[labels] - true[predicted] + right,
        true_squares - 2 * true[labels] + 1,
        guessed_squares - 2 * guessed[predicted] + 1,
    )
    return float(value(rows, agreed, chance, true_squares, guessed_squares)), left_out


def _correlation(n: int, sums: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return Pearson's correlation from n and the sums of x, y, xx, yy and xy; 0 where one of them is constant."""
    x, y, xx, yy, xy = sums
    varied = (n * xx - x * x) * (n * yy - y * y)
    return np.where(varied > 1e-12, (n * xy - x * y) / np.sqrt(np.maximum(varied, 1e-12)), 0.0)


def _pearson(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    # Standardised first: sums of squares of values far from 0 would cancel.
    x, y = (_standardised(values) for values in (labels, predicted))
    products = (x, y, x * x, y * y, x * y)
    complete = tuple(product.sum() for product in products)
    left_out = _correlation(x.size - 1, tuple(total - part for total, part in zip(complete, products, strict=True)))
    return float(_correlation(x.size, complete)), left_out


def _standardised(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    scale = centred.std()
    return centred / scale if scale > 0 else centred


def _spearman(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    n = labels.size
    middle = (n + 1) / 2
    x, y = rankdata(labels) - middle, rankdata(predicted) - middle
    sums = np.empty((5, n))
    for start in range(0, n, _CHUNK):
        out = slice(start, start + _CHUNK)
        # Leaving an example out lowers every higher rank by one, and a tied one by a half.
        stays = np.arange(n) != np.arange(n)[out, None]  # (chunk, n)
        a, b = (stays * (ranks - np.heaviside(ranks - ranks[out, None], 0.5)) for ranks in (x, y))
        sums[:, out] = [part.sum(axis=1) for part in (a, b, a * a, b * b, a * b)]
    complete = (x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum())
    return float(_correlation(n, complete)), _correlation(n - 1, tuple(sums))


def _r2(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    n = labels.size
    centred = labels - labels.mean()
    errors = np.square(labels - predicted)
    total, spread = errors.sum(), np.square(centred).sum()
    # The mean moves too when an example is left out.
    spread_left = spread - np.square(centred) * n / (n - 1)
    return float(_explained(total, spread)), _explained(total - errors, spread_left)


def _explained(errors: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return R2; where the labels are constant it is 1 without errors and else 0, as scikit-learn has it."""
    constant = np.where(errors > 0, 0.0, 1.0)
    return np.where(spread > 1e-12, 1 - errors / np.maximum(spread, 1e-12), constant)


def _subset_accuracy(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    return _accuracy(np.zeros(len(labels)), (labels != predicted).any(axis=1))


def _micro_f1(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    hits, size = (labels * predicted).sum(axis=1), (labels + predicted).sum(axis=1)
    return float(_f1_of(hits.sum(), size.sum())), _f1_of(hits.sum() - hits, size.sum() - size)


def _macro_f1_of_sets(labels: np.ndarray, predicted: np.ndarray) -> tuple[float, np.ndarray]:
    hits, size = labels * predicted, labels + predicted  # (n, L)
    left_out = _f1_of(hits.sum(axis=0) - hits, size.sum(axis=0) - size)
    return float(_f1_of(hits.sum(axis=0), size.sum(axis=0)).mean()), left_out.mean(axis=1)


_LEAVE_ONE_OUT: dict[str, Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "f1": _binary_f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
    "r2": _r2,
}
_OF_SETS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]] = {
    "micro_f1": _micro_f1,
    "macro_f1": _macro_f1_of_sets,
    "subset_accuracy": _subset_accuracy,
}

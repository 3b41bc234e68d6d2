"""Per-example scores of metrics that are no mean over examples: jackknife pseudo-values, in closed form.

Every leave-one-out value follows from sufficient statistics (a confusion matrix, sums, ranks); nothing is refitted. The
pseudo-values are centred on the metric itself, so that their mean is the score that is reported.

Each function here but `pseudo_values` takes true and predicted labels of n rows and returns the metric with the values
``(n,)`` that it has without each row. Labels are ``(n,)``, or ``(n, L)`` of 0 and 1 where the name ends in `of_sets`.
Weights ``(n,)`` are above 0 and say what each row counts; None is 1. Metrics of probabilities are in
`probability_pseudo_values`.
"""

from __future__ import annotations

import numpy as np

from unipelt_search.kinds.dominance import groups_of, sums_above, sums_above_in_both
from unipelt_search.kinds.metric import LeaveOneOut
from unipelt_search.kinds.scores import confusion, ranks


def pseudo_values(
    leave_one_out: LeaveOneOut, labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Split a metric into one value per example, so that it can be treated as a mean over examples.

    Args:
        leave_one_out: The metric, as `Metric.leave_one_out`.
        labels: ``(n,)``, true classes from 0, or true values; ``(n, L)`` of 0 and 1 for sets of labels; n at least 3.
        predicted: ``(S, n)`` or ``(S, n, L)``, predictions, or probabilities, run by run, on the same examples.
        weights: ``(n,)``, what each example counts; None is 1.

    Returns:
        ``(S, n)``; a row's mean is that run's metric. For accuracy: 1 where right, 0 where wrong.

    Raises:
        ValueError: When the shapes do not fit.

    Source:
        Tukey, "Bias and Confidence in Not-quite Large Samples", Annals of Mathematical Statistics 1958.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    shaped = labels.ndim in {1, 2} and predicted.ndim in {2, 3}
    if not shaped or predicted.shape[1] != len(labels) or len(labels) < 3:
        raise ValueError(
            f"Labels must be (n,) or (n, L), predictions (runs, n) or (runs, n, L), n at least 3; got {labels.shape} "
            f"and {predicted.shape}."
        )
    return np.stack([_centred(*leave_one_out(labels, row, weights)) for row in predicted])


def mean_of(values: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Return a mean over rows ``(n,)`` and what it is without each row: any metric that is one."""
    if weights is None:
        return float(values.mean()), (values.sum() - values) / (values.size - 1)
    counted = values * weights
    without = (counted.sum() - counted) / (weights.sum() - weights)
    return float(np.average(values, weights=weights)), without


def row_weights(labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return what each row counts, ``(n,)`` of float64: 1 where there are no weights."""
    return np.ones(len(labels)) if weights is None else weights


def accuracy(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of the share of right rows."""
    return mean_of((labels == predicted).astype(np.float64), weights)


def balanced_accuracy(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the mean share of right rows of the classes that occur among the labels."""
    hits, true, _ = confusion(labels, predicted, weights)
    rows = np.bincount(labels, minlength=true.size)
    recall = _share(hits, true, rows > 0)
    classes = np.count_nonzero(rows)
    counted = row_weights(labels, weights)
    is_last = rows[labels] == 1
    changed = _share(hits[labels] - counted * (labels == predicted), true[labels] - counted, ~is_last)
    # A class loses its place in the mean with its last row.
    present = classes - is_last
    total = recall.sum() - recall[labels] + changed
    without = _share(total, present, present > 0)
    return float(recall.sum() / classes), without


def macro_f1(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of the mean F1 of the classes that occur among labels or predictions."""
    hits, true, guessed = confusion(labels, predicted, weights)
    size = true + guessed
    rows = np.bincount(labels, minlength=size.size) + np.bincount(predicted, minlength=size.size)
    f1 = _share(2 * hits, size, rows > 0)
    classes = np.count_nonzero(rows)
    right = labels == predicted
    counted = row_weights(labels, weights)
    # An example counts once in its class and once in the class that was predicted: twice in one where both agree.
    step = np.where(right, 2, 1)
    total = np.full(labels.size, f1.sum())
    present = np.full(labels.size, classes)
    for touched, counts in ((labels, True), (predicted, ~right)):
        is_left = rows[touched] > step
        changed = _share(2 * (hits[touched] - right * counted), size[touched] - step * counted, is_left)
        total += np.where(counts, changed - f1[touched], 0.0)
        # A class that neither the labels nor the predictions hold any more is left out of the mean.
        present -= counts & ~is_left
    return float(f1.sum() / classes), total / present


def weighted_f1(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the mean F1 of the classes, each weighted by its share of the labels."""
    hits, true, guessed = confusion(labels, predicted, weights)
    size = true + guessed
    rows = np.bincount(labels, minlength=size.size) + np.bincount(predicted, minlength=size.size)
    parts = true * _share(2 * hits, size, rows > 0)
    right = labels == predicted
    counted = row_weights(labels, weights)
    step = np.where(right, 2, 1)
    total = np.full(labels.size, parts.sum())
    for touched, is_label, counts in ((labels, 1, True), (predicted, right, ~right)):
        is_left = rows[touched] > step
        changed = _share(2 * (hits[touched] - right * counted), size[touched] - step * counted, is_left)
        changed *= true[touched] - is_label * counted
        total += np.where(counts, changed - parts[touched], 0.0)
    everything = true.sum()
    return float(parts.sum() / everything), total / (everything - counted)


def binary_f1(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of the F1 of class 1 among 0 and 1."""
    return _joint_f1((labels == 1)[:, None], (predicted == 1)[:, None], row_weights(labels, weights))


def matthews(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of Matthews' correlation of classes, 0 where labels or predictions are all alike."""
    hits, true, guessed = confusion(labels, predicted, weights)
    counted = row_weights(labels, weights)
    right = (labels == predicted) * counted
    rows = true.sum()
    agreed = hits.sum()
    chance = (true * guessed).sum()
    true_squares = (true**2).sum()
    guessed_squares = (guessed**2).sum()
    left_out = _matthews_of(
        rows - counted,
        agreed - right,
        chance - counted * (guessed[labels] + true[predicted] - right),
        true_squares - counted * (2 * true[labels] - counted),
        guessed_squares - counted * (2 * guessed[predicted] - counted),
    )
    alike = _alike_without(labels) | _alike_without(predicted)
    complete = 0.0
    if np.ptp(labels) and np.ptp(predicted):
        complete = float(_matthews_of(rows, agreed, chance, true_squares, guessed_squares))
    return complete, np.where(alike, 0.0, left_out)


def quadratic_kappa(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of Cohen's kappa with quadratic weights, 0 where labels are all alike or predictions."""
    counted = row_weights(labels, weights)
    # Distances stay, and sums of squares around the middle do not cancel.
    middle = round(float(np.average(labels, weights=weights)))
    x = labels - middle
    y = predicted - middle
    products = [counted * part for part in (np.ones(len(x)), x, y, x * x, y * y, np.square(x - y))]
    sums = [part.sum() for part in products]
    complete = 0.0
    if np.ptp(labels) and np.ptp(predicted):
        complete = float(_kappa_of(*sums))
    without = [total - part for total, part in zip(sums, products, strict=True)]
    alike = _alike_without(labels) | _alike_without(predicted)
    return complete, np.where(alike, 0.0, _kappa_of(*without))


def pearson(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of Pearson's correlation."""
    counted = row_weights(labels, weights)
    # Standardised first: sums of squares of values far from 0 would cancel.
    x = _standardised(labels)
    y = _standardised(predicted)
    products = [counted * part for part in _products(x, y)]
    complete = tuple(product.sum() for product in products)
    without = tuple(total - part for total, part in zip(complete, products, strict=True))
    rows = counted.sum()
    return float(_correlation(rows, complete)), _correlation(rows - counted, without)


def spearman(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of Spearman's correlation; the ranks of the others change with each of them."""
    counted = row_weights(labels, weights)
    rows = counted.sum()
    middle = (rows + 1) / 2
    x = ranks(labels, weights) - middle
    y = ranks(predicted, weights) - middle
    complete = [(counted * part).sum() for part in _products(x, y)]
    changes = _rank_changes(x, y, counted)
    without = []
    for total, part, change in zip(complete, _products(x, y), changes, strict=True):
        without.append(total - counted * part + change)
    return float(_correlation(rows, tuple(complete))), _correlation(rows - counted, tuple(without))


def r2(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of R2, the share of the labels' variance that predictions explain."""
    counted = row_weights(labels, weights)
    rows = counted.sum()
    squares = counted * np.square(labels - np.average(labels, weights=weights))
    errors = counted * np.square(labels - predicted)
    # The mean moves too when an example is left out.
    spread_left = squares.sum() - squares * rows / (rows - counted)
    complete = float(_explained(errors.sum(), squares.sum()))
    return complete, _explained(errors.sum() - errors, spread_left)


def mae(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of the mean absolute error."""
    return mean_of(np.abs(labels - predicted), weights)


def rmse(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, np.ndarray]:
    """Leave rows out of the root of the mean squared error."""
    errors = np.abs(labels - predicted)
    unit = float(errors.max()) or 1.0
    square, without = mean_of(np.square(errors / unit), weights)
    # Rounding can lead below 0 where the row that is left out is the only one with an error.
    return unit * float(np.sqrt(square)), unit * np.sqrt(np.maximum(without, 0.0))


def subset_accuracy_of_sets(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the share of rows whose labels are all right."""
    return mean_of((labels == predicted).all(axis=1).astype(np.float64), weights)


def micro_f1_of_sets(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the F1 of all labels of all rows together."""
    return _joint_f1(labels == 1, predicted == 1, row_weights(labels, weights))


def macro_f1_of_sets(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the mean F1 of all labels."""
    f1, left_out, _ = _f1_by_label(labels, predicted, row_weights(labels, weights))
    return float(f1.mean()), left_out.mean(axis=1)


def weighted_f1_of_sets(
    labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Leave rows out of the mean F1 of the labels, each weighted by the rows that have it."""
    counted = row_weights(labels, weights)
    f1, left_out, support = _f1_by_label(labels, predicted, counted)
    own = counted[:, None] * labels
    everything = support.sum()
    # Counted, since a sum of weights does not come out as exactly 0.
    given = labels.sum(axis=1)
    is_left = given < labels.sum()
    without = _share((left_out * (support - own)).sum(axis=1), everything - own.sum(axis=1), is_left)
    return float((f1 * support).sum() / everything) if everything else 0.0, without


def _centred(value: float, left_out: np.ndarray) -> np.ndarray:
    """Turn leave-one-out values ``(n,)`` into pseudo-values whose mean is the metric's value."""
    return value + (left_out.size - 1) * (left_out.mean() - left_out)


def _share(part: np.ndarray, total: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """Divide where that is defined, else return 0; sums of weights that should be 0 may be a little off."""
    zeros = np.zeros(np.broadcast(part, total).shape)
    return np.divide(part, total, out=zeros, where=defined)


def _alike_without(values: np.ndarray) -> np.ndarray:
    """Tell, row by row ``(n,)``, whether all the other rows have the same class."""
    rows = np.bincount(values)
    return (np.count_nonzero(rows) - (rows[values] == 1)) <= 1


def _joint_f1(true: np.ndarray, guessed: np.ndarray, counted: np.ndarray) -> tuple[float, np.ndarray]:
    """Leave rows out of the F1 of all labels ``(n, L)`` together."""
    hits = counted * (true & guessed).sum(axis=1)
    rows = true.sum(axis=1) + guessed.sum(axis=1)
    size = counted * rows
    is_left = rows < rows.sum()
    complete = float(2 * hits.sum() / size.sum()) if rows.any() else 0.0
    return complete, _share(2 * (hits.sum() - hits), size.sum() - size, is_left)


def _f1_by_label(
    labels: np.ndarray, predicted: np.ndarray, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every label's F1 ``(L,)``, what it is without each row ``(n, L)``, and the label's rows ``(L,)``."""
    found = labels + predicted
    hits = counted[:, None] * (labels * predicted)  # (n, L)
    size = counted[:, None] * found
    all_hits = hits.sum(axis=0)  # (L,)
    all_size = size.sum(axis=0)
    rows = found.sum(axis=0)
    f1 = _share(2 * all_hits, all_size, rows > 0)
    left_out = _share(2 * (all_hits - hits), all_size - size, rows > found)
    return f1, left_out, (counted[:, None] * labels).sum(axis=0)


def _matthews_of(
    rows: np.ndarray, agreed: np.ndarray, chance: np.ndarray, true_squares: np.ndarray, guessed_squares: np.ndarray
) -> np.ndarray:
    varied = (rows**2 - true_squares) * (rows**2 - guessed_squares)
    return (agreed * rows - chance) / np.sqrt(np.where(varied > 0, varied, 1.0))


def _kappa_of(
    rows: np.ndarray, x: np.ndarray, y: np.ndarray, xx: np.ndarray, yy: np.ndarray, apart: np.ndarray
) -> np.ndarray:
    """Return kappa from sums of weights, labels, predictions, their squares and the squares of their differences."""
    chance = (xx + yy) * rows - 2 * x * y
    return 1 - apart * rows / np.where(chance > 0, chance, 1.0)


def _correlation(n: np.ndarray | float, sums: tuple[np.ndarray, ...]) -> np.ndarray:
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


def _rank_changes(x: np.ndarray, y: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return what the sums of `_products` over the other rows change by when each row is left out, each ``(n,)``.

    Leaving a row out lowers every higher rank by what the row counts, and an equal one by half of that.
    """
    above_x = groups_of(x)
    above_y = groups_of(y)
    both = sums_above_in_both(above_x, above_y, counted)
    crossed = sums_above(above_x, counted * y) + sums_above(above_y, counted * x)
    return (
        -counted * sums_above(above_x, counted),
        -counted * sums_above(above_y, counted),
        counted * (counted * sums_above(above_x, counted, tie=0.25) - 2 * sums_above(above_x, counted * x)),
        counted * (counted * sums_above(above_y, counted, tie=0.25) - 2 * sums_above(above_y, counted * y)),
        counted * (counted * both - crossed),
    )


def _explained(errors: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return R2; where the labels are constant it is 1 without errors and else 0, as scikit-learn has it."""
    constant = np.where(errors > 0, 0.0, 1.0)
    return np.where(spread > 1e-12, 1 - errors / np.maximum(spread, 1e-12), constant)

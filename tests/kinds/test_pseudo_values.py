from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from unipelt_search.kinds.label_kind import Target, find_kind
from unipelt_search.kinds.pseudo_values import mean_of, pseudo_values
from unipelt_search.tasks.metrics import score_all

NINE = Target("classification", tuple("abcdefghi"))
REFERENCES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda y, p: score_all(NINE, y, p)["accuracy"],
    "macro_f1": lambda y, p: score_all(NINE, y, p)["macro_f1"],
    "matthews": lambda y, p: score_all(NINE, y, p)["matthews"],
    "f1": lambda y, p: float(metrics.f1_score(y, p, zero_division=0)),
    "pearson": lambda y, p: float(stats.pearsonr(y, p)[0]),
    "spearman": lambda y, p: float(stats.spearmanr(y, p)[0]),
    "r2": lambda y, p: float(metrics.r2_score(y, p)),
}
random = np.random.default_rng(0)
RARE = np.array([0] * 15 + [1] * 12 + [2] * 3 + [8])  # class 8 has one example, classes 3 to 7 none
CLASSES = (RARE, np.stack([np.where(random.random(RARE.size) < 0.6, RARE, random.integers(0, 5, RARE.size))
                           for _ in range(3)]))  # fmt: skip
BINARY = tuple(part % 2 for part in CLASSES)
VALUES = random.normal(500.0, 2.0, 40)
NUMBERS = (VALUES, VALUES + random.normal(0.0, 2.0, (3, 40)))
TIED = tuple(np.round(part) for part in NUMBERS)


def values_of(metric: str, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pseudo-values of a metric of one of several names, or of numbers."""
    kind = find_kind("regression" if metric in {"pearson", "spearman", "r2"} else "classification")
    (known,) = (one for one in kind.metrics if one.name == metric)
    return pseudo_values(known.leave_one_out, labels, predicted)


def by_loop(metric: str, labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pseudo-values by their definition, centred on the metric."""
    score, n = REFERENCES[metric], labels.size
    rows = []
    for row in predicted:
        left = np.array([score(np.delete(labels, i), np.delete(row, i)) for i in range(n)])
        raw = n * score(labels, row) - (n - 1) * left
        rows.append(raw - raw.mean() + score(labels, row))
    return np.array(rows)


@pytest.mark.parametrize(
    ("metric", "data"),
    [
        ("accuracy", CLASSES),
        ("macro_f1", CLASSES),
        ("matthews", CLASSES),
        ("macro_f1", BINARY),
        ("matthews", BINARY),
        ("f1", BINARY),
        ("pearson", NUMBERS),
        ("spearman", NUMBERS),
        ("spearman", TIED),
        ("r2", NUMBERS),
    ],
)
def test_the_closed_forms_are_a_plain_loop_over_scikit_learn_and_scipy(
    metric: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    np.testing.assert_allclose(values_of(metric, *data), by_loop(metric, *data), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("metric", REFERENCES)
def test_their_mean_is_the_metric(metric: str) -> None:
    labels, predicted = NUMBERS if metric in {"pearson", "spearman", "r2"} else BINARY
    expected = [REFERENCES[metric](labels, row) for row in predicted]
    np.testing.assert_allclose(values_of(metric, labels, predicted).mean(axis=1), expected)


def test_accuracys_are_right_and_wrong() -> None:
    labels, predicted = CLASSES
    np.testing.assert_allclose(values_of("accuracy", labels, predicted), predicted == labels, atol=1e-12)


@pytest.mark.parametrize("metric", ["macro_f1", "f1", "matthews"])
def test_one_answer_to_everything_is_finite(metric: str) -> None:
    values = values_of(metric, np.array([0, 0, 1, 0]), np.zeros((1, 4), dtype=int))
    assert np.isfinite(values).all()


def test_constant_predictions_do_not_correlate() -> None:
    predicted = np.full((1, 40), 3.0)
    np.testing.assert_allclose(values_of("spearman", VALUES, predicted), 0.0)
    np.testing.assert_allclose(values_of("pearson", VALUES, predicted), 0.0)


def test_spearman_of_many_rows_is_a_plain_loop() -> None:
    labels = random.normal(size=300)
    predicted = labels + random.normal(size=300)
    (values,) = values_of("spearman", labels, predicted[None])
    np.testing.assert_allclose(values[::60], by_loop_at(labels, predicted, range(0, 300, 60), values), rtol=1e-7)


def by_loop_at(labels: np.ndarray, predicted: np.ndarray, at: range, values: np.ndarray) -> list[float]:
    """Single pseudo-values by definition, moved to the same centre."""
    n, score = labels.size, REFERENCES["spearman"]
    raw = [n * score(labels, predicted) - (n - 1) * score(np.delete(labels, i), np.delete(predicted, i)) for i in at]
    return [value - raw[0] + values[at[0]] for value in raw]


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(31,\) and \(31,\)"):
        values_of("accuracy", CLASSES[0], CLASSES[0])


def test_a_mean_over_rows_is_left_out_of_by_subtraction() -> None:
    mean, without = mean_of(np.array([1.0, 2.0, 6.0]))
    assert (mean, without.tolist()) == (3.0, [4.0, 3.5, 1.5])


SETS_OF_THREE = Target("multi_label", tuple("abc"))
TRUE_SETS = (random.random((25, 3)) < (0.6, 0.3, 0.05)).astype(np.int64)
FOUND_SETS = np.stack([np.where(random.random((25, 3)) < 0.8, TRUE_SETS, 1 - TRUE_SETS) for _ in range(3)])


@pytest.mark.parametrize("metric", ["micro_f1", "macro_f1", "subset_accuracy"])
@pytest.mark.parametrize("labels", [TRUE_SETS, np.where([1, 1, 0], TRUE_SETS, 0), np.eye(25, 3, dtype=np.int64)])
def test_sets_of_labels_are_a_plain_loop_over_scikit_learn(metric: str, labels: np.ndarray) -> None:
    def score(keep: np.ndarray, row: np.ndarray) -> float:
        return score_all(SETS_OF_THREE, labels[keep], row[keep])[metric]

    found = pseudo_values(SETS_OF_THREE.metric(metric).leave_one_out, labels, FOUND_SETS)
    everything = np.arange(25)
    for row, values in zip(FOUND_SETS, found, strict=True):
        complete = score(everything, row)
        left = np.array([score(np.delete(everything, i), row) for i in everything])
        assert values == pytest.approx(complete + 24 * (left.mean() - left), abs=1e-9)
        assert values.mean() == pytest.approx(complete, abs=1e-9)

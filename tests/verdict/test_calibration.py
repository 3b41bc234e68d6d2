from __future__ import annotations

import numpy as np
import pytest

from unipelt_search.verdict.calibration import BINS, bins_of, calibrations
from unipelt_search.verdict.predicted_rows import PredictedRows


def other_error(probabilities: np.ndarray, came_true: np.ndarray) -> float:
    """A second implementation, bin by bin with masks, after the formula of the paper."""
    error = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        held = (probabilities > low) & (probabilities <= high)
        if number == 0:
            held |= probabilities == 0
        if held.any():
            error += held.mean() * abs(came_true[held].mean() - probabilities[held].mean())
    return error


def run(labels: object, probabilities: object, predicted: object = None, key: int = 1) -> PredictedRows:
    shares = np.asarray(probabilities, dtype=np.float32)
    true = np.asarray(labels)
    found = shares.argmax(1) if predicted is None else np.asarray(predicted)
    return PredictedRows((key, 0), true, found, shares)


@pytest.mark.parametrize("seed", range(4))
def test_the_error_is_that_of_a_second_implementation(seed: int) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.random(500)
    probabilities[:20] = random.integers(0, 16, 20) / 15
    came_true = random.random(500) < probabilities**2
    assert bins_of(probabilities, came_true).error == pytest.approx(other_error(probabilities, came_true), abs=1e-12)


def test_what_comes_true_as_often_as_it_says_has_no_error() -> None:
    probabilities = np.repeat([0.25, 0.75], 100)
    came_true = np.tile([True, False, False, False], 25).tolist() + np.tile([True, True, True, False], 25).tolist()
    assert bins_of(probabilities, np.array(came_true)).error == pytest.approx(0.0, abs=1e-12)
    assert bins_of(np.ones(10), np.zeros(10)).error == 1.0
    assert bins_of(np.zeros(10), np.ones(10)).error == 1.0


def test_every_prediction_is_in_one_bin() -> None:
    bins = bins_of(np.array([0.0, 1 / 15, 1.0, 0.5]), np.array([1, 0, 1, 1]))
    assert bins.counts.sum() == 4
    assert (bins.counts[0], bins.counts[-1], bins.counts.size) == (2, 1, BINS)
    assert bins.hits.tolist()[:1] == [1.0]


def test_of_classes_the_predicted_one_counts() -> None:
    sure = run([0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    (found,) = calibrations([sure])
    assert found.label is None
    expected = other_error(np.array([0.9, 0.8, 0.6], dtype=np.float32).astype(float), np.array([True, False, True]))
    assert found.error == pytest.approx(expected, abs=1e-12)


def test_every_label_of_a_set_counts_for_itself() -> None:
    labels = [[1, 0], [1, 1], [0, 1], [1, 0]]
    shares = [[0.9, 0.3], [0.8, 0.6], [0.3, 0.9], [0.6, 0.1]]
    found = calibrations([run(labels, shares, predicted=labels)])
    assert [entry.label for entry in found] == [0, 1]
    for entry in found:
        column = np.array(shares, dtype=np.float32).astype(float)[:, entry.label]
        assert entry.error == pytest.approx(other_error(column, np.array(labels)[:, entry.label]), abs=1e-12)


def test_the_error_is_the_mean_over_runs_and_the_bins_are_of_all() -> None:
    # Two runs that err to opposite sides are not calibrated, though their sum is.
    modest, bold = run([0] * 4, [[0.5, 0.5]] * 4), run([1] * 4, [[0.52, 0.48]] * 4, key=2)
    without = PredictedRows((3, 0), modest.labels, modest.predicted, None)
    (found,) = calibrations([modest, bold, without])
    assert found.errors == pytest.approx((0.5, 0.52))
    assert found.error == pytest.approx(0.51)
    assert found.pooled.error == pytest.approx(0.01, abs=1e-6)
    assert found.pooled.counts.sum() == 8


def test_without_probabilities_there_is_nothing_to_calibrate() -> None:
    labels = np.array([0, 1])
    assert calibrations([PredictedRows((1, 0), labels, labels, None)]) == ()
    assert calibrations([]) == ()

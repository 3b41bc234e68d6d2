from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.verdict.predicted_rows import PredictedRows
from unipelt_search.verdict.threshold_curve import THRESHOLDS, threshold_curve

TWO = find_kind("classification").of_labels(("no", "yes"))
SETS = find_kind("multi_label").of_labels(("a", "b", "c"))


def two_class_run(seed: int) -> PredictedRows:
    random = np.random.default_rng(seed)
    share = random.random(200).round(2).astype(np.float32)
    labels = (random.random(200) < share).astype(np.int64)
    shares = np.stack([1 - share, share], axis=1)
    return PredictedRows((seed, 0), labels, shares.argmax(1), shares)


@pytest.mark.parametrize("position", [0, 3, 50, 99])
def test_two_classes_have_the_curve_of_the_positive_one(position: int) -> None:
    runs = [two_class_run(1), two_class_run(2)]
    curve = threshold_curve(runs, TWO)
    assert curve is not None
    truth = np.concatenate([run.labels for run in runs])
    scores = np.concatenate([run.probabilities[:, 1] for run in runs])
    predicted = scores >= np.float32(THRESHOLDS[position])
    precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, average="binary")
    found = curve.precision[position], curve.recall[position], curve.f1[position]
    assert found == pytest.approx((precision, recall, f1), abs=1e-12)


def test_labels_of_sets_share_a_threshold() -> None:
    random = np.random.default_rng(0)
    shares = random.random((150, 3)).astype(np.float32)
    labels = (random.random((150, 3)) < shares).astype(np.int64)
    curve = threshold_curve([PredictedRows((1, 0), labels, labels, shares)], SETS)
    assert curve is not None
    expected = precision_recall_fscore_support(labels, shares >= 0.37, average="micro")[:3]
    assert (curve.precision[37], curve.recall[37], curve.f1[37]) == pytest.approx(expected, abs=1e-12)


def test_where_nothing_is_predicted_there_is_no_precision() -> None:
    shares = np.array([[0.8, 0.2], [0.4, 0.6]], dtype=np.float32)
    curve = threshold_curve([PredictedRows((1, 0), np.array([0, 0]), shares.argmax(1), shares)], TWO)
    assert curve is not None
    assert (curve.precision[-1], curve.recall[-1], curve.f1[-1]) == (None, None, None)
    assert (curve.precision[0], curve.recall[0], curve.f1[0]) == (0.0, None, 0.0)


def test_other_tasks_have_no_curve() -> None:
    three = find_kind("classification").of_labels(("a", "b", "c"))
    shares = np.eye(3, dtype=np.float32)
    labels = np.arange(3)
    assert threshold_curve([PredictedRows((1, 0), labels, labels, shares)], three) is None
    assert threshold_curve([PredictedRows((1, 0), labels % 2, labels % 2, None)], TWO) is None

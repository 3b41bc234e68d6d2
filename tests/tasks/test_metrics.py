from __future__ import annotations

import numpy as np
import pytest

from unipelt_search.tasks.metrics import METRICS, score_all


def test_scores_are_the_textbook_ones() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])
    scores = score_all(labels, predicted, 3)
    assert tuple(scores) == METRICS
    assert scores["accuracy"] == pytest.approx(4 / 6)
    # F1 per class: 2·2/(3+3), 2·2/(3+2), 0
    assert scores["macro_f1"] == pytest.approx((4 / 6 + 4 / 5 + 0) / 3)
    # Gorodkin's R_K: (c·s − Σ p·t) / sqrt(...)
    assert scores["matthews"] == pytest.approx((4 * 6 - (9 + 6 + 0)) / np.sqrt((36 - 18) * (36 - 14)))


def test_macro_f1_leaves_out_classes_that_do_not_occur() -> None:
    assert score_all(np.array([0, 1]), np.array([0, 1]), 5)["macro_f1"] == 1.0


@pytest.mark.parametrize(("labels", "predicted"), [([0, 0], [0, 0]), ([0, 1], [1, 1]), ([1, 1], [0, 1]), ([0], [1])])
def test_matthews_is_zero_where_undefined(labels: list[int], predicted: list[int]) -> None:
    scores = score_all(np.array(labels), np.array(predicted), 2)
    assert scores["matthews"] == 0.0
    assert all(isinstance(value, float) and np.isfinite(value) for value in scores.values())

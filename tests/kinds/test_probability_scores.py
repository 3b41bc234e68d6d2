from __future__ import annotations

import numpy as np
import pytest

from unipelt_search.kinds import probability_scores

TRUE = np.array([True, False, True, False, True])
SCORES = np.array([0.9, 0.8, 0.8, 0.1, 0.1])
ONES = np.ones(5)


def test_the_area_counts_pairs_in_the_right_order_and_half_of_the_ties() -> None:
    # Three true rows against two others: 2 + (1 + 1/2) + 1/2 of 6 pairs.
    assert probability_scores.binary_roc_auc(TRUE, SCORES, ONES) == pytest.approx(4 / 6)
    assert probability_scores.pair_wins(TRUE, SCORES, ONES).tolist() == [2.0, 1.5, 1.5, 2.5, 0.5]


def test_the_average_precision_takes_equal_scores_together() -> None:
    # Down to 0.9: 1 of 1; to 0.8: 2 of 3; to 0.1: 3 of 5.
    expected = (1 + 2 / 3 + 3 / 5) / 3
    assert probability_scores.binary_average_precision(TRUE, SCORES, ONES) == pytest.approx(expected)


def test_a_probability_of_0_for_the_truth_has_a_finite_loss() -> None:
    losses = probability_scores.log_losses(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]], dtype=np.float32))
    assert losses[0] == pytest.approx(36.04, abs=0.01)
    assert losses[1] == pytest.approx(0.0, abs=1e-12)


def test_the_brier_score_is_halved_for_two_classes_only() -> None:
    sure = np.array([[1.0, 0.0]])
    assert probability_scores.brier(np.array([1]), sure) == 1.0
    assert probability_scores.brier(np.array([1]), np.array([0.0])) == 1.0
    assert probability_scores.brier(np.array([1]), np.array([[1.0, 0.0, 0.0]])) == 2.0


def test_of_equal_probabilities_the_last_come_first() -> None:
    equal = np.full((4, 4), 0.25)
    assert probability_scores.top_hits(np.arange(4), equal, first=3).tolist() == [0.0, 1.0, 1.0, 1.0]

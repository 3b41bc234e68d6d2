from __future__ import annotations

import numpy as np
import pytest

from unipelt_search.verdict.missed_rows import missed_rows
from unipelt_search.verdict.predicted_rows import PredictedRows

LABELS = np.array([0, 1, 2, 0, 1])


def run(predicted: list[int], sure: list[float] | None = None, seed: int = 1) -> PredictedRows:
    """A run that is so sure of each of its predictions; the rest is shared by the other two classes."""
    found = np.array(predicted)
    if sure is None:
        return PredictedRows((seed, 0), LABELS, found, None)
    shares = np.repeat((1 - np.array(sure)) / 2, 3).reshape(-1, 3)
    shares[np.arange(len(found)), found] = sure
    return PredictedRows((seed, 0), LABELS, found, shares.astype(np.float32))


def test_a_row_counts_that_every_method_misses_in_most_of_its_runs() -> None:
    methods = {
        "lora": [run([1, 1, 0, 1, 1], seed=1), run([1, 1, 0, 0, 0], seed=2), run([1, 0, 0, 1, 1], seed=3)],
        "head": [run([2, 0, 0, 0, 1]), run([1, 0, 0, 1, 1], seed=2), run([0, 0, 1, 0, 1], seed=3)],
        "unknown": [],
    }
    found = missed_rows(methods)
    assert found is not None
    # Row 3 is missed by most runs of lora alone, row 1 by most runs of head alone; row 4 by no method.
    assert found.rows.tolist() == [2, 0], "more runs agree on row 2"
    assert found.predicted.tolist() == [0, 1]
    assert found.shares == pytest.approx([5 / 6, 4 / 6])
    assert found.probabilities is None


def test_half_of_the_runs_are_not_most() -> None:
    found = missed_rows({"lora": [run([1, 1, 2, 0, 1], seed=1), run([0, 1, 2, 0, 1], seed=2)]})
    assert found is not None
    assert found.count == 0


def test_the_row_of_which_the_runs_are_surest_comes_first() -> None:
    methods = {
        "lora": [run([1, 1, 0, 1, 1], [0.5, 0.9, 0.9, 0.7, 0.9])],
        "head": [run([1, 1, 0, 2, 1], [0.6, 0.9, 0.8, 0.9, 0.9])],
    }
    found = missed_rows(methods)
    assert found is not None
    assert found.rows.tolist() == [2, 0, 3]
    # Of row 3 both predict something else; the first run's word stands, with what both give it.
    assert found.probabilities == pytest.approx([0.85, 0.55, (0.7 + 0.05) / 2])
    assert found.first(2).rows.tolist() == [2, 0]
    assert found.first(9).count == 3


def test_a_set_is_missed_as_a_whole_and_doubted_by_its_worst_label() -> None:
    labels = np.array([[1, 0], [1, 1]])
    predicted = np.array([[1, 0], [0, 1]])
    shares = np.array([[0.9, 0.2], [0.1, 0.7]], dtype=np.float32)
    found = missed_rows({"lora": [PredictedRows((1, 0), labels, predicted, shares)]})
    assert found is not None
    assert found.rows.tolist() == [1]
    assert (found.predicted.tolist(), found.labels.tolist()) == ([[0, 1]], [[1, 1]])
    assert found.probabilities == pytest.approx([0.9])


def test_where_nothing_is_missed_or_known_there_are_no_rows() -> None:
    labels = np.array([[1, 0], [1, 1]])
    nothing = missed_rows({"lora": [PredictedRows((1, 0), labels, labels, labels.astype(np.float32))]})
    assert nothing is not None
    assert nothing.count == 0
    assert missed_rows({"lora": []}) is None


def numbers(predicted: list[float], seed: int = 1) -> PredictedRows:
    return PredictedRows((seed, 0), np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array(predicted), None)


def test_a_number_is_missed_where_every_method_is_far_off() -> None:
    methods = {
        "lora": [numbers([1.1, 2.1, 3.1, 4.1, 9.0]), numbers([1.1, 1.9, 3.1, 9.0, 8.0], seed=2)],
        "head": [numbers([1.2, 2.2, 3.2, 2.0, 8.0]), numbers([1.2, 2.2, 3.2, 3.8, 7.0], seed=2)],
    }
    found = missed_rows(methods)
    assert found is not None
    # Row 3 is missed in one of two runs, which is not in most.
    assert found.rows.tolist() == [4]
    assert (found.labels.tolist(), found.predicted.tolist(), found.shares.tolist()) == ([5.0], [8.0], [1.0])
    assert found.probabilities is None
    assert found.sureness == pytest.approx([3.0])


def test_of_numbers_the_row_with_the_greatest_error_comes_first() -> None:
    found = missed_rows({"lora": [numbers([1.1, 2.1, 3.1, 9.0, 9.0])]})
    assert found is not None
    assert found.rows.tolist() == [3, 4]

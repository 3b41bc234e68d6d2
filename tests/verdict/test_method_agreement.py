from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from unipelt_search.verdict.method_agreement import cohen_kappa, method_agreement
from unipelt_search.verdict.predicted_rows import PredictedRows


def run(predicted: np.ndarray, seed: int, number: int = 0) -> PredictedRows:
    return PredictedRows((seed, number), np.zeros_like(predicted), predicted, None)


@pytest.mark.parametrize("classes", [2, 5])
def test_kappa_is_that_of_scikit_learn(classes: int) -> None:
    random = np.random.default_rng(classes)
    first = random.integers(0, classes, 300)
    second = np.where(random.random(300) < 0.6, first, random.integers(0, classes, 300))
    assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_two_that_always_predict_the_same_thing_have_no_kappa() -> None:
    assert cohen_kappa(np.ones(5, dtype=int), np.ones(5, dtype=int)) is None
    assert cohen_kappa(np.ones(5, dtype=int), np.zeros(5, dtype=int)) == 0.0


def test_runs_are_paired_by_seed_and_averaged() -> None:
    random = np.random.default_rng(1)
    predicted = {(name, seed): random.integers(0, 3, 50) for name in "ab" for seed in (1, 2, 3)}
    methods = {
        # Seed 3 is missing for the second one, seed 2 comes in another order.
        "a": [run(predicted["a", seed], seed) for seed in (1, 2, 3)],
        "b": [run(predicted["b", seed], seed) for seed in (2, 1)],
        "none": [],
    }
    (pair,) = method_agreement(methods)
    assert pair.methods == ("a", "b")
    both = [(predicted["a", seed], predicted["b", seed]) for seed in (1, 2)]
    assert pair.equal == pytest.approx(np.mean([(a == b).mean() for a, b in both]))
    assert pair.kappa == pytest.approx(np.mean([cohen_kappa_score(a, b) for a, b in both]), abs=1e-12)


def test_the_runs_of_a_seed_are_paired_by_their_number() -> None:
    first, second = np.array([0, 1, 0]), np.array([1, 0, 1])
    methods = {"a": [run(first, 1, 0), run(second, 1, 1)], "b": [run(first, 1, 0), run(second, 1, 1)]}
    (pair,) = method_agreement(methods)
    assert (pair.equal, pair.kappa) == (1.0, 1.0)


def test_sets_are_equal_as_a_whole() -> None:
    first = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 0, 1]])
    second = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 0, 1]])
    (pair,) = method_agreement({"a": [run(first, 1)], "b": [run(second, 1)]})
    assert pair.equal == 0.5
    names = [["".join(map(str, row)) for row in rows.tolist()] for rows in (first, second)]
    assert pair.kappa == pytest.approx(cohen_kappa_score(*names), abs=1e-12)


def test_one_method_agrees_with_nobody() -> None:
    assert list(method_agreement({"a": [run(np.array([0, 1]), 1)]})) == []
    assert list(method_agreement({"a": [], "b": []})) == []

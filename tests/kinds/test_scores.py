from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from unipelt_search.kinds import scores


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("classes", [2, 3, 11])
def test_scores_of_classes_are_scikit_learns_to_the_last_bit(random: np.random.Generator, classes: int) -> None:
    for rows in random.integers(2, 200, 60):
        labels = random.integers(0, classes, rows)
        predicted = np.where(random.random(rows) < random.random(), labels, random.integers(0, classes, rows))
        assert scores.accuracy(labels, predicted) == sk.accuracy_score(labels, predicted)
        assert scores.macro_f1(labels, predicted) == sk.f1_score(labels, predicted, average="macro", zero_division=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert scores.matthews(labels, predicted) == sk.matthews_corrcoef(labels, predicted)
        own, found = (labels == 1).astype(np.int64), (predicted == 1).astype(np.int64)
        assert scores.binary_f1(own, found) == sk.f1_score(own, found, zero_division=0)


def test_scores_of_sets_are_scikit_learns_to_the_last_bit(random: np.random.Generator) -> None:
    for rows in random.integers(2, 200, 60):
        labels = (random.random((rows, 5)) < random.random(5)).astype(np.int64)
        predicted = np.where(random.random((rows, 5)) < 0.8, labels, 1 - labels)
        micro = sk.f1_score(labels, predicted, average="micro", zero_division=0)
        macro = sk.f1_score(labels, predicted, average="macro", zero_division=0)
        assert scores.micro_f1_of_sets(labels, predicted) == micro
        assert scores.macro_f1_of_sets(labels, predicted) == macro
        assert scores.subset_accuracy_of_sets(labels, predicted) == sk.accuracy_score(labels, predicted)


def test_r2_is_scikit_learns_to_the_last_bit(random: np.random.Generator) -> None:
    for rows in random.integers(2, 200, 60):
        labels = random.normal(random.normal() * 100, random.random(), rows)
        predicted = labels + random.normal(size=rows)
        assert scores.r2(labels, predicted) == sk.r2_score(labels, predicted)


def test_what_is_undefined_is_0() -> None:
    nothing = np.zeros(3, dtype=np.int64)
    assert scores.binary_f1(nothing, nothing) == 0.0
    assert scores.matthews(nothing, np.array([0, 1, 1])) == 0.0
    graded = np.arange(30) % 3
    assert scores.quadratic_kappa(graded, np.full(30, 1)) == 0.0
    assert scores.quadratic_kappa(np.full(30, 1), graded) == 0.0
    assert scores.pearson(np.array([1.0, 1.0]), np.array([1.0, 2.0])) == 0.0
    assert scores.spearman(np.array([1.0]), np.array([1.0])) == 0.0
    assert scores.r2(np.array([2.0, 2.0]), np.array([1.0, 2.0])) == 0.0

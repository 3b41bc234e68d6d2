from __future__ import annotations

import numpy as np
import pytest

from unipelt_search.kinds.label_kind import Target
from unipelt_search.kinds.metric import (
    absolute_error_variance,
    area_variance,
    binomial_variance,
    loss_variance,
    squared_error_variance,
)

TWO = Target("classification", ("no", "yes"), positive=0)
LABELS = np.array([0, 1, 1])
PREDICTED = np.array([1, 1, 0])
PROBABILITIES = np.array([[0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])


def test_a_metric_of_the_positive_class_sees_1_for_it() -> None:
    true, found = TWO.metric("f1").inputs(0, LABELS, PREDICTED, PROBABILITIES)
    assert (true.tolist(), found.tolist()) == ([1, 0, 0], [0, 0, 1])
    true, found = TWO.metric("roc_auc").inputs(0, LABELS, PREDICTED, PROBABILITIES)
    assert (true.tolist(), found.tolist()) == ([1, 0, 0], [0.2, 0.4, 0.7])


def test_without_a_positive_class_all_classes_are_seen() -> None:
    true, found = TWO.metric("roc_auc").inputs(None, LABELS, PREDICTED, PROBABILITIES)
    assert (true.tolist(), found.shape) == ([0, 1, 1], (3, 2))
    assert TWO.metric("accuracy").inputs(0, LABELS, PREDICTED, PROBABILITIES)[1].tolist() == [1, 1, 0]


def test_probabilities_that_are_needed_must_be_there() -> None:
    with pytest.raises(ValueError, match="roc_auc needs probabilities"):
        TWO.metric("roc_auc").inputs(0, LABELS, PREDICTED, None)


def test_the_spread_of_scores_is_that_of_drawn_ones() -> None:
    random = np.random.default_rng(0)
    rows, studies = 200, 400
    assert binomial_variance(0.5) == 0.25
    errors = random.normal(size=(studies, rows))
    absolute = np.abs(errors).mean(axis=1)
    squared = np.sqrt(np.square(errors).mean(axis=1))
    assert absolute_error_variance(absolute.mean()) / rows == pytest.approx(absolute.var(), rel=0.2)
    assert squared_error_variance(squared.mean()) / rows == pytest.approx(squared.var(), rel=0.2)
    positive = random.normal(1.2, 1.0, (studies, rows // 2))
    negative = random.normal(0.0, 1.0, (studies, rows // 2))
    areas = np.array([(one[:, None] > other).mean() for one, other in zip(positive, negative, strict=True)])
    assert area_variance(areas.mean()) / rows == pytest.approx(areas.var(), rel=0.4)
    losses = -np.log(np.where(random.random((studies, rows)) < 0.9, 0.9, 0.1)).mean(axis=1)
    assert loss_variance(losses.mean()) / rows == pytest.approx(losses.var(), rel=0.2)

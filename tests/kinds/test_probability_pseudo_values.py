"""Leave-one-out values in closed form against a loop that leaves out every row."""

from __future__ import annotations

import numpy as np
import pytest

from unipelt_search.kinds import probability_pseudo_values
from unipelt_search.kinds.label_kind import Metric, Target, label_kinds
from unipelt_search.kinds.pseudo_values import pseudo_values

CASES = [(kind.name, metric) for kind in label_kinds().values() for metric in kind.metrics]


def rows_for(kind: str, metric: Metric, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels and what a metric takes for predictions: with ties, rare labels and labels that do not occur."""
    rows = int(random.integers(5, 30))
    if kind == "regression":
        numbers = random.normal(size=rows) * 3
        return (
            (numbers, np.round(numbers + random.normal(size=rows)))
            if random.random() < 0.5
            else (
                np.round(numbers),
                np.round(numbers + random.normal(size=rows)),
            )
        )
    classes = int(random.integers(6, 8))
    if kind == "multi_label":
        labels = (random.random((rows, classes)) < random.random(classes)).astype(np.int64)
        found = np.where(random.random((rows, classes)) < 0.8, labels, 1 - labels)
        return labels, np.round(random.random((rows, classes)), 1) if metric.needs_probabilities else found
    target = Target("classification", tuple(map(str, range(2 if metric.of_positive else classes))), positive=1)
    logits = np.round(random.normal(size=(rows, target.outputs)), 1)
    labels = random.integers(0, random.integers(1, target.outputs + 1), rows)
    logits[np.arange(rows), labels] += 1
    positive = 1 if metric.of_positive else None
    return metric.inputs(positive, labels, target.predict(logits), target.probabilities(logits))


@pytest.mark.parametrize(("kind", "metric"), CASES, ids=[f"{kind}-{metric.name}" for kind, metric in CASES])
@pytest.mark.parametrize("weighting", ["none", "whole", "any"])
def test_closed_forms_are_a_plain_loop(kind: str, metric: Metric, weighting: str) -> None:
    random = np.random.default_rng(len(metric.name))
    for _ in range(12):
        labels, found = rows_for(kind, metric, random)
        rows = len(labels)
        weights = {
            "none": None,
            "whole": random.integers(1, 4, rows) * 1.0,
            "any": random.exponential(size=rows) + 0.01,
        }[weighting]
        value, without = metric.leave_one_out(labels, found, weights)
        assert value == pytest.approx(metric.score(labels, found, weights), abs=1e-10)
        for row in range(rows):
            kept = np.arange(rows) != row
            left = metric.score(labels[kept], found[kept], None if weights is None else weights[kept])
            assert without[row] == pytest.approx(left, abs=1e-8)


@pytest.mark.parametrize(("kind", "metric"), CASES, ids=[f"{kind}-{metric.name}" for kind, metric in CASES])
def test_a_row_of_weight_3_is_three_equal_rows(kind: str, metric: Metric) -> None:
    random = np.random.default_rng(0)
    labels, found = rows_for(kind, metric, random)
    times = random.integers(1, 4, len(labels))
    repeated = np.repeat(np.arange(len(labels)), times)
    expected = metric.score(labels[repeated], found[repeated], None)
    assert metric.score(labels, found, times * 1.0) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("classes", [2, 4])
def test_areas_of_many_classes_are_means_over_those_that_are_there(classes: int) -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, classes, 40)
    probabilities = random.dirichlet(np.ones(classes + 1), 40)  # the last class does not occur
    (values,) = pseudo_values(probability_pseudo_values.roc_auc, labels, probabilities[None])
    alone = []
    for column in range(classes):
        own = (labels == column).astype(np.int64)
        alone.append(pseudo_values(probability_pseudo_values.roc_auc, own, probabilities[None, :, column])[0])
    assert values.mean() == pytest.approx(np.mean(alone))
    assert values == pytest.approx(np.mean(alone, axis=0))

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

from unipelt_search.records.results import OutcomeRow
from unipelt_search.training.outcomes import outcome_rows

NAMES = tuple(f"class {i}" for i in range(7))


def test_pairs_are_the_confusion_matrix_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 5, 60), random.integers(1, 7, 60)
    found = np.zeros((7, 7), dtype=int)
    for row in outcome_rows("test", labels, predicted, NAMES):
        assert (row.split, row.n > 0) == ("test", True)
        assert row.label is not None
        assert row.predicted is not None
        found[NAMES.index(row.label), NAMES.index(row.predicted)] = row.n
    assert (found == confusion_matrix(labels, predicted, labels=range(7))).all()


def test_hits_misses_and_false_alarms_of_any_number_of_labels_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    labels, predicted = (random.random((50, 7)) < share for share in (0.3, 0.4))
    labels[:, 6] = predicted[:, 6] = False
    rows = {(row.label, row.predicted): row.n for row in outcome_rows("select", labels * 1, predicted * 1, NAMES)}
    for name, ((_, alarms), (misses, hits)) in zip(NAMES, multilabel_confusion_matrix(labels, predicted), strict=True):
        counts = [rows.get(pair, 0) for pair in ((name, name), (name, None), (None, name))]
        assert counts == [hits, misses, alarms]
    assert all(rows.values())


def test_a_task_without_labels_has_no_outcomes() -> None:
    assert list(outcome_rows("test", np.array([0.5, -1.2]), np.array([0.4, 3.0]), ())) == []


def test_rows_follow_the_order_of_the_names() -> None:
    rows = list(outcome_rows("test", np.array([1, 0, 1]), np.array([0, 0, 0]), ("b", "a")))
    assert rows == [
        OutcomeRow(split="test", label="b", predicted="b", n=1),
        OutcomeRow(split="test", label="a", predicted="b", n=2),
    ]

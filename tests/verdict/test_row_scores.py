from __future__ import annotations

import numpy as np
import pytest
from made_record import folded, made_record, whole_record, with_labels
from sklearn.metrics import f1_score, matthews_corrcoef

from unipelt_search.records.results import Predictions
from unipelt_search.verdict.row_scores import fold_of_rows, joined_folds, row_scores

FOLDS = (
    Predictions(split="select", labels=(0, 1, 2), predicted=(0, 1, 1), rows=(1, 3, 6)),
    Predictions(split="select", labels=(2, 2), predicted=(2, 0), rows=(0, 4)),
    Predictions(split="select", labels=(0, 1), predicted=(1, 1), rows=(5, 2)),
)


def test_folds_are_put_together_in_the_order_of_the_rows() -> None:
    complete = joined_folds(FOLDS)
    assert (complete.labels, complete.predicted) == ((2, 0, 1, 1, 2, 0, 2), (2, 0, 1, 1, 0, 1, 1))
    assert complete.rows is None
    assert fold_of_rows(FOLDS).tolist() == [1, 0, 2, 0, 1, 2, 0]


def test_labels_of_every_kind_are_put_together() -> None:
    sets = [
        Predictions(split="select", labels=((0, 2),), predicted=((),), rows=(1,)),
        Predictions(split="select", labels=((),), predicted=((1,),), rows=(0,)),
    ]
    assert joined_folds(sets).labels == ((), (0, 2))
    numbers = [
        Predictions(split="select", labels=(0.5,), predicted=(1.0,), rows=(1,)),
        Predictions(split="select", labels=(2.0,), predicted=(0.25,), rows=(0,)),
    ]
    assert joined_folds(numbers).predicted == (0.25, 1.0)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "matthews"])
def test_a_metric_that_is_no_mean_is_that_of_all_folds_together(metric: str) -> None:
    task = made_record().task.model_copy(update={"metric": metric})
    complete = joined_folds(FOLDS)
    labels, predicted = np.array(complete.labels), np.array(complete.predicted)
    expected = {
        "accuracy": (labels == predicted).mean(),
        "macro_f1": f1_score(labels, predicted, average="macro"),
        "matthews": matthews_corrcoef(labels, predicted),
    }
    scores = row_scores(task, [complete, complete])
    assert scores.shape == (2, 7)
    assert scores.mean(axis=1) == pytest.approx([expected[metric]] * 2)


def test_f1_is_that_of_the_positive_label() -> None:
    task = with_labels(whole_record(), ("no", "yes"), metric="f1").task
    predictions = Predictions(split="test", labels=(1, 1, 1, 0, 0, 1), predicted=(0, 1, 1, 0, 1, 1))
    assert row_scores(task, [predictions]).mean() == pytest.approx(f1_score(predictions.labels, predictions.predicted))


def test_made_folds_hold_every_row_once() -> None:
    record = folded(whole_record())
    runs = [run.result for run in record.trials[2].runs if run.seed_index == 1 and run.result]
    assert sorted(row for result in runs for row in result.predictions[0].rows or ()) == list(range(200))

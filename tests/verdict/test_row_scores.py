from __future__ import annotations

import numpy as np
import pytest
from made_record import folded, made_record, whole_record, with_labels
from sklearn import metrics as sk
from sklearn.metrics import f1_score, matthews_corrcoef

from unipelt_search.records.results import Predictions
from unipelt_search.verdict.row_scores import (
    can_be_scored,
    fold_of_rows,
    joined_folds,
    probabilities_of,
    row_scores,
)

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


def stored(shares: np.ndarray, **fields: object) -> Predictions:
    """Predictions with probabilities as runs keep them."""
    kept = shares.astype("<f4")
    labels = (0, 1, 1, 0, 1, 0)[: len(kept)]
    predicted = tuple(kept.argmax(1).tolist())
    made = {"split": "select", "labels": labels, "predicted": predicted, "probabilities": kept.tobytes(), **fields}
    return Predictions.model_validate(made)


SHARES = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.55, 0.45], [0.2, 0.8], [0.7, 0.3]])


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss", "brier"])
def test_a_metric_of_probabilities_is_that_of_the_stored_ones(metric: str) -> None:
    task = with_labels(whole_record(), ("no", "yes"), metric=metric).task
    predictions = stored(SHARES)
    given = SHARES.astype(np.float32).astype(np.float64)
    labels = np.array(predictions.labels)
    expected = {
        "roc_auc": sk.roc_auc_score(labels, given[:, 1]),
        "average_precision": sk.average_precision_score(labels, given[:, 1]),
        "log_loss": -np.log(given[np.arange(6), labels]).mean(),
        "brier": sk.brier_score_loss(labels, given[:, 1]),
    }
    scores = row_scores(task, [predictions, predictions])
    assert scores.shape == (2, 6)
    assert scores.mean(axis=1) == pytest.approx([expected[metric]] * 2, rel=1e-12)
    assert can_be_scored(task, [predictions])
    assert not can_be_scored(task, [predictions.model_copy(update={"probabilities": None})])


def test_the_positive_label_is_the_one_that_the_user_named() -> None:
    task = with_labels(whole_record(), ("no", "yes"), metric="average_precision", positive="no").task
    own = 1 - np.array(stored(SHARES).labels)
    expected = sk.average_precision_score(own, SHARES[:, 0].astype(np.float32))
    assert row_scores(task, [stored(SHARES)]).mean() == pytest.approx(expected)


def test_rows_count_by_their_weights_whatever_the_unit() -> None:
    task = with_labels(whole_record(), ("no", "yes"), metric="accuracy").task
    weights = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    scores = row_scores(task, [stored(SHARES, weights=weights)])
    assert scores.mean() == pytest.approx(18 / 21)  # the third row is wrong
    tiny = tuple(1e-9 * weight for weight in weights)
    assert row_scores(task, [stored(SHARES, weights=tiny)]) == pytest.approx(scores)


def test_folds_keep_probabilities_and_weights_in_the_order_of_the_rows() -> None:
    folds = [
        stored(SHARES[[1, 3]], rows=(1, 3), labels=(1, 0), weights=(2.0, 4.0)),
        stored(SHARES[[0, 2]], rows=(0, 2), labels=(0, 1), weights=(1.0, 3.0)),
    ]
    complete = joined_folds(folds)
    assert probabilities_of(complete) == pytest.approx(SHARES[:4])
    assert complete.weights == (1.0, 2.0, 3.0, 4.0)
    partly = [folds[0], folds[1].model_copy(update={"probabilities": None})]
    assert joined_folds(partly).probabilities is None

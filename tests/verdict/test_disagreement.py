from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from made_record import folded, made_record, made_trial, whole_record, without_answers

from unipelt_search.kinds.label_kind import find_metric
from unipelt_search.kinds.pseudo_values import pseudo_values
from unipelt_search.records.history import StudyRecord
from unipelt_search.records.results import Predictions
from unipelt_search.verdict.disagreement import is_disagreement
from unipelt_search.verdict.ranking import rank_methods

STUDIES, METHODS, SEEDS = 500, 7, 3


def runs(random: np.random.Generator, rows: int, accuracy: float) -> np.ndarray:
    """Which rows each method's runs get right, ``(methods, seeds, rows)``: difficulties are shared, methods alike."""
    latent = random.normal(0, 2.0, rows) + random.normal(0, 1.0, (METHODS, 1, rows))
    latent = latent + random.normal(0, 0.8, (METHODS, SEEDS, rows))
    return latent < np.quantile(random.normal(0, np.sqrt(5.64), 100_000), accuracy)


def studies(rows: int, test_rows: int, accuracy: float, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the scores of the method that the deciding rows chose of seven equal ones, there and on test rows."""
    random = np.random.default_rng(seed)
    for _ in range(STUDIES):
        deciding = runs(random, rows, accuracy)
        best = int(deciding.mean(axis=(1, 2)).argmax())
        yield deciding[best].astype(float), runs(random, test_rows, accuracy)[best].astype(float)


def as_macro_f1(right: np.ndarray) -> np.ndarray:
    """Score rows of two classes by macro F1."""
    labels = np.arange(right.shape[1]) % 5 == 0
    predicted = np.where(right > 0, labels, ~labels).astype(int)
    return pseudo_values(find_metric("macro_f1").leave_one_out, labels.astype(int), predicted)


@pytest.mark.parametrize(
    ("rows", "test_rows", "accuracy"),
    [(80, 80, 0.8), (80, 2000, 0.95), (1000, 100, 0.97), (20, 400, 0.9), (400, 400, 0.7)],
)
def test_at_most_one_study_in_fifty_that_agrees_is_said_to_disagree(rows: int, test_rows: int, accuracy: float) -> None:
    found = 0
    for deciding, test in studies(rows, test_rows, accuracy, seed=rows):
        found += is_disagreement(deciding.mean() - test.mean(), deciding, test)
    assert found <= 0.02 * STUDIES


def test_so_it_is_where_the_metric_is_no_mean_over_rows() -> None:
    found = 0
    for deciding, test in studies(80, 200, 0.85, seed=1):
        one, other = as_macro_f1(deciding), as_macro_f1(test)
        found += is_disagreement(one.mean() - other.mean(), one, other)
    assert found <= 0.02 * STUDIES


def test_scores_that_the_customers_decide_on_one_side_only_disagree() -> None:
    """The case of the findings: 400 rows in folds, all right, and 43 of 80 test rows."""
    test = np.tile((np.arange(80) < 43).astype(float), (5, 1))
    assert is_disagreement(1.0 - 43 / 80, np.ones((1, 400)), test)
    missing = np.vstack([np.ones((1, 400)), np.full((1, 400), np.nan)])
    assert is_disagreement(1.0 - 43 / 80, missing, test)
    # Three wrong of twenty are no contradiction to none of twenty.
    assert not is_disagreement(0.15, np.ones((3, 20)), np.tile((np.arange(20) > 2).astype(float), (3, 1)))


def with_wrong_tests(record: StudyRecord, wrong: float) -> StudyRecord:
    """Give a share of the test rows wrong predictions in every confirmed run."""
    trials = []
    for trial in record.trials:
        done = []
        for run in trial.runs:
            if run.result is None or run.result.test is None:
                done.append(run)
                continue
            predictions = tuple(
                _wrong(part, wrong) if part.split == "test" else part for part in run.result.predictions
            )
            of_test = next((part for part in predictions if part.split == "test"), None)
            test = dict(run.result.test)
            if of_test is not None:
                test["accuracy"] = float(np.mean(np.array(of_test.labels) == np.array(of_test.predicted)))
            done.append(
                run.model_copy(
                    update={"result": run.result.model_copy(update={"predictions": predictions, "test": test})}
                )
            )
        trials.append(trial.model_copy(update={"runs": tuple(done)}))
    return record.model_copy(update={"trials": tuple(trials)})


def _wrong(predictions: Predictions, share: float) -> Predictions:
    count = round(share * len(predictions.labels))
    wrong = tuple((label + 1) % 3 for label in predictions.labels[:count])  # type: ignore[operator]
    return predictions.model_copy(update={"predicted": wrong + predictions.labels[count:]})


@pytest.mark.parametrize("record", [whole_record(), folded(whole_record())], ids=["select", "folds"])
def test_a_ranking_has_both_scores_where_they_disagree(record: StudyRecord) -> None:
    assert rank_methods(record).disagreement is None
    found = rank_methods(with_wrong_tests(record, 0.5)).disagreement
    assert found is not None
    assert (round(found.deciding, 2), found.test) == (0.88, 0.5)
    assert rank_methods(without_answers(with_wrong_tests(record, 0.5))).disagreement is None


def test_one_seed_without_an_interval_is_compared_by_its_rows() -> None:
    record = made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5}))
    assert rank_methods(record).disagreement is None
    assert rank_methods(with_wrong_tests(record, 0.6)).disagreement is not None
    assert rank_methods(made_record()).disagreement is None

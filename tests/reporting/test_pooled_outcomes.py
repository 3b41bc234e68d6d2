from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from made_record import LABELS, made_record, made_trial
from sklearn.metrics import precision_recall_fscore_support

from unipelt_search.kinds.label_kind import Target
from unipelt_search.records.history import TrialRecord
from unipelt_search.records.results import OutcomeRow
from unipelt_search.reporting.pooled_outcomes import label_scores, pool_outcomes
from unipelt_search.training.evaluate import outcome_rows
from unipelt_search.verdict.candidates import find_candidates


def with_outcomes(trial: TrialRecord, *rows: OutcomeRow) -> TrialRecord:
    """The trial with the same outcomes in every confirmed run."""

    def changed(run):
        outcomes = rows if run.phase == "confirm" else ()
        return run.model_copy(update={"result": run.result.model_copy(update={"outcomes": outcomes})})

    return trial.model_copy(update={"runs": tuple(map(changed, trial.runs))})


def counted(labels: np.ndarray, predicted: np.ndarray, names: tuple[str, ...]) -> Counter:
    target = Target("multi_label" if labels.ndim == 2 else "classification", names)
    rows = outcome_rows("test", target, labels, predicted)
    return Counter({(row.label, row.predicted): row.n for row in rows})


@pytest.mark.parametrize("matrix", [False, True], ids=["one label", "any number of labels"])
def test_scores_are_those_of_scikit_learn(matrix: bool) -> None:
    random = np.random.default_rng(2)
    names = tuple("abcdef")
    if matrix:
        labels, predicted = (random.random((80, 6)) < share for share in (0.3, 0.5))
    else:
        labels, predicted = random.integers(0, 6, 80), random.integers(0, 6, 80)
    found = list(label_scores(counted(labels * 1, predicted * 1, names), names))
    wanted = precision_recall_fscore_support(labels, predicted, labels=range(6))
    ours = [(score.precision, score.recall, score.f1, score.support) for score in found]
    assert np.array(ours) == pytest.approx(np.array(wanted).T)


def test_what_is_undefined_is_none() -> None:
    never, alarmed, missed = label_scores(Counter({("c", "b"): 2}), ("a", "b", "c"))
    assert (never.support, never.predicted, never.precision, never.recall, never.f1) == (0, 0, None, None, None)
    assert (alarmed.precision, alarmed.recall, alarmed.f1) == (0, None, None)
    assert (missed.precision, missed.recall, missed.f1) == (None, 0, 0)


def test_confirmed_runs_are_pooled_in_the_order_of_labels() -> None:
    rows = (
        OutcomeRow(split="test", label="location", predicted="human", n=1),
        OutcomeRow(split="test", label="human", predicted="human", n=4),
        OutcomeRow(split="select", label="numeric", predicted="numeric", n=2),
    )
    lora = with_outcomes(made_trial(3, "lora", 0.8, {1: 0.8, 2: 0.7}), *rows)
    record = made_record(lora, made_trial(4, "head", 0.5))
    select, test = pool_outcomes(record, find_candidates(record))
    assert (select.split, select.runs, select.trial) == ("select", 2, 3)
    assert [(row.label, row.predicted, row.n) for row in test.confusion] == [
        ("human", "human", 8), ("location", "human", 2),
    ]  # fmt: skip
    assert [score.label for score in test.labels] == list(LABELS)
    assert (test.labels[0].precision, test.labels[0].recall) == (0.8, 1.0)


def test_runs_that_counted_nothing_have_no_entry() -> None:
    record = made_record(with_outcomes(made_trial(0, "head", 0.5, {1: 0.5})))
    assert list(pool_outcomes(record, find_candidates(record))) == []

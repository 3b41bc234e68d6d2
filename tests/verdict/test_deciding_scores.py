"""Scores on the deciding rows: crossed and folded ones give the same answers to the same questions."""

from __future__ import annotations

import numpy as np
import pytest
from made_record import few_rows, folded, whole_record, without_answers

from unipelt_search.records.history import StudyRecord
from unipelt_search.verdict.comparisons import compare_folded, compare_with_best
from unipelt_search.verdict.crossed import mean_estimate, method_scores
from unipelt_search.verdict.deciding_scores import (
    CrossedScores,
    DecidingScores,
    FoldedScores,
    deciding_scores,
    scores_of_runs,
)
from unipelt_search.verdict.folds import folded_estimate
from unipelt_search.verdict.ranking import rank_methods


def scores_of(record: StudyRecord) -> DecidingScores:
    return deciding_scores(rank_methods(record).confirmed, record.task)


def test_the_task_says_which_design_it_is() -> None:
    assert isinstance(scores_of(whole_record()), CrossedScores)
    found = scores_of(folded(whole_record()))
    assert isinstance(found, FoldedScores)
    assert found.folds.shape == (3, 200)
    assert (scores_of(whole_record()).repeats, found.repeats) == (None, 3)


def test_crossed_scores_are_one_row_per_seed() -> None:
    found = scores_of(whole_record())
    assert isinstance(found, CrossedScores)
    assert found.scores["lora"].shape == (3, 200)
    assert found.estimate("lora") == mean_estimate(method_scores(found.scores["lora"]))
    paired = found.compare(["lora", "nobody", "head"])
    assert paired is not None
    expected = compare_with_best({name: found.scores[name] for name in ("lora", "head")})
    assert paired.comparisons == expected.comparisons


def test_folded_scores_are_one_row_per_repeat_and_compared_over_shared_repeats() -> None:
    random = np.random.default_rng(0)
    folds = np.stack([random.permutation(20) % 5 for _ in range(2)])
    lora, head, late = (random.random((2, 20)) for _ in range(3))
    late[0] = np.nan
    early = np.where(np.isnan(late), 0.5, np.nan)
    found = FoldedScores({"late": late, "early": early, "lora": lora, "head": head}, folds)
    assert found.estimate("head") == folded_estimate(head, folds)
    paired = found.compare(["late", "early", "lora", "head"])
    assert paired is not None
    assert set(paired.means) == {"late", "lora", "head"}  # early and late share no repeat
    assert paired.means == compare_folded({"late": late, "lora": lora, "head": head}, folds).means


@pytest.mark.parametrize("record", [whole_record(), folded(whole_record())])
def test_what_was_not_kept_has_no_estimate_and_no_comparison(record: StudyRecord) -> None:
    found = scores_of(without_answers(record))
    assert found.estimate("lora") is None
    assert found.compare(["lora", "head"]) is None
    assert scores_of(record).compare([]) is None


@pytest.mark.parametrize("record", [whole_record(), folded(whole_record())])
def test_a_constant_prediction_is_compared_by_the_best_methods_spread_alone(record: StudyRecord) -> None:
    found = scores_of(record)
    paired = found.compare(["lora", "head"])
    assert paired is not None
    own = found.estimate("lora")
    assert own is not None
    difference = found.majority_difference(np.zeros(200), "lora", paired)
    assert difference.mean == pytest.approx(-own.mean)
    assert difference.error == pytest.approx(own.error)


def test_too_few_seeds_or_rows_have_no_scores() -> None:
    record = whole_record()
    runs = [run.predictions("select") for run in rank_methods(record).confirmed[0].confirmed]
    assert scores_of_runs(runs, record.task) is not None
    assert scores_of_runs(runs[:1], record.task) is None
    assert scores_of_runs([*runs, None], record.task) is None
    assert scores_of(few_rows(record)).estimate("lora") is None

from __future__ import annotations

from statistics import fmean, stdev

import pytest
from made_record import folded
from made_suite import made_errors, made_records, made_study, made_suite
from scipy.stats import spearmanr

from unipelt_search.errors import StudyExistsError
from unipelt_search.specs.study import BudgetSpec
from unipelt_search.verdict.suite_scores import Measure, Scores, SuiteScores, gated_methods, mean_scores, suite_scores

FILMS = {"fine_tuning": (0.60, 0.62), "adapter": (0.62, 0.64), "lora": (0.72, 0.74), "unipelt_al": (0.66, 0.68)}
PAIRS = {"fine_tuning": (0.52, 0.56), "adapter": (0.82, 0.82), "lora": (0.62, 0.62), "unipelt_al": (0.80, 0.76)}
"""Test scores with 20 rows, seed by seed, as `made_records` has them."""


@pytest.fixture(scope="module")
def scores() -> SuiteScores:
    suite = made_suite()
    return suite_scores(suite, made_records(suite))


def test_scores_are_means_over_confirmed_runs(scores: SuiteScores) -> None:
    for task, expected in (("films", FILMS), ("pairs", PAIRS)):
        for method, values in expected.items():
            found = scores.scores(20, method, task)
            assert found is not None
            assert found.mean == pytest.approx(fmean(values))
            assert found.sd == pytest.approx(stdev(values))
    alone = scores.scores(100, "adapter", "films")
    assert alone is not None
    assert (alone.mean, alone.sd) == (pytest.approx(0.82), None)
    assert scores.scores(100, "lora", "films") is None
    assert scores.scores(100, "lora", "pairs") is None
    assert (scores.runs_confirmed, scores.runs_asked) == (16 + 3, 2 * 2 * 4 * 2)
    study = scores.studies["films", 20]
    assert (study.verdict.name, study.majority, study.copy_note) == ("lora", 0.2, "a sample")
    assert scores.studies["pairs", 20].copy_note is None


def test_averages_are_over_tasks_run_by_run(scores: SuiteScores) -> None:
    assert scores.shared_tasks(20) == ("films", "pairs")
    for method in FILMS:
        runs = [fmean(pair) for pair in zip(FILMS[method], PAIRS[method], strict=True)]
        average = scores.average(20, method)
        assert average is not None
        assert average.mean == pytest.approx(fmean(runs))
        assert average.sd == pytest.approx(stdev(runs))
    assert scores.published_average(20, "unipelt_al") == pytest.approx(71)
    assert scores.shared_tasks(100) == ()
    assert scores.average(100, "fine_tuning") is None
    assert scores.published_average(100, "fine_tuning") is None


def test_the_bound_is_chosen_on_select_rows_and_the_published_one_is_the_largest(scores: SuiteScores) -> None:
    assert gated_methods(scores.suite) == {"unipelt_al": ("adapter", "lora")}
    films, pairs = (scores.bound(20, ("adapter", "lora"), task) for task in ("films", "pairs"))
    assert films is not None and pairs is not None
    assert (films.method, pairs.method) == ("lora", "adapter")
    average = scores.average_bound(20, ("adapter", "lora"))
    assert average is not None
    assert average.mean == pytest.approx(fmean([*FILMS["lora"], *PAIRS["adapter"]]))
    assert scores.published_bound(20, ("adapter", "lora"), "films") == 65
    assert scores.published_average_bound(20, ("adapter", "lora")) == 70
    half = scores.bound(100, ("adapter", "lora"), "films")
    assert half is not None and half.method == "adapter"
    assert scores.bound(100, ("lora",), "films") is None
    assert scores.average_bound(100, ("adapter", "lora")) is None


def test_select_rows_choose_even_where_test_rows_disagree() -> None:
    suite = made_suite()
    record = made_study(suite, "films", 20, {"adapter": (0.7,), "lora": (0.6,)})
    (run,) = (run for run in record.trials[1].runs if run.phase == "confirm")
    assert run.result is not None and run.result.test is not None
    better = run.result.model_copy(update={"test": {**run.result.test, "accuracy": 0.99}})
    trial = record.trials[1].model_copy(update={"runs": (run.model_copy(update={"result": better}),)})
    scores = suite_scores(suite, [record.model_copy(update={"trials": (record.trials[0], trial)})])
    bound = scores.bound(20, ("adapter", "lora"), "films")
    assert bound is not None
    assert (bound.method, bound.test.mean) == ("adapter", pytest.approx(0.72))


def test_the_rank_correlation_is_scipys(scores: SuiteScores) -> None:
    found = scores.rank_correlation(20)
    assert found is not None
    ours = [fmean([*FILMS[method], *PAIRS[method]]) for method in FILMS]
    published = [65.0, 68.0, 68.5, 71.0]
    assert found == (pytest.approx(spearmanr([round(value, 9) for value in ours], published).statistic), 4)
    assert scores.rank_correlation(100) is None


def test_runs_that_not_all_have_are_left_out_of_an_average() -> None:
    first, second = Scores({1: 0.2, 2: 0.4}), Scores({2: 0.6, 3: 0.9})
    assert mean_scores([first, second]) == Scores({2: 0.5})
    assert mean_scores([first, Scores({7: 0.1})]) is None
    assert mean_scores([first, None]) is None
    assert mean_scores([]) is None


def test_a_study_that_asks_something_else_is_refused() -> None:
    suite = made_suite()
    records = made_records(suite)
    other = made_suite(seed=3, carve=11)
    with pytest.raises(StudyExistsError, match=r"'two-films-20' exists and differs in task.carve: 10 → 11; seed"):
        suite_scores(other, records)
    grown = made_suite(budget=BudgetSpec(trials=4, seeds=5))
    assert suite_scores(grown, records).runs_asked == 80


def test_the_folds_of_a_seed_are_one_score() -> None:
    suite = made_suite()
    complete = suite_scores(suite, made_records(suite)).scores(20, "lora", "films")
    of_folds = suite_scores(suite, [folded(record) for record in made_records(suite)]).scores(20, "lora", "films")
    assert complete is not None
    assert of_folds is not None
    assert of_folds.by_seed == pytest.approx(complete.by_seed)


def test_the_best_is_the_lowest_where_lower_is_better() -> None:
    scores = made_errors({"films": "log_loss", "pairs": "log_loss"})
    bound = scores.bound(20, ("adapter", "lora"), "films")
    assert bound is not None
    assert (bound.method, scores.published_bound(20, ("adapter", "lora"), "films")) == ("lora", 61.0)
    average = scores.average_bound(20, ("adapter", "lora"))
    assert average is not None
    assert average.mean == pytest.approx(0.2)
    assert scores.average_measure(20) == Measure(sign=-1, factor=1.0)


def test_scores_of_several_directions_have_no_average() -> None:
    scores = made_errors({"films": "brier", "pairs": "accuracy"})
    assert (scores.measure("films"), scores.measure("pairs")) == (Measure(-1, 100.0), Measure(1, 100.0))
    assert scores.average_measure(20) is None
    assert scores.average(20, "lora") is None
    assert scores.published_average(20, "lora") is None
    assert scores.rank_correlation(20) is None

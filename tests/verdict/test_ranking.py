from __future__ import annotations

import numpy as np
import pytest
from made_record import folded, made_record, made_trial, whole_record, with_labels, with_latency, without_answers
from made_studies import multi_label, regression

from unipelt_search.records.history import StudyRecord
from unipelt_search.records.results import Predictions
from unipelt_search.verdict.comparisons import compare_folded, compare_with_best
from unipelt_search.verdict.crossed import mean_estimate, method_scores
from unipelt_search.verdict.folds import folded_estimate
from unipelt_search.verdict.power import RequiredSample, detectable_difference
from unipelt_search.verdict.ranking import Ranking, rank_methods
from unipelt_search.verdict.recommend import recommend
from unipelt_search.verdict.row_scores import joined_folds


def right(record: StudyRecord, number: int, split: str = "select") -> np.ndarray:
    """Whether each row was answered rightly, (seeds, rows)."""
    found = [
        predictions
        for run in record.trials[number].runs
        if run.result is not None
        for predictions in run.result.predictions
        if predictions.split == split
    ]
    return np.array([np.equal(predictions.labels, predictions.predicted) for predictions in found], dtype=float)


def test_the_intervals_are_those_of_the_answers_row_by_row() -> None:
    record = whole_record()
    ranking = rank_methods(record)
    confirmed = {trial.method: right(record, trial.number) for trial in record.trials if len(trial.runs) > 1}
    order = [candidate.name for candidate in ranking.confirmed]
    paired = compare_with_best({name: confirmed[name] for name in order})
    assert order[0] == paired.best == "lora"
    assert ranking.ties == paired.ties
    for comparison in paired.comparisons:
        found = ranking.differences[comparison.method]
        expected = (comparison.difference.mean, comparison.low, comparison.high)
        assert (found.mean, found.low, found.high) == pytest.approx(expected, abs=1e-9)
    for split, shown in (("select", ranking.validation), ("test", ranking.test)):
        own = mean_estimate(method_scores(right(record, 2, split)))
        assert (shown["lora"].low, shown["lora"].high) == pytest.approx((own.low, own.high), abs=1e-9)
    assert ranking.differences["lora"].model_dump() == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert "prefix" not in ranking.validation  # it was not confirmed


def test_the_majority_answer_is_compared_on_the_rows() -> None:
    record = whole_record()
    labels = np.array(record.trials[2].runs[1].result.predictions[0].labels)  # type: ignore[union-attr]
    lora = right(record, 2)
    found = rank_methods(record).differences["majority"]
    gaps = (labels == 0) - lora.mean(axis=0)
    assert found.low is not None
    assert found.high is not None
    assert (found.low + found.high) / 2 == pytest.approx(gaps.mean())
    assert found.high - found.low >= 2 * 1.97 * gaps.std(ddof=1) / np.sqrt(len(labels)) * 0.999
    old = record.model_copy(update={"task": record.task.model_copy(update={"majority_answer": None})})
    assert rank_methods(old).differences["majority"].low is None


@pytest.mark.parametrize(
    "record", [regression(), multi_label(), with_labels(whole_record(("no", "yes")), ("no", "yes"), metric="f1")]
)
def test_every_kind_of_task_is_judged(record: StudyRecord) -> None:
    ranking = rank_methods(record)
    assert all(interval.low is not None for interval in (*ranking.validation.values(), *ranking.test.values()))
    assert all(difference.low is not None for difference in ranking.differences.values())
    assert ranking.power is not None


def test_f1_is_that_of_the_positive_label() -> None:
    labels, predictions = ("no", "yes"), (0, 1, 1, 0, 1, 1, 0, 1)
    trial = made_trial(0, "lora", 0.8, {1: 0.8, 2: 0.8}, labels)
    runs = []
    for run in trial.runs:
        select = Predictions(split="select", labels=(1, 1, 1, 0, 0, 1, 0, 1), predicted=predictions)
        assert run.result is not None
        result = run.result.model_copy(update={"predictions": (select,) if run.seed_index else ()})
        runs.append(run.model_copy(update={"result": result}))
    record = with_labels(made_record(trial.model_copy(update={"runs": tuple(runs)})), labels, metric="f1")
    found = rank_methods(record).validation["lora"]
    assert found.low is not None
    assert found.high is not None
    # Both runs are alike, so the interval is symmetric around their F1, 2 · 4 / (5 + 5), and cut off at 1.
    assert found.high == 1.0 or (found.low + found.high) / 2 == pytest.approx(0.8)
    assert found.low < 0.8


@pytest.mark.parametrize(
    "record",
    [
        without_answers(whole_record()),
        made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5})),
    ],
)
def test_what_cannot_be_told_apart_ties_and_has_no_bounds(record: StudyRecord) -> None:
    ranking = rank_methods(record)
    assert ranking.ties == tuple(candidate.name for candidate in ranking.confirmed[1:])
    assert all(difference.low is None for difference in ranking.differences.values())
    assert ranking.power is None


def test_a_method_with_one_seed_ties_beside_those_that_are_compared() -> None:
    record = made_record(
        made_trial(0, "lora", 0.8, {1: 0.80, 2: 0.81, 3: 0.79}),
        made_trial(1, "head", 0.5, {1: 0.5}),
        made_trial(2, "bitfit", 0.5, {1: 0.5, 2: 0.51}),
    )
    ranking = rank_methods(record)
    assert ranking.ties == ("head",)
    assert ranking.differences["head"].low is None
    assert ranking.differences["bitfit"].high is not None
    assert ranking.differences["bitfit"].high < 0


def test_power_names_the_closest_and_what_would_settle_it() -> None:
    power = rank_methods(whole_record()).power
    assert power is not None
    assert power.closest == "adapter"
    assert 0.01 < power.detectable < 0.2
    assert power.tie
    assert power.needed is None or power.needed.seeds + power.needed.rows > 0
    clear = rank_methods(
        made_record(made_trial(0, "lora", 0.8, {1: 0.8, 2: 0.81}), made_trial(1, "head", 0.3, {1: 0.3, 2: 0.31}))
    ).power
    assert clear is not None
    assert (clear.closest, clear.tie, clear.needed) == ("head", False, RequiredSample(seeds=0, rows=0))
    assert rank_methods(made_record(made_trial(0, "lora", 0.8, {1: 0.8, 2: 0.81}))).power is None


def fold_scores(record: StudyRecord, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each row was answered rightly, and by the run of which fold, (repeats, rows): row by row."""
    right, folds = np.full((2, 3, 200), -1.0)
    for run in record.trials[number].runs:
        if run.fold and run.result is not None:
            predictions = run.result.predictions[0]
            for row, label, predicted in zip(
                predictions.rows or (), predictions.labels, predictions.predicted, strict=True
            ):
                right[run.seed_index - 1, row] = label == predicted
                folds[run.seed_index - 1, row] = run.fold - 1
    assert right.min() >= 0
    return right, folds.astype(int)


def test_with_folds_the_intervals_are_nested() -> None:
    record = folded(whole_record())
    ranking = rank_methods(record)
    assert [s.name for s in ranking.confirmed] == [s.name for s in rank_methods(whole_record()).confirmed]
    lora, folds = fold_scores(record, 2)
    own = folded_estimate(lora, folds)
    found = ranking.validation["lora"]
    assert (found.mean, found.low, found.high) == pytest.approx((own.mean, own.low, own.high))
    assert found.sd == pytest.approx(lora.mean(axis=1).std(ddof=1))
    names = {trial.name: trial.number for trial in record.trials if trial.name in ranking.validation}
    paired = compare_folded({name: fold_scores(record, n)[0] for name, n in names.items()}, folds)
    for comparison in paired.comparisons:
        difference = ranking.differences[comparison.method]
        expected = (comparison.difference.mean, comparison.low, comparison.high)
        assert (difference.mean, difference.low, difference.high) == pytest.approx(expected)
    assert ranking.ties == paired.ties
    labels = np.array(
        joined_folds([run.result.predictions[0] for run in record.trials[2].runs[1:6] if run.result]).labels
    )
    gap = folded_estimate((labels == 0) - lora, folds)
    majority = ranking.differences["majority"]
    assert (majority.low, majority.high) == pytest.approx((gap.low, gap.high))
    power, closest = ranking.power, paired.comparisons[0]
    assert power is not None
    assert power.closest == closest.method
    estimate = closest.difference
    assert power.detectable == pytest.approx(
        detectable_difference(estimate.error, estimate.degrees_of_freedom, methods=len(names))
    )
    assert (power.tie, power.needed) == (True, None)


def test_with_folds_more_repeats_may_settle_a_tie() -> None:
    record = folded(
        made_record(
            made_trial(0, "lora", 0.8, {1: 0.69, 2: 0.65, 3: 0.72}),
            made_trial(1, "head", 0.5, {1: 0.67, 2: 0.67, 3: 0.68}),
        )
    )
    power = rank_methods(record).power
    assert power is not None
    assert power.needed is not None
    assert power.needed.seeds > 0
    assert power.needed.rows == 0


def test_one_repeat_of_the_folds_does_not_know_what_others_would_average_out() -> None:
    power = rank_methods(
        folded(made_record(made_trial(0, "lora", 0.8, {1: 0.71}), made_trial(1, "head", 0.5, {1: 0.69})))
    ).power
    assert power is not None
    assert (power.tie, power.needed) == (True, None)


def test_with_folds_every_run_is_a_seed_on_the_test_rows() -> None:
    record = folded(whole_record())
    test = rank_methods(record).test["lora"]
    estimate = mean_estimate(method_scores(right(record, 2, "test")))
    assert (test.low, test.high) == pytest.approx((estimate.low, estimate.high), abs=1e-9)


def without_run(record: StudyRecord, number: int, seed_index: int, fold: int) -> StudyRecord:
    """The study with one confirm run that failed."""
    trial = record.trials[number]
    runs = [
        run.model_copy(update={"result": None}) if (run.seed_index, run.fold) == (seed_index, fold) else run
        for run in trial.runs
    ]
    trials = list(record.trials)
    trials[number] = trial.model_copy(update={"runs": tuple(runs)})
    return record.model_copy(update={"trials": tuple(trials)})


def test_methods_are_compared_over_the_repeats_that_both_have() -> None:
    complete = folded(whole_record())
    record = without_run(complete, 1, 2, 4)
    bitfit, folds = fold_scores(complete, 1)
    lora, _ = fold_scores(complete, 2)
    found = rank_methods(record)
    compared = folded_estimate((bitfit - lora)[[0, 2]], folds[[0, 2]])
    assert found.differences["bitfit"].mean == pytest.approx(compared.mean)
    assert found.validation["bitfit"].mean == pytest.approx(bitfit[[0, 2]].mean())
    assert found.differences["head"] == rank_methods(complete).differences["head"]
    for seed_index in (1, 3):
        record = without_run(record, 1, seed_index, 1)
    assert "bitfit" not in rank_methods(record).validation  # no repeat is whole: not confirmed
    for seed_index in (2, 3):
        record = without_run(record, 0, seed_index, 1)
    record = without_run(record, 2, 1, 2)  # head has repeat 1, lora 2 and 3
    found = rank_methods(record)
    assert (found.confirmed[0].name, found.differences["head"].low) == ("lora", None)
    assert "head" in found.ties


def test_one_repeat_has_intervals() -> None:
    ranking = rank_methods(
        folded(made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5})))
    )
    assert ranking.ties == ()
    assert ranking.validation["lora"].sd is None
    assert ranking.validation["lora"].low is not None
    assert ranking.differences["head"].high is not None


@pytest.mark.parametrize("record", [regression(), multi_label()])
def test_folds_of_every_kind_of_task_are_judged(record: StudyRecord) -> None:
    ranking = rank_methods(folded(record))
    complete = rank_methods(record)
    assert [s.score for s in ranking.confirmed] == pytest.approx([s.score for s in complete.confirmed])
    assert all(interval.low is not None for interval in (*ranking.validation.values(), *ranking.test.values()))
    assert all(difference.low is not None for difference in ranking.differences.values())


def test_folds_whose_answers_were_not_kept_tie() -> None:
    ranking = rank_methods(without_answers(folded(whole_record())))
    assert ranking.ties == tuple(candidate.name for candidate in ranking.confirmed[1:])
    assert all(interval.low is None for interval in ranking.validation.values())


def test_a_method_that_is_too_slow_neither_wins_nor_ties() -> None:
    record = with_latency(whole_record(), {"lora": 9.0, "unipelt_apl": 9.0})

    def limited(milliseconds: float) -> Ranking:
        space = record.spec.space.model_copy(update={"max_latency_ms": milliseconds})
        spec = record.spec.model_copy(update={"space": space})
        return rank_methods(record.model_copy(update={"spec": spec}))

    fast = limited(5.0)
    assert (fast.eligible[0].name, fast.confirmed[0].name) == ("adapter", "lora")
    assert fast.too_slow == ("lora", "unipelt_apl")
    assert fast.ties == ()
    assert fast.differences["lora"].model_dump() == {
        "mean": pytest.approx(0.88 - 0.8766667, abs=1e-6),
        "low": None,
        "high": None,
    }
    found = recommend(fast)
    assert (found.name, found.cheapest_tie) == ("adapter", "adapter")
    none = limited(1.0)
    assert none.eligible[0].name == "lora"
    assert none.too_slow == tuple(candidate.name for candidate in none.confirmed)

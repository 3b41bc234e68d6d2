from __future__ import annotations

import numpy as np
import pytest
from made_record import by_brier, few_rows, made_record, made_trial, whole_record, with_latency, without_answers

from unipelt_search.kinds.label_kind import find_metric, label_kinds
from unipelt_search.records.history import StudyRecord
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.verdict.ranking import rank_methods
from unipelt_search.verdict.recommend import Recommendation, plausible_methods, recommend


def verdict_of(record: StudyRecord) -> Recommendation:
    return recommend(rank_methods(record))


def test_the_best_its_ties_and_the_cheapest_of_them() -> None:
    found = verdict_of(whole_record())
    assert found.best is not None
    assert (found.best.method, found.best.trial.number) == ("lora", 2)
    assert found.ties == ("adapter", "unipelt_apl")
    assert (found.cheapest_tie, found.possible_loss) == ("lora", None)
    assert (found.why_untested, found.beats_majority) == (None, True)


def test_a_cheaper_tie_may_lose_what_its_interval_says() -> None:
    record = made_record(
        made_trial(0, "lora", 0.8, {1: 0.80, 2: 0.84, 3: 0.79}), made_trial(1, "head", 0.8, {1: 0.81, 2: 0.80, 3: 0.80})
    )
    ranking = rank_methods(record)
    found, low = recommend(ranking), ranking.differences["head"].low
    assert (found.name, found.ties, found.cheapest_tie) == ("lora", ("head",), "head")
    assert low is not None
    assert low < 0
    assert found.possible_loss == -low


def test_a_clear_winner_ties_with_nobody() -> None:
    record = made_record(
        made_trial(0, "lora", 0.8, {1: 0.80, 2: 0.81, 3: 0.79}), made_trial(1, "head", 0.5, {1: 0.50, 2: 0.52, 3: 0.49})
    )
    assert verdict_of(record).ties == ()


def test_why_nothing_is_tested_is_known() -> None:
    one = made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5}))
    assert (verdict_of(one).name, verdict_of(one).ties, verdict_of(one).why_untested) == ("lora", ("head",), "one_seed")
    assert verdict_of(without_answers(whole_record())).why_untested == "no_predictions"
    assert verdict_of(few_rows(whole_record())).why_untested == "few_rows"


def test_the_fastest_of_the_ties_is_another_one_only_where_it_is_clearly_faster() -> None:
    record = whole_record()
    fast = verdict_of(with_latency(record, {"lora": 4.0, "adapter": 3.9, "unipelt_apl": 3.0, "head": 1.0})).fastest
    assert fast is not None
    assert fast.name == "unipelt_apl"
    alike = verdict_of(record)  # all take the same time
    assert alike.fastest is alike.cheapest


def test_tune_scores_alone_give_no_verdict() -> None:
    found = verdict_of(made_record(made_trial(0, "lora", 0.8), made_trial(1, "head", 0.5)))
    assert (found.best, found.name, found.ties, found.cheapest_tie) == (None, None, (), None)


def test_the_majority_prediction_must_be_beaten() -> None:
    assert not verdict_of(made_record(made_trial(0, "head", 0.2, {1: 0.2, 2: 0.21, 3: 0.2}))).beats_majority
    assert verdict_of(made_record(made_trial(0, "head", 0.3, {1: 0.3, 2: 0.31, 3: 0.3}))).beats_majority


def test_test_scores_decide_nothing() -> None:
    record = whole_record()
    poisoned = []
    for trial in record.trials:
        runs = []
        for run in trial.runs:
            assert run.result is not None
            scores = None if run.result.test is None else {name: 1.0 - v for name, v in run.result.test.items()}
            runs.append(run.model_copy(update={"result": run.result.model_copy(update={"test": scores})}))
        poisoned.append(trial.model_copy(update={"runs": tuple(runs)}))
    other, found = verdict_of(record.model_copy(update={"trials": tuple(poisoned)})), verdict_of(record)
    assert (other.name, other.ties, other.cheapest_tie) == (found.name, found.ties, found.cheapest_tie)


def test_methods_far_behind_are_not_tuned_and_the_reason_has_the_figures() -> None:
    record = made_record(made_trial(0, "lora", 0.80), made_trial(1, "adapter", 0.75), made_trial(2, "head", 0.60))
    space = SpaceSpec(methods=("lora", "adapter", "head", "prefix"))
    record = record.model_copy(update={"spec": record.spec.model_copy(update={"space": space})})
    plausible, reasons = plausible_methods(record)
    assert plausible == {"lora", "adapter", "prefix"}  # 0.05 is within two errors of 0.042; prefix has no score yet
    assert list(reasons) == ["head"]
    values = reasons["head"].values
    assert (reasons["head"].code, values["leader"], values["rows"]) == ("less_plausible", "lora", 200)
    figures = [values[name] for name in ("score", "gap", "top", "standard_errors", "error")]
    assert figures == pytest.approx([0.6, 0.2, 0.8, 2, 0.045], abs=5e-4)


def test_a_correlation_near_zero_is_not_taken_for_certain() -> None:
    record = made_record(made_trial(0, "lora", 0.12), made_trial(1, "head", 0.0))
    space = record.spec.model_copy(update={"space": SpaceSpec(methods=("lora", "head"))})
    task = record.task.model_copy(update={"metric": "matthews"})
    assert plausible_methods(record.model_copy(update={"spec": space}))[0] == {"lora"}
    assert plausible_methods(record.model_copy(update={"spec": space, "task": task}))[0] == {"lora", "head"}


@pytest.mark.parametrize(
    ("kind", "metric"),
    [(kind.name, metric.name) for kind in label_kinds().values() for metric in kind.metrics],
)
def test_every_metric_has_a_spread(kind: str, metric: str) -> None:
    labels = () if kind == "regression" else ("0", "1") if metric in {"f1", "brier"} else tuple("012345")
    near, far = (0.21, 0.7) if find_metric(metric).direction == "minimize" else (0.78, 0.3)
    assert_plausible(kind, labels, metric, near, True)
    assert_plausible(kind, labels, metric, far, False)


def assert_plausible(kind: str, labels: tuple[str, ...], metric: str, behind: float, plausible: bool) -> None:
    """Whether a method with this score is worth tuning beside one with 0.8, or with 0.2 where lower is better."""
    direction = find_metric(metric).direction
    record = made_record(made_trial(0, "lora", 0.8 if direction == "maximize" else 0.2), made_trial(1, "head", behind))
    space = record.spec.model_copy(update={"space": SpaceSpec(methods=("lora", "head"))})
    changes = {"metric": metric, "direction": direction, "kind": kind, "labels": labels}
    task = record.task.model_copy(update=changes)
    found, _ = plausible_methods(record.model_copy(update={"spec": space, "task": task}))
    assert ("head" in found) == plausible


def test_the_spread_of_correlations_is_that_of_drawn_ones() -> None:
    random, rows, truth = np.random.default_rng(0), 200, 0.6
    found: dict[str, list[float]] = {"pearson": [], "r2": []}
    for _ in range(400):
        x = random.normal(size=rows)
        y = truth * x + np.sqrt(1 - truth**2) * random.normal(size=rows)
        found["pearson"].append(np.corrcoef(x, y)[0, 1])
        found["r2"].append(1 - ((y - truth * x) ** 2).mean() / y.var())
    for metric, score in (("pearson", truth), ("r2", truth**2)):
        assert find_metric(metric).row_variance(score) / rows == pytest.approx(np.var(found[metric]), rel=0.5)


def test_equal_scores_are_led_by_the_cheaper_method() -> None:
    record = made_record(made_trial(0, "adapter", 0.9), made_trial(1, "lora", 0.9), made_trial(2, "head", 0.1))
    reason = plausible_methods(record)[1]["head"]
    assert (reason.values["leader"], reason.values["top"]) == ("lora", 0.9)


def test_without_any_score_every_method_is_plausible() -> None:
    record = made_record()
    assert plausible_methods(record) == (set(record.spec.space.methods), {})


def test_a_variant_wins_and_ties_under_its_own_name() -> None:
    scores = {1: 0.8, 2: 0.82, 3: 0.81}
    ours = made_trial(0, "lora", 0.9, scores, variant="mine")
    near = made_trial(1, "lora", 0.9, {1: 0.8, 2: 0.81, 3: 0.81})
    found = verdict_of(made_record(ours, near))
    assert (found.name, found.ties) == ("mine", ("lora",))
    other = verdict_of(made_record(near, made_trial(0, "lora", 0.9, {1: 0.79, 2: 0.81, 3: 0.81}, variant="mine")))
    assert (other.name, other.ties) == ("lora", ("mine",))


def test_where_lower_is_better_the_same_predictions_give_the_same_verdict() -> None:
    one, other = rank_methods(whole_record()), rank_methods(by_brier(whole_record()))
    names = [candidate.name for candidate in one.confirmed]
    assert [candidate.name for candidate in other.confirmed] == names
    assert other.ties == one.ties != ()
    assert recommend(other).beats_majority
    assert all(candidate.score < 0.66 for candidate in other.confirmed)
    bounds = other.differences["majority"]
    assert bounds.low is not None
    assert bounds.low > 0
    assert plausible_methods(by_brier(whole_record()))[0] == plausible_methods(whole_record())[0]


def test_a_cheaper_tie_may_be_worse_by_the_upper_end_where_lower_is_better() -> None:
    record = made_record(
        made_trial(0, "lora", 0.85, {1: 0.86, 2: 0.86, 3: 0.87}),
        made_trial(1, "adapter", 0.87, {1: 0.87, 2: 0.88, 3: 0.87}),
    )
    found = verdict_of(by_brier(record))
    assert (found.name, found.cheapest_tie) == ("adapter", "lora")
    difference = rank_methods(by_brier(record)).differences["lora"]
    assert difference.low is not None
    assert difference.high is not None
    assert difference.high > abs(difference.low)
    assert found.possible_loss == difference.high

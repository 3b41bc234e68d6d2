from __future__ import annotations

import numpy as np
import pytest
from made_record import folded, made_record, made_trial, whole_record, with_latency, without_answers

from unipelt_search.kinds.label_kind import find_metric
from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import Verdict
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.verdict.ranking import rank_methods
from unipelt_search.verdict.recommend import plausible_methods, recommend


def verdict_of(record: StudyRecord) -> Verdict:
    return recommend(rank_methods(record))


def test_the_best_its_ties_and_the_cheapest_of_them() -> None:
    verdict = verdict_of(whole_record())
    assert (verdict.method, verdict.trial, verdict.decided_on) == ("lora", 2, "select")
    assert verdict.ties == ("adapter", "unipelt_apl")
    assert verdict.cheapest_tie == "lora"
    assert verdict.sentence == (
        "lora is best on the select rows: accuracy 0.880 (95 % interval 0.837 to 0.923 over 3 seeds and 200 rows), "
        "but cannot be told apart from adapter and unipelt_apl; take the cheapest of these, lora with 76,038 stored "
        "parameters."
    )
    assert verdict.power is not None
    assert verdict.power.sentence == (
        "A true difference of 0.052 would be seen in four studies of five like this one. No affordable number of seeds "
        "or rows would settle lora against adapter."
    )


def test_a_cheaper_tie_is_recommended() -> None:
    record = made_record(
        made_trial(0, "lora", 0.8, {1: 0.80, 2: 0.84, 3: 0.79}), made_trial(1, "head", 0.8, {1: 0.81, 2: 0.80, 3: 0.80})
    )
    ranking = rank_methods(record)
    verdict, low = recommend(ranking), ranking.differences["head"].low
    assert (verdict.method, verdict.ties, verdict.cheapest_tie) == ("lora", ("head",), "head")
    assert low is not None
    assert low < 0
    assert (
        "cannot be told apart from head; take the cheapest of these, head with 2,310 stored parameters "
        f"(at most {-low:.3f} worse than the best)"
    ) in verdict.sentence.split(". ")[0]


def test_a_clear_winner_ties_with_nobody() -> None:
    record = made_record(
        made_trial(0, "lora", 0.8, {1: 0.80, 2: 0.81, 3: 0.79}), made_trial(1, "head", 0.5, {1: 0.50, 2: 0.52, 3: 0.49})
    )
    verdict = verdict_of(record)
    assert verdict.ties == ()
    assert "Every other confirmed method is behind" in verdict.sentence


def test_one_seed_cannot_tell_methods_apart() -> None:
    verdict = verdict_of(made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5})))
    assert (verdict.method, verdict.ties) == ("lora", ("head",))
    assert "One seed cannot tell methods apart" in verdict.sentence
    assert "nterval" not in verdict.sentence


def test_what_would_settle_a_tie_is_said() -> None:
    record = made_record(
        made_trial(0, "lora", 0.8, {1: 0.80, 2: 0.84, 3: 0.79}), made_trial(1, "head", 0.8, {1: 0.74, 2: 0.80, 3: 0.76})
    )
    verdict = verdict_of(record)
    assert verdict.power is not None
    assert verdict.power.more_seeds
    assert f"About {verdict.power.more_seeds} more seeds" in verdict.power.sentence
    assert "would settle lora against head." in verdict.power.sentence


def test_the_fastest_of_the_ties_is_named_where_it_is_another_one() -> None:
    record = whole_record()
    verdict = verdict_of(with_latency(record, {"lora": 4.0, "adapter": 3.9, "unipelt_apl": 3.0, "head": 1.0}))
    assert (verdict.cheapest_tie, verdict.fastest_tie) == ("lora", "unipelt_apl")
    assert "lora with 76,038 stored parameters, or the fastest, unipelt_apl." in verdict.sentence
    assert verdict_of(record).fastest_tie == "lora"  # all take the same time


def test_an_older_study_says_why_it_tells_nothing_apart() -> None:
    assert "kept no answers row by row" in verdict_of(without_answers(whole_record())).sentence


def test_a_method_without_rivals_is_said_to_have_none() -> None:
    sentence = verdict_of(
        made_record(made_trial(0, "lora", 0.8, {1: 0.8, 2: 0.9}), made_trial(1, "head", 0.5))
    ).sentence
    assert "No other method was confirmed." in sentence


def test_tune_scores_alone_give_no_verdict() -> None:
    verdict = verdict_of(made_record(made_trial(0, "lora", 0.8), made_trial(1, "head", 0.5)))
    assert (verdict.method, verdict.trial, verdict.ties, verdict.cheapest_tie) == (None, None, (), None)
    assert verdict.sentence.startswith("No verdict yet")
    assert "lora (trial 0)" in verdict.sentence
    assert verdict_of(made_record()).sentence == "No verdict yet: no trial is complete."


def test_not_beating_the_majority_is_said() -> None:
    record = made_record(made_trial(0, "head", 0.2, {1: 0.2, 2: 0.21, 3: 0.2}))
    assert "does not beat always answering the most frequent label (0.250)" in verdict_of(record).sentence


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
    assert verdict_of(record.model_copy(update={"trials": tuple(poisoned)})) == verdict_of(record)


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


@pytest.mark.parametrize("metric", ["pearson", "spearman", "r2", "micro_f1", "subset_accuracy", "f1"])
@pytest.mark.parametrize(("behind", "plausible"), [(0.78, True), (0.3, False)])
def test_every_metric_has_a_spread(metric: str, behind: float, plausible: bool) -> None:
    record = made_record(made_trial(0, "lora", 0.8), made_trial(1, "head", behind))
    space = record.spec.model_copy(update={"space": SpaceSpec(methods=("lora", "head"))})
    task = record.task.model_copy(update={"metric": metric})
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
    ours, near = (
        made_trial(0, "lora", 0.9, scores, variant="mine"),
        made_trial(1, "lora", 0.9, {1: 0.8, 2: 0.81, 3: 0.81}),
    )
    verdict = verdict_of(made_record(ours, near))
    assert (verdict.method, verdict.variant, verdict.name, verdict.trial) == ("lora", "mine", "mine", 0)
    assert verdict.ties == ("lora",)
    assert verdict.sentence.startswith("mine is best")
    other = verdict_of(made_record(near, made_trial(0, "lora", 0.9, {1: 0.79, 2: 0.81, 3: 0.81}, variant="mine")))
    assert (other.method, other.variant, other.ties) == ("lora", None, ("mine",))


def test_folds_are_named_and_what_their_rows_had_chosen() -> None:
    verdict = verdict_of(folded(whole_record()))
    assert (verdict.method, verdict.decided_on) == ("lora", "folds")
    assert verdict.sentence.startswith(
        "lora is best on 5 folds of train and validation, repeated 3 times: accuracy 0.880"
    )
    assert "over 15 runs and 200 rows), but cannot be told apart from" in verdict.sentence
    assert verdict.sentence.endswith("The validation rows in these folds had chosen the hyperparameters.")
    assert "select" not in verdict.sentence
    once = verdict_of(folded(made_record(made_trial(0, "lora", 0.8, {1: 0.8}), made_trial(1, "head", 0.5, {1: 0.5}))))
    assert once.sentence.startswith("lora is best on 5 folds of train and validation: accuracy 0.800")
    assert "Every other confirmed method is behind" in once.sentence
    assert verdict_of(folded(made_record(made_trial(0, "lora", 0.8)))).decided_on == "folds"

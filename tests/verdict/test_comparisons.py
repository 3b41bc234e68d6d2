from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unipelt_search.verdict.comparisons import compare_folded, compare_with_best, familywise_critical
from unipelt_search.verdict.crossed import difference_estimate, mean_estimate, method_scores, pool_seed_variance
from unipelt_search.verdict.folds import folded_estimate

random = np.random.default_rng(0)


def made_scores(accuracy: float, seeds: int = 4) -> np.ndarray:
    return (random.random((seeds, 400)) < accuracy).astype(float)


SCORES = {"head": made_scores(0.6), "lora": made_scores(0.9), "adapter": made_scores(0.89), "bitfit": made_scores(0.8)}


@pytest.mark.parametrize("methods", [2, 3, 7, 12])
@pytest.mark.parametrize("degrees_of_freedom", [1.0, 2.3, 5.5, 40.0, 1e5])
def test_the_critical_value_is_scipys_studentised_range(methods: int, degrees_of_freedom: float) -> None:
    expected = stats.studentized_range.ppf(0.95, methods, degrees_of_freedom) / np.sqrt(2)
    assert familywise_critical(methods, degrees_of_freedom) == pytest.approx(expected, rel=3e-4)


def test_the_best_comes_first_and_what_cannot_be_told_apart_ties() -> None:
    paired = compare_with_best(SCORES)
    assert paired.best == "lora"
    assert [comparison.method for comparison in paired.comparisons] == ["adapter", "bitfit", "head"]
    assert list(paired.means) == ["lora", "adapter", "bitfit", "head"]
    assert paired.ties == ("adapter",)
    assert paired.means["head"] == mean_estimate(method_scores(SCORES["head"]))


def test_every_difference_is_to_the_best_and_widened_for_all_pairs() -> None:
    paired = compare_with_best(SCORES)
    pooled = dict(zip(SCORES, pool_seed_variance([method_scores(rows) for rows in SCORES.values()]), strict=True))
    for comparison in paired.comparisons:
        difference = difference_estimate(pooled[comparison.method], pooled["lora"])
        assert comparison.difference.mean == pytest.approx(difference.mean)
        assert comparison.difference.error == pytest.approx(difference.error)
        half = familywise_critical(4, difference.degrees_of_freedom) * difference.error
        assert (comparison.low, comparison.high) == pytest.approx((difference.mean - half, difference.mean + half))
        assert comparison.low < difference.low < difference.high < comparison.high


def test_with_two_methods_nothing_is_widened() -> None:
    (comparison,) = compare_with_best({"lora": SCORES["lora"], "bitfit": SCORES["bitfit"]}).comparisons
    assert (comparison.low, comparison.high) == pytest.approx((comparison.difference.low, comparison.difference.high))


def test_folds_are_compared_by_their_own_estimate() -> None:
    folds = np.stack([random.permutation(np.arange(400) % 5) for _ in range(4)])
    paired = compare_folded(SCORES, folds)
    assert (paired.best, paired.ties) == ("lora", ("adapter",))
    assert paired.comparisons[1].difference == folded_estimate(SCORES["bitfit"] - SCORES["lora"], folds)
    assert paired.means["lora"] == folded_estimate(SCORES["lora"], folds)


def test_a_lower_score_may_be_better() -> None:
    paired = compare_with_best(SCORES, maximize=False)
    assert (paired.best, paired.comparisons[0].method, paired.ties) == ("head", "bitfit", ())


def test_equal_means_are_led_by_the_one_named_first() -> None:
    same = SCORES["lora"]
    assert compare_with_best({"b": same, "a": same}).best == "b"
    assert compare_with_best({"b": same, "a": same}).ties == ("a",)


def test_it_does_not_depend_on_the_order_of_the_methods() -> None:
    backwards = compare_with_best(dict(reversed(SCORES.items())))
    forwards = compare_with_best(SCORES)
    assert [c.method for c in backwards.comparisons] == [c.method for c in forwards.comparisons]
    assert [c.low for c in backwards.comparisons] == pytest.approx([c.low for c in forwards.comparisons])


def test_a_single_method_has_no_rival_and_none_is_refused() -> None:
    paired = compare_with_best({"lora": SCORES["lora"]})
    assert (paired.best, paired.comparisons, paired.ties) == ("lora", (), ())
    with pytest.raises(ValueError, match="at least one method"):
        compare_with_best({})


def test_a_repeat_that_a_method_lacks_is_left_out_of_its_comparison_alone() -> None:
    folds = np.stack([random.permutation(np.arange(400) % 5) for _ in range(4)])
    scores = {name: rows.copy() for name, rows in SCORES.items()}
    scores["bitfit"][1] = np.nan
    paired, complete = (compare_folded(given, folds) for given in (scores, SCORES))
    there = [0, 2, 3]
    assert paired.means["bitfit"] == folded_estimate(SCORES["bitfit"][there], folds[there])
    difference = folded_estimate((SCORES["bitfit"] - SCORES["lora"])[there], folds[there])
    assert {c.method: c.difference for c in paired.comparisons}["bitfit"] == difference
    assert paired.comparisons[0] == complete.comparisons[0]

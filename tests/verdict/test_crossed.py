from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unipelt_search.verdict.crossed import (
    MethodScores,
    difference_estimate,
    mean_estimate,
    method_scores,
    pool_seed_variance,
    pooled_degrees_of_freedom,
    satterthwaite_degrees,
)

random = np.random.default_rng(0)


def made_scores(seeds: int, examples: int, seed_variance: float) -> np.ndarray:
    effects = random.normal(0.8, seed_variance, (seeds, 1)) + random.normal(0.0, 0.3, (1, examples))
    return effects + random.normal(0.0, 0.2, (seeds, examples))


def mean_squares_by_loop(x: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of examples, seeds and residuals, as a textbook writes them."""
    seeds, examples = x.shape
    grand = sum(x[s, i] for s in range(seeds) for i in range(examples)) / (seeds * examples)
    row = [sum(x[s, i] for i in range(examples)) / examples for s in range(seeds)]
    column = [sum(x[s, i] for s in range(seeds)) / seeds for i in range(examples)]
    by_example = seeds * sum((value - grand) ** 2 for value in column) / (examples - 1)
    by_seed = examples * sum((value - grand) ** 2 for value in row) / (seeds - 1)
    rest = sum((x[s, i] - row[s] - column[i] + grand) ** 2 for s in range(seeds) for i in range(examples))
    return by_example, by_seed, rest / ((seeds - 1) * (examples - 1))


def test_the_mean_is_the_textbooks_two_way_random_effects() -> None:
    x = made_scores(4, 30, seed_variance=0.2)
    examples, seeds, rest = mean_squares_by_loop(x)
    estimate = mean_estimate(method_scores(x))
    variance = (examples + seeds - rest) / x.size
    assert estimate.mean == pytest.approx(x.mean())
    assert estimate.error**2 == pytest.approx(variance)
    # The examples' own mean square and the seeds' are what the variance was put together from.
    degrees_of_freedom = variance**2 / ((examples / x.size) ** 2 / 29 + (seeds / x.size) ** 2 / 3)
    assert estimate.degrees_of_freedom == pytest.approx(degrees_of_freedom)
    assert (estimate.low, estimate.high) == pytest.approx(
        stats.t.interval(0.95, degrees_of_freedom, x.mean(), np.sqrt(variance))
    )


def test_a_difference_is_paired_over_examples_and_adds_up_both_methods_luck() -> None:
    a, b = made_scores(3, 40, seed_variance=0.3), made_scores(5, 40, seed_variance=0.2)
    paired = (a.mean(axis=0) - b.mean(axis=0)).var(ddof=1) / 40
    parts = [(paired, 39.0)]
    variance = paired
    for x in (a, b):
        _, seeds, rest = mean_squares_by_loop(x)
        variance += (seeds - rest) / x.size
        parts.append((seeds / x.size, len(x) - 1.0))
    estimate = difference_estimate(method_scores(a), method_scores(b))
    assert estimate.mean == pytest.approx(a.mean() - b.mean())
    assert estimate.error**2 == pytest.approx(variance)
    assert estimate.degrees_of_freedom == pytest.approx(
        variance**2 / sum(part**2 / (degrees_of_freedom + 1) for part, degrees_of_freedom in parts) - 1
    )


def test_two_wholly_lucky_samples_have_welchs_own_degrees_of_freedom() -> None:
    # Welch (1947): (a + b)^2 / (a^2 / (n + 1) + b^2 / (m + 1)) - 2, with sample sizes n and m.
    assert satterthwaite_degrees(5.0, [(2.0, 4.0), (3.0, 6.0)], correction=2) == pytest.approx(25 / (4 / 6 + 9 / 8) - 2)
    reference = stats.ttest_ind(range(5), [1, 9, 4, 8, 2, 7, 3], equal_var=False)
    a, b = np.var(range(5), ddof=1) / 5, np.var([1, 9, 4, 8, 2, 7, 3], ddof=1) / 7
    assert satterthwaite_degrees(a + b, [(a, 4.0), (b, 6.0)], correction=0) == pytest.approx(reference.df)


@pytest.mark.parametrize("correction", [0, 1, 2])
def test_one_source_keeps_its_degrees_of_freedom(correction: int) -> None:
    assert satterthwaite_degrees(2.0, [(2.0, 7.0)], correction=correction) == pytest.approx(7)
    assert satterthwaite_degrees(0.0, [(0.0, 7.0)], correction=correction) == 7


def test_seeds_that_do_not_matter_leave_the_examples_alone() -> None:
    x = np.repeat(random.normal(size=(1, 50)), 3, axis=0)
    estimate = mean_estimate(method_scores(x))
    assert estimate.error == pytest.approx(stats.sem(x[0]))
    assert estimate.degrees_of_freedom == pytest.approx(49)


def test_identical_methods_do_not_differ() -> None:
    x = method_scores((random.random((3, 50)) < 0.8).astype(float))
    steady = method_scores(np.repeat([[0.0, 1.0, 1.0, 1.0]], 3, axis=0))
    estimate = difference_estimate(steady, steady)
    assert (estimate.mean, estimate.low, estimate.high) == (0, 0, 0)
    assert difference_estimate(x, x).low <= 0 <= difference_estimate(x, x).high


def test_a_negative_luck_takes_from_the_other_and_only_a_negative_sum_counts_as_none() -> None:
    def method(seed_variance: float) -> MethodScores:
        return MethodScores(
            random.normal(size=200),
            seeds=3,
            residual_variance=0.001,
            seed_variance=seed_variance,
            degrees_of_freedom=2.0,
        )

    steady, lucky, one = method(-0.0005), method(0.02), method(-0.0008)
    examples = (steady.by_example - lucky.by_example).var(ddof=1) / 200
    assert difference_estimate(steady, lucky).error ** 2 == pytest.approx(examples + 0.0195)
    both = difference_estimate(steady, one)
    assert both.error == pytest.approx(stats.sem(steady.by_example - one.by_example))
    assert both.degrees_of_freedom == pytest.approx(199)


def test_only_a_luck_below_the_average_is_moved_towards_it() -> None:
    lucks = [method_scores(made_scores(4, 60, seed_variance=seed_variance)) for seed_variance in (0.5, 0.02, 0.02)]
    low, high = sorted(method.seed_variance for method in lucks)[0], lucks[0].seed_variance
    pooled = pool_seed_variance(lucks)
    average = sum(method.seed_variance for method in lucks) / 3
    assert pooled[0].seed_variance == high
    assert min(method.seed_variance for method in pooled) == pytest.approx((3 * low + average) / 4)
    assert [method.degrees_of_freedom for method in pooled] == [pooled_degrees_of_freedom(4, 3)] * 3


def test_two_pooled_methods_stay_as_they_are() -> None:
    pair = [method_scores(made_scores(4, 60, seed_variance=seed_variance)) for seed_variance in (0.5, 0.02)]
    assert [method.seed_variance for method in pool_seed_variance(pair)] == [method.seed_variance for method in pair]
    assert pooled_degrees_of_freedom(3, 2) == 2


@pytest.mark.parametrize("methods", [3, 7])
def test_pooled_degrees_of_freedom_are_those_of_the_moved_mean(methods: int) -> None:
    # All methods equally steady, every luck moved; a mean square's variance is 2 / its degrees of freedom.
    squares = random.chisquare(2, (400_000, methods)) / 2
    way = (methods - 2) / (2 * (methods - 1))
    moved = (1 - way) * squares[:, 0] + way * squares.mean(axis=1)
    assert 2 / moved.var() == pytest.approx(pooled_degrees_of_freedom(3, methods), rel=0.03)


def test_pooling_speaks_of_runs_not_of_means() -> None:
    def method(seeds: int, seed_variance: float) -> MethodScores:
        return MethodScores(
            np.zeros(9),
            seeds=seeds,
            residual_variance=0.0,
            seed_variance=seed_variance / seeds,
            degrees_of_freedom=seeds - 1,
        )

    first, second, _ = pool_seed_variance([method(2, 0.3), method(6, 0.1), method(3, 0.2)])
    assert first.seed_variance * 2 == pytest.approx(0.3)
    assert second.seed_variance * 6 == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.zeros(5), r"got the shape \(5,\)"),
        (np.zeros((1, 5)), r"got the shape \(1, 5\)"),
        (np.full((3, 5), np.nan), "got NaN or infinity"),
    ],
)
def test_what_has_no_spread_is_refused(scores: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method_scores(scores)


def test_other_rows_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="got 5 and 6"):
        difference_estimate(method_scores(made_scores(2, 5, 0.1)), method_scores(made_scores(2, 6, 0.1)))

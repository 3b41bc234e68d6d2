"""What a study could have detected, and what would settle a tie: more seeds, more rows, or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import sqrt

from scipy import stats
from scipy.optimize import brentq

from unipelt_search.verdict.comparisons import familywise_critical
from unipelt_search.verdict.crossed import CORRECTION, MethodScores, pooled_degrees_of_freedom, satterthwaite_degrees
from unipelt_search.verdict.folds import FoldedSources

POWER = 0.8
FEW_DECIDING_ROWS = 100
"""With fewer a plan and a verdict say how large a difference must be to show."""
MOST_SEEDS = 50
"""A study of more seeds than this is not recommended to anyone."""
_DISAGREE_OF_TWO_METHODS = 0.11
"""Share of the rows on which just one of two runs is right, of methods that are equally good: an assumption for what is
not yet run, as docs/verdict.md simulates it."""
_DISAGREE_OF_ONE_METHOD = 0.07
"""The same of two runs of one method."""
_SEED_SD = 0.01
"""Standard deviation of the accuracy of a method's runs over the seeds, beyond what the rows explain."""


@dataclass(frozen=True)
class DifferenceSources:
    """Where the variance of a difference comes from, each as the variance of a single value."""

    examples: float
    """Of the difference on one example, over all seeds; shrinks with more rows only."""
    seed_variance: tuple[float, float]
    """Of one seed's effect, for either method; shrinks with more seeds only. One of them may be negative."""
    residuals: tuple[float, float]
    """What is left on one example under one seed, for either method; shrinks with both."""


@dataclass(frozen=True)
class RequiredSample:
    """What to add to a study so that it detects a difference of the size that it found with a power of 80 %."""

    seeds: int
    """More seeds of both methods; 0 where more rows alone are enough."""
    rows: int
    """More deciding rows; 0 where more seeds alone are enough."""


@dataclass(frozen=True)
class StudyPower:
    """What a study could have detected, and what would tell the best and the closest method apart."""

    detectable: float
    """The smallest true difference between the two that a study like this one detects with a power of 80 %."""
    best: str
    closest: str
    """The method, or the variant by its name, that comes nearest to the best."""
    tie: bool
    """Whether the two cannot be told apart."""
    needed: RequiredSample | None
    """What would tell them apart, with folds in repeats; None where nothing affordable would."""
    repeats: int | None
    """Repeats of the folds that the study had; None without folds."""


def expected_detectable(rows: int, seeds: int, *, methods: int = 2, folds: int = 0) -> float | None:
    """Return about how large a difference in accuracy must be for a study that is still to be run to detect it.

    What two methods have in common is not known before they are trained. So it is assumed that each pair disagrees as
    often as methods that are about equally good usually do; `detectable_difference` of a finished study measures it.

    Args:
        rows: Deciding rows; with folds all of them together.
        seeds: Confirm runs of each method, or repeats of the folds.
        methods: How many methods are compared at once.
        folds: Folds of a repeat; 0 where no folds decide.

    Returns:
        The difference as a share of the rows; None where there would be no interval, with one seed and no folds or
        with less than two rows or methods.
    """
    if rows < max(2, folds) or methods < 2 or (seeds < 2 and not folds):
        return None
    residual = _DISAGREE_OF_ONE_METHOD / 2
    examples = _DISAGREE_OF_TWO_METHODS - 2 * residual
    of_seed = _SEED_SD**2
    if folds:
        sources = FoldedSources(
            mean=0.0,
            rows=rows,
            folds=folds,
            repeats=seeds,
            examples=examples,
            residuals=2 * residual,
            seed_variance=2 * of_seed,
            residual_variance=_DISAGREE_OF_TWO_METHODS * folds / rows,
        )
        error = sources.error(seeds)
    else:
        crossed = DifferenceSources(examples, (of_seed, of_seed), (residual, residual))
        error = planned_error(crossed, seeds, rows, methods=methods)
    return min(detectable_difference(*error, methods=methods), 1.0)


def difference_sources(scores: MethodScores, other: MethodScores) -> DifferenceSources:
    """Estimate the variance components of the difference of two methods.

    Args:
        scores: One method's scores, after `pool_seed_variance`.
        other: The other's, on the same examples.

    Returns:
        The components; a negative estimate counts as 0, as does a negative sum of both seed variances.
    """
    rows = scores.by_example.size
    spread = float((scores.by_example - other.by_example).var(ddof=1))
    residual_variance = scores.residual_variance + other.residual_variance
    seed_variance = (0.0, 0.0)
    if scores.seed_variance + other.seed_variance > 0:
        seed_variance = (scores.seed_variance * scores.seeds, other.seed_variance * other.seeds)
    return DifferenceSources(
        # The spread of means over the seeds contains the residuals already.
        examples=max(0.0, spread - rows * residual_variance),
        seed_variance=seed_variance,
        residuals=(scores.residual_variance * scores.seeds * rows, other.residual_variance * other.seeds * rows),
    )


def planned_error(sources: DifferenceSources, seeds: int, rows: int, *, methods: int = 2) -> tuple[float, float]:
    """Predict the standard error of a difference in a study of another size.

    Args:
        sources: The variance components.
        seeds: Seeds of either method, at least 2.
        rows: Deciding rows, at least 2.
        methods: How many methods are compared at once.

    Returns:
        The standard error and its degrees of freedom.
    """
    examples = (sources.examples + sum(sources.residuals) / seeds) / rows
    total = examples + max(0.0, sum(sources.seed_variance)) / seeds
    parts = [(examples, rows - 1.0)]
    if sum(sources.seed_variance) > 0:
        degrees_of_freedom = pooled_degrees_of_freedom(seeds, methods)
        for seed_variance, residual in zip(sources.seed_variance, sources.residuals, strict=True):
            parts.append((max(0.0, seed_variance + residual / rows) / seeds, degrees_of_freedom))
    return sqrt(total), satterthwaite_degrees(total, parts, correction=CORRECTION)


def detectable_difference(error: float, degrees_of_freedom: float, *, methods: int = 2) -> float:
    """Return the smallest true difference that an interval excludes 0 for with 80 % power.

    Args:
        error: Standard error of the difference.
        degrees_of_freedom: Its degrees of freedom.
        methods: How many methods are compared at once.

    Returns:
        The difference, in the unit of the error.

    Source:
        The noncentral t distribution; Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988.
    """
    critical = familywise_critical(methods, degrees_of_freedom)

    def excess(pull: float) -> float:
        # The other tail, a difference with the wrong sign, is left out: it is nothing that one would want to see.
        return float(stats.nct.sf(critical, degrees_of_freedom, pull)) - POWER

    return error * float(brentq(excess, 0.0, 4 * critical + 10))


def required_sample(
    sources: DifferenceSources, difference: float, seeds: int, rows: int, *, methods: int = 2
) -> RequiredSample | None:
    """Find what would settle a tie if the true difference were the one that was found.

    Seeds are tried first. Where no number of seeds up to `MOST_SEEDS` would do, since the rows are the limit, up to ten
    times the rows are tried with the same seeds, then with twice as many, and so on.

    Args:
        sources: The variance components of the difference.
        difference: The difference that was found.
        seeds: Seeds that the study had.
        rows: Deciding rows that it had.
        methods: How many methods are compared at once.

    Returns:
        The least that would do; None where nothing within `MOST_SEEDS` and ten times the rows would.
    """
    if difference == 0:
        return None

    def seen(more_seeds: int, more_rows: int) -> bool:
        error, degrees_of_freedom = planned_error(sources, seeds + more_seeds, rows + more_rows, methods=methods)
        return detectable_difference(error, degrees_of_freedom, methods=methods) <= abs(difference)

    # Seeds cost least: they need no new labels.
    most = max(0, MOST_SEEDS - seeds)
    if seen(most, 0):
        return RequiredSample(_first(partial(seen, more_rows=0), most), 0)
    totals = [seeds * 2**times for times in range(MOST_SEEDS)]
    for more_seeds in [total - seeds for total in totals if total < MOST_SEEDS]:
        if seen(more_seeds, 9 * rows):
            return RequiredSample(more_seeds, _first(partial(seen, more_seeds), 9 * rows))
    return None


def required_repeats(sources: FoldedSources, *, methods: int = 2) -> RequiredSample | None:
    """Find how many more repeats of the folds would settle a tie if the true difference were the one that was found.

    Args:
        sources: The variance components of the difference; with one repeat they cannot tell what another one would
            average out, and count it as the examples' own.
        methods: How many methods are compared at once.

    Returns:
        The least that would do, a repeat being a seed; None where nothing within `MOST_SEEDS` repeats would.
    """

    def seen(more: int) -> bool:
        error = sources.error(sources.repeats + more)
        return detectable_difference(*error, methods=methods) <= abs(sources.mean)

    most = max(0, MOST_SEEDS - sources.repeats)
    return RequiredSample(_first(seen, most), 0) if sources.mean and seen(most) else None


def _first(enough: Callable[[int], bool], most: int) -> int:
    """Return the smallest number from 0 that is enough, where `most` is and every larger number than one is too."""
    low, high = -1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high

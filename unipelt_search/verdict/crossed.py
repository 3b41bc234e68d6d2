"""Means and differences of methods whose runs were all scored on the same rows: examples crossed with seeds.

A score is ``x[s, i] = mean + example_i + seed_s + residual_si``, all three effects random: the claim is about the
training procedure on the population of examples, not about these seeds on these rows. Two methods are paired over the
examples. They are not paired over the seeds: the effect of a seed on one method says next to nothing about its effect
on another, and two separate variances have twice the degrees of freedom of their difference's. Where the seed effects
of two methods do correlate, the interval is too wide, never too narrow. docs/decisions/0006-crossed-effects.md has the
alternatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
# The square of an estimated variance is too large, by a factor of 1 + 2 / (degrees of freedom). Welch corrects all of
# it, which is too much where the seed variance is large; Satterthwaite nothing, which loses power where it is small.
CORRECTION = 1


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of two means, with its 95 % interval."""

    mean: float
    error: float
    """The standard error."""
    degrees_of_freedom: float
    """Degrees of freedom of the standard error."""
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class MethodScores:
    """What every comparison needs of one method's scores."""

    by_example: np.ndarray
    """``(n,)``, means over the seeds."""
    seeds: int
    residual_variance: float
    """What the residuals add to the variance of the mean."""
    seed_variance: float
    """What the seed effects add to it; an estimate, which may be negative."""
    degrees_of_freedom: float
    """Degrees of freedom of `seed_variance` + `residual_variance`."""

    @property
    def mean(self) -> float:
        """Mean over seeds and examples."""
        return float(self.by_example.mean())


def method_scores(scores: np.ndarray) -> MethodScores:
    """Condense one method's scores.

    Args:
        scores: ``(S, n)``, one row per seed, one column per example; S and n at least 2. Any score per example, or
            pseudo-values of a metric that is no mean over examples.

    Returns:
        The means over seeds and the mean's variance by its sources.

    Raises:
        ValueError: With fewer than two seeds or examples, or a score that is no finite number.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or min(scores.shape) < 2:
        raise ValueError(
            f"Scores must be (seeds, examples), two or more of each; got the shape {scores.shape}. Confirm with more "
            "seeds, or report the mean alone."
        )
    if not np.isfinite(scores).all():
        raise ValueError("Scores must be finite numbers; got NaN or infinity. Leave out the runs that failed.")
    seeds, examples = scores.shape
    by_example = scores.mean(axis=0)  # (n,)
    by_seed = scores.mean(axis=1)  # (S,)
    residuals = scores - by_example - by_seed[:, None] + by_example.mean()  # (S, n)
    residual_square = float(np.square(residuals).sum()) / ((seeds - 1) * (examples - 1))
    residual_variance = residual_square / (seeds * examples)
    return MethodScores(
        by_example=by_example,
        seeds=seeds,
        residual_variance=residual_variance,
        seed_variance=float(by_seed.var(ddof=1)) / seeds - residual_variance,
        degrees_of_freedom=seeds - 1.0,
    )


def pool_seed_variance(methods: Sequence[MethodScores]) -> tuple[MethodScores, ...]:
    """Raise a seed variance below the methods' average towards that average.

    With three seeds a variance is often far too small by chance, and the largest of many differences finds just these.
    No seed variance is lowered, so that an unsteady method does not get the narrow interval of steady ones. Two methods
    stay as they are: the variance of their difference contains both seed variances. With many, it moves almost half of
    the way.

    Args:
        methods: All methods that are compared, at least two.

    Returns:
        The same methods with the raised seed variance and its degrees of freedom, which are those of such a mean of two
        values where all methods have the same seed variance.
    """
    count = len(methods)
    # Of one seed each, since methods may have different numbers of seeds.
    average = sum(method.seed_variance * method.seeds for method in methods) / count
    weight = (count - 2) / (2 * (count - 1))
    pooled = []
    for method in methods:
        moved = (1 - weight) * method.seed_variance + weight * average / method.seeds
        degrees_of_freedom = pooled_degrees_of_freedom(method.seeds, count)
        seed_variance = max(method.seed_variance, moved)
        pooled.append(replace(method, seed_variance=seed_variance, degrees_of_freedom=degrees_of_freedom))
    return tuple(pooled)


def pooled_degrees_of_freedom(seeds: int, methods: int) -> float:
    """Return the degrees of freedom of a seed variance after `pool_seed_variance`.

    Args:
        seeds: Of the method, at least 2.
        methods: How many methods were pooled, at least 2.

    Returns:
        As many as the seeds give with two methods, up to four times as many with many.
    """
    return (seeds - 1) * 4 * methods * (methods - 1) / (methods**2 + 4 * methods - 4)


def mean_estimate(scores: MethodScores) -> Estimate:
    """Estimate the mean of one method over the populations of seeds and examples.

    Args:
        scores: The method's scores.

    Returns:
        The mean with its standard error and 95 % interval.

    Source:
        Two-way random effects without replication; Satterthwaite, "An Approximate Distribution of Estimates of Variance
        Components", Biometrics 1946.
    """
    error, degrees_of_freedom = _error(scores.by_example, (scores,), correction=0)
    return with_interval(scores.mean, error, degrees_of_freedom)


def difference_estimate(scores: MethodScores, other: MethodScores) -> Estimate:
    """Estimate one method's mean minus another's on the same examples, paired over these.

    Args:
        scores: The method's scores, after `pool_seed_variance` with all methods that are compared.
        other: The other method's, on the same examples in the same order; it may have another number of seeds.

    Returns:
        The difference with its standard error and 95 % interval.

    Raises:
        ValueError: When the two were not scored on equally many examples.

    Source:
        As `mean_estimate`, with half of the correction of Welch, "The Generalization of Student's Problem when Several
        Different Population Variances are Involved", Biometrika 1947; docs/verdict.md measures what that does.
    """
    if scores.by_example.shape != other.by_example.shape:
        raise ValueError(
            f"Two methods must be scored on the same examples; got {scores.by_example.size} and "
            f"{other.by_example.size}. Compare them on the rows that both were scored on."
        )
    error, degrees_of_freedom = _error(scores.by_example - other.by_example, (scores, other), correction=CORRECTION)
    return with_interval(scores.mean - other.mean, error, degrees_of_freedom)


def with_interval(mean: float, error: float, degrees_of_freedom: float) -> Estimate:
    """Put the two-sided 95 % t interval around a mean.

    Args:
        mean: The estimate.
        error: Its standard error.
        degrees_of_freedom: Degrees of freedom, above 0.

    Returns:
        The estimate with its bounds.
    """
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees_of_freedom)) * error
    return Estimate(mean=mean, error=error, degrees_of_freedom=degrees_of_freedom, low=mean - half, high=mean + half)


def satterthwaite_degrees(total: float, parts: list[tuple[float, float]], *, correction: float) -> float:
    """Approximate the degrees of freedom of a variance that was put together from independent mean squares.

    Args:
        total: The variance.
        parts: Each mean square's part of it, with the mean square's own degrees of freedom.
        correction: 0 is Satterthwaite's formula, 2 is Welch's, 1 lies between them.

    Returns:
        The degrees of freedom, at least the smallest among `parts`.
    """
    fewest = min(degrees_of_freedom for _, degrees_of_freedom in parts)
    if total == 0:
        return fewest
    squares = [(part / total) ** 2 / (degrees_of_freedom + correction) for part, degrees_of_freedom in parts]
    return max(fewest, 1 / sum(squares) - correction)


def _error(by_example: np.ndarray, methods: tuple[MethodScores, ...], *, correction: float) -> tuple[float, float]:
    """Return standard error and degrees of freedom of the mean of `by_example`, which came from these methods."""
    rows = by_example.size
    # The examples' spread holds the residuals once already, so only the seed effects are added to it.
    examples = float(by_example.var(ddof=1)) / rows
    seed_variance = sum(method.seed_variance for method in methods)
    parts = [(examples, rows - 1.0)]
    # Without seed effects the estimate rests on the examples alone, and so do its degrees of freedom.
    if seed_variance > 0:
        for method in methods:
            parts.append((method.seed_variance + method.residual_variance, method.degrees_of_freedom))
    total = examples + max(0.0, seed_variance)
    return sqrt(total), satterthwaite_degrees(total, parts, correction=correction)

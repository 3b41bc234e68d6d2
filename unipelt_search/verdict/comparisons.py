"""Every method against the best one, all at once: familywise intervals, and the methods that cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
from scipy import special, stats
from scipy.optimize import brentq

from unipelt_search.verdict.crossed import (
    CONFIDENCE,
    Estimate,
    MethodScores,
    difference_estimate,
    mean_estimate,
    method_scores,
    pool_seed_variance,
)
from unipelt_search.verdict.folds import folded_estimate

# Gauss-Legendre nodes for the studentised range: its quantiles are then good to four digits.
_NODES = 48
# The normal density is 0 to double precision beyond this.
_EDGE = 8.5


@dataclass(frozen=True)
class Comparison:
    """One method against the best."""

    method: str
    difference: Estimate
    """Its mean minus the best method's, with the interval of this pair alone."""
    low: float
    """Lower bound of the interval that holds for all comparisons of the study at once."""
    high: float

    @property
    def tie(self) -> bool:
        """Whether the method cannot be told apart from the best: the familywise interval contains 0."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class PairedComparisons:
    """The best method and how every other one compares with it."""

    best: str
    means: dict[str, Estimate]
    """Every method's own mean with its 95 % interval, best first."""
    comparisons: tuple[Comparison, ...]
    """All other methods, best first."""
    pooled: dict[str, MethodScores]
    """What the differences were estimated from, by method; empty with folds."""

    @property
    def ties(self) -> tuple[str, ...]:
        """The methods that tie with the best, best first."""
        return tuple(comparison.method for comparison in self.comparisons if comparison.tie)


def compare_with_best(
    scores: Mapping[str, np.ndarray], *, folds: np.ndarray | None = None, maximize: bool = True
) -> PairedComparisons:
    """Rank methods by their means and compare each with the best of them.

    With 95 % confidence all familywise intervals are true at once, however the best was picked: the critical value is
    that of the largest of all pairwise differences.

    Args:
        scores: By method ``(S, n)``, one row per seed, one column per example, the same examples for all; at least one
            method. Of equal means the one named first is better, so name the cheaper one first.
        folds: With repeated k-fold, ``(R, n)`` as `folded_estimate` takes them; the rows of `scores` are repeats then,
            those that a method lacks NaN. Every method must share a repeat with the best.
        maximize: False where a lower score is better.

    Returns:
        The ranking.

    Raises:
        ValueError: With no method, or scores that `method_scores`, `difference_estimate` or `folded_estimate`
            refuses.

    Source:
        Games and Howell, "Pairwise Multiple Comparison Procedures with Unequal N's and/or Variances", Journal of
        Educational Statistics 1976.
    """
    if not scores:
        raise ValueError("There must be at least one method to rank; got none.")
    sign = -1 if maximize else 1
    # Rounded, since sums of floats differ in the last digits where the means are equal.
    order = sorted(scores, key=lambda method: sign * round(float(np.nanmean(scores[method])), 12))
    best, others = order[0], order[1:]
    pooled: dict[str, MethodScores] = {}
    if folds is None:
        condensed = {method: method_scores(scores[method]) for method in order}
        means = {method: mean_estimate(condensed[method]) for method in order}
        pooled = (
            condensed
            if len(order) == 1
            else dict(zip(order, pool_seed_variance(list(condensed.values())), strict=True))
        )
        differences = {method: difference_estimate(pooled[method], pooled[best]) for method in others}
    else:
        means = {method: folded_estimate(scores[method], folds) for method in order}
        differences = {method: folded_estimate(scores[method] - scores[best], folds) for method in others}
    compared = tuple(_compared(method, differences[method], len(order)) for method in others)
    return PairedComparisons(best, means, compared, pooled)


def familywise_critical(methods: int, degrees_of_freedom: float) -> float:
    """Return how many standard errors a difference may be off when all pairs of methods are looked at.

    Args:
        methods: How many methods are compared, at least 2.
        degrees_of_freedom: Degrees of freedom of the standard error.

    Returns:
        The 95 % quantile of the studentised range divided by the square root of 2; with two methods that is
        Student's t.

    Source:
        Tukey, "The Problem of Multiple Comparisons", 1953 (The Collected Works of John W. Tukey VIII).
    """
    alone = float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees_of_freedom))
    if methods == 2:
        return alone
    nodes, weights = _quadrature()
    points, density = nodes * _EDGE, weights * _EDGE
    # The standard error's own spread, by its quantiles, so that every freedom needs the same nodes.
    scales = np.sqrt(stats.chi2.ppf((nodes + 1) / 2, degrees_of_freedom) / degrees_of_freedom)
    density = density * methods * np.exp(-(points**2) / 2) / sqrt(2 * np.pi)
    below = special.ndtr(points)

    def excess(critical: float) -> float:
        widths = critical * sqrt(2) * scales[:, None]
        inside = ((below - special.ndtr(points - widths)) ** (methods - 1)) @ density
        return float(inside @ weights) / 2 - CONFIDENCE

    pairs = methods * (methods - 1) / 2
    bonferroni = float(stats.t.isf((1 - CONFIDENCE) / 2 / pairs, degrees_of_freedom))
    return float(brentq(excess, alone, 1.01 * bonferroni, xtol=1e-5))


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def _compared(method: str, difference: Estimate, methods: int) -> Comparison:
    half = familywise_critical(methods, difference.degrees_of_freedom) * difference.error
    return Comparison(method, difference, low=difference.mean - half, high=difference.mean + half)

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


def compare_with_best(scores: Mapping[str, np.ndarray], *, maximize: bool = True) -> PairedComparisons:
    """Rank methods by their means and compare each with the best of them, where examples are crossed with seeds.

    With 95 % confidence all familywise intervals are true at once, however the best was picked: the critical value is
    that of the largest of all pairwise differences.

    Args:
        scores: By method ``(S, n)``, one row per seed, one column per example, the same examples for all; at least one
            method. Of equal means the one named first is better, so name the cheaper one first.
        maximize: False where a lower score is better.

    Returns:
        The ranking.

    Raises:
        ValueError: With no method, or scores that `method_scores` or `difference_estimate` refuses.

    Source:
        Games and Howell, "Pairwise Multiple Comparison Procedures with Unequal N's and/or Variances", Journal of
        Educational Statistics 1976.
    """
    order = _ranked(scores, maximize=maximize)
    condensed = {method: method_scores(scores[method]) for method in order}
    means = {method: mean_estimate(condensed[method]) for method in order}
    pooled = condensed
    if len(order) > 1:
        pooled = dict(zip(order, pool_seed_variance(list(condensed.values())), strict=True))
    best = order[0]
    differences = {}
    for method in order[1:]:
        differences[method] = difference_estimate(pooled[method], pooled[best])
    return PairedComparisons(best, means, _compared(differences), pooled)


def compare_folded(scores: Mapping[str, np.ndarray], folds: np.ndarray, *, maximize: bool = True) -> PairedComparisons:
    """Rank methods as `compare_with_best` does, where runs are nested in folds.

    Args:
        scores: By method ``(R, n)``, a row per repeat, those that a method lacks NaN; at least one method. Every method
            must share a repeat with the best.
        folds: ``(R, n)``, as `folded_estimate` takes them.
        maximize: False where a lower score is better.

    Returns:
        The ranking.

    Raises:
        ValueError: With no method, or scores that `folded_estimate` refuses.
    """
    order = _ranked(scores, maximize=maximize)
    means = {method: folded_estimate(scores[method], folds) for method in order}
    best = order[0]
    differences = {}
    for method in order[1:]:
        differences[method] = folded_estimate(scores[method] - scores[best], folds)
    return PairedComparisons(best, means, _compared(differences), pooled={})


def _ranked(scores: Mapping[str, np.ndarray], *, maximize: bool) -> list[str]:
    """Sort methods by their means, best first."""
    if not scores:
        raise ValueError("There must be at least one method to rank; got none.")
    sign = -1 if maximize else 1
    # Rounded, since sums of floats differ in the last digits where the means are equal.
    means = {method: round(float(np.nanmean(found)), 12) for method, found in scores.items()}
    return sorted(scores, key=lambda method: sign * means[method])


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
    points = nodes * _EDGE
    density = weights * _EDGE
    # The standard error's own spread, by its quantiles, so that the same nodes do for all degrees of freedom.
    quantiles = stats.chi2.ppf((nodes + 1) / 2, degrees_of_freedom)
    scales = np.sqrt(quantiles / degrees_of_freedom)
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


def _compared(differences: Mapping[str, Estimate]) -> tuple[Comparison, ...]:
    """Widen the intervals so that those of all pairs hold at once; with the best there is one method more than here."""
    compared = []
    for method, difference in differences.items():
        critical = familywise_critical(len(differences) + 1, difference.degrees_of_freedom)
        half = critical * difference.error
        low, high = difference.mean - half, difference.mean + half
        compared.append(Comparison(method, difference, low=low, high=high))
    return tuple(compared)

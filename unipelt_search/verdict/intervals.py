"""Intervals over repeated runs: Student's t for a mean, and for a difference of two methods paired over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, sqrt
from statistics import fmean, stdev

from scipy import stats

from unipelt_search.records.report import Difference, Interval

CONFIDENCE = 0.95
_RANGES = {"matthews": (-1.0, 1.0), "spearman": (-1.0, 1.0), "pearson": (-1.0, 1.0), "r2": (-inf, 1.0)}
"""Where a metric has its values; the others between 0 and 1."""


def t_interval(values: Sequence[float], metric: str) -> Interval:
    """Estimate a mean with its two-sided 95 % t interval, cut off where the metric has no values.

    Args:
        values: One score per run, at least one.
        metric: The metric of the scores.

    Returns:
        The mean; with one run sd and bounds are None.

    Source:
        Student, "The Probable Error of a Mean", Biometrika 1908.
    """
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean=mean, sd=None, low=None, high=None)
    low, high = _RANGES.get(metric, (0.0, 1.0))
    half = _half(values)
    return Interval(mean=mean, sd=stdev(values), low=max(mean - half, low), high=min(mean + half, high))


def paired_difference(scores: Mapping[int, float], best: Mapping[int, float]) -> Difference | None:
    """Estimate a method's score minus the best method's, paired over the seeds that both were run with.

    Args:
        scores: The method's score by seed index.
        best: The best method's score by seed index.

    Returns:
        The mean difference with its 95 % interval, bounds None with one common seed; None with no common seed.
    """
    common = sorted(scores.keys() & best.keys())
    if not common:
        return None
    values = [scores[seed] - best[seed] for seed in common]
    mean = fmean(values)
    if len(values) < 2:
        return Difference(mean=mean, low=None, high=None)
    half = _half(values)
    return Difference(mean=mean, low=mean - half, high=mean + half)


def _half(values: Sequence[float]) -> float:
    """Return half the width of the t interval of two or more values."""
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * stdev(values) / sqrt(len(values))

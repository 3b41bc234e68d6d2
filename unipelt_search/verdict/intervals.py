"""Intervals over repeated runs: Student's t for a mean, and for a difference of two methods paired over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev

from scipy import stats

from unipelt_search.records.report import Difference, Interval

CONFIDENCE = 0.95


def t_interval(values: Sequence[float]) -> Interval:
    """Estimate a mean with its two-sided 95 % t interval.

    Args:
        values: One score per run, at least one.

    Returns:
        The mean; with one run sd and bounds are None.

    Source:
        Student, "The Probable Error of a Mean", Biometrika 1908.
    """
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean=mean, sd=None, low=None, high=None)
    sd = stdev(values)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)) * sd / sqrt(len(values))
    return Interval(mean=mean, sd=sd, low=mean - half, high=mean + half)


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
    interval = t_interval([scores[seed] - best[seed] for seed in common])
    return Difference(mean=interval.mean, low=interval.low, high=interval.high)

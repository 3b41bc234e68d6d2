"""Intervals as a report shows them: with the spread over runs, and cut off where the metric has no values."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from unipelt_search.records.history import TaskSummary
from unipelt_search.records.report import Interval
from unipelt_search.verdict.crossed import Estimate


def interval_of(values: Sequence[float], task: TaskSummary, estimate: Estimate | None) -> Interval:
    """Describe a method's score.

    Args:
        values: One score per run, at least one.
        task: What was asked, and the metric of the scores.
        estimate: Of their mean; None where there is none, as with one run.

    Returns:
        The mean with the sd over runs, None with one run, and the estimate's 95 % interval.

    Raises:
        MachineError: The metric is that of a package that is not installed.
    """
    mean, sd = fmean(values), stdev(values) if len(values) > 1 else None
    if estimate is None:
        return Interval(mean=mean, sd=sd, low=None, high=None)
    known = task.find_metric()
    low = max(estimate.low, known.low)
    high = min(estimate.high, known.high)
    return Interval(mean=mean, sd=sd, low=low, high=high)

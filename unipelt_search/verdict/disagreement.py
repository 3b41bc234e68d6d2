"""Whether the deciding rows and the test rows tell the same of the best method, or are rows of two kinds."""

from __future__ import annotations

from math import sqrt

import numpy as np
from scipy import stats

from unipelt_search.records.history import TaskSummary
from unipelt_search.records.report import Disagreement, Interval
from unipelt_search.verdict.candidates import Candidate
from unipelt_search.verdict.row_scores import row_scores

LEVEL = 0.002
"""How often one method's scores would seem to disagree where they agree. The best of several methods was chosen by the
deciding rows, where it had good luck, so it is found more often."""
_FEWEST_ROWS = 3


def find_disagreement(
    best: Candidate,
    task: TaskSummary,
    deciding: Interval,
    test: Interval,
) -> Disagreement | None:
    """Compare the best method's scores on the deciding rows and on the test rows.

    Args:
        best: The best method.
        task: What was asked, and the metric.
        deciding: Its score on the deciding rows.
        test: Its score on the test rows.

    Returns:
        Both scores where they disagree; None where they do not, or predictions were not kept.
    """
    if _overlap(deciding, test):
        return None
    predictions = [seed.predictions for seed in best.seeds]
    of_test = [run.predictions("test") for run in best.confirmed]
    kept = [found for found in predictions if found is not None]
    kept_of_test = [found for found in of_test if found is not None]
    if len(kept) < len(predictions) or len(kept_of_test) < len(of_test):
        return None
    if min(len(kept[0].labels), len(kept_of_test[0].labels)) < _FEWEST_ROWS:
        return None
    gap = deciding.mean - test.mean
    if not is_disagreement(gap, row_scores(task, kept), row_scores(task, kept_of_test)):
        return None
    return Disagreement(deciding=deciding.mean, test=test.mean)


def is_disagreement(gap: float, deciding: np.ndarray, test: np.ndarray) -> bool:
    """Tell whether two scores of the same runs are further apart than rows of one kind would be.

    The rows' own variance is taken over both sets together, as it is if they are of one kind: a set on which nothing
    was wrong says nothing of it.

    Args:
        gap: Between the scores.
        deciding: ``(S, n)``, of the deciding rows; a repeat of folds that is missing is NaN.
        test: ``(R, m)``, of the test rows.

    Returns:
        Whether they disagree.

    Source:
        Student's t test of two means with a common variance, at the level `LEVEL`.
    """
    rows = np.concatenate([np.nanmean(deciding, axis=0), np.nanmean(test, axis=0)])
    counts = deciding.shape[1], test.shape[1]
    variance = float(rows.var(ddof=1)) * (1 / counts[0] + 1 / counts[1])
    # Every run varies too: of several, the variance of their means is that of the seeds and what is left of the rows.
    for scores in (deciding, test):
        of_runs = scores.mean(axis=1)
        known = of_runs[np.isfinite(of_runs)]
        if len(known) > 1:
            variance += float(known.var(ddof=1)) / len(known)
    critical = float(stats.t.ppf(1 - LEVEL / 2, sum(counts) - 2))
    return abs(gap) > critical * sqrt(variance)


def _overlap(one: Interval, other: Interval) -> bool:
    """Tell whether two intervals share a value; where one is not known, they do not."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high

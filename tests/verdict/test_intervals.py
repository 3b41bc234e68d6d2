from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unipelt_search.verdict.intervals import paired_difference, t_interval


def test_the_interval_is_scipys() -> None:
    values = [0.81, 0.84, 0.86, 0.79]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    interval = t_interval(values, "accuracy")
    assert (interval.mean, interval.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_one_run_has_no_interval() -> None:
    assert t_interval([0.5], "accuracy").model_dump() == {"mean": 0.5, "sd": None, "low": None, "high": None}


def test_an_interval_ends_where_the_metric_does() -> None:
    unsure = [0.4, 0.9]
    assert (t_interval(unsure, "accuracy").low, t_interval(unsure, "accuracy").high) == (0.0, 1.0)
    assert (t_interval(unsure, "matthews").low, t_interval(unsure, "spearman").high) == (-1.0, 1.0)
    free = t_interval(unsure, "r2").low
    assert free is not None
    assert free < -1


def test_differences_are_paired_over_common_seeds() -> None:
    difference = paired_difference({1: 0.7, 2: 0.8, 3: 0.75, 9: 0.1}, {1: 0.8, 2: 0.9, 3: 0.85, 4: 0.2})
    assert difference is not None
    assert difference.mean == pytest.approx(-0.1)
    # The gap is the same under every seed, so the pairs leave no doubt however much the seeds differ.
    assert difference.high == pytest.approx(-0.1)
    assert paired_difference({1: 0.7}, {2: 0.8}) is None
    single = paired_difference({1: 0.7}, {1: 0.8})
    assert single is not None
    assert single.low is None


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        interval = t_interval(random.normal(0.8, 0.02, 3).tolist(), "accuracy")
        covered += interval.low <= 0.8 <= interval.high  # type: ignore[operator]
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)

from __future__ import annotations

import pytest

from unipelt_search.verdict.crossed import with_interval
from unipelt_search.verdict.intervals import interval_of


def test_mean_and_sd_are_of_the_runs_and_the_bounds_are_the_estimates() -> None:
    estimate = with_interval(0.8, error=0.01, degrees_of_freedom=10.0)
    shown = interval_of([0.79, 0.80, 0.81], "accuracy", estimate)
    assert (shown.mean, shown.sd) == (pytest.approx(0.8), pytest.approx(0.01))
    assert (shown.low, shown.high) == (estimate.low, estimate.high)


def test_without_an_estimate_there_are_no_bounds() -> None:
    assert interval_of([0.5], "accuracy", None).model_dump() == {"mean": 0.5, "sd": None, "low": None, "high": None}
    assert interval_of([0.5, 0.6], "accuracy", None).sd == pytest.approx(0.0707, abs=1e-4)


def test_bounds_end_where_the_metric_does() -> None:
    wide = with_interval(0.5, error=1.0, degrees_of_freedom=2.0)
    values = [0.1, 0.9]
    assert (interval_of(values, "accuracy", wide).low, interval_of(values, "accuracy", wide).high) == (0.0, 1.0)
    assert (interval_of(values, "matthews", wide).low, interval_of(values, "spearman", wide).high) == (-1.0, 1.0)
    assert (interval_of(values, "r2", wide).low, interval_of(values, "r2", wide).high) == (wide.low, 1.0)

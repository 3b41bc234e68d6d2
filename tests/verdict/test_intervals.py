from __future__ import annotations

import pytest
from made_record import made_record

from unipelt_search.records.history import TaskSummary
from unipelt_search.verdict.crossed import with_interval
from unipelt_search.verdict.intervals import interval_of


def task(metric: str, kind: str = "classification", labels: tuple[str, ...] = ("a", "b")) -> TaskSummary:
    """A task with this metric."""
    return made_record().task.model_copy(update={"metric": metric, "kind": kind, "labels": labels})


def test_mean_and_sd_are_of_the_runs_and_the_bounds_are_the_estimates() -> None:
    estimate = with_interval(0.8, error=0.01, degrees_of_freedom=10.0)
    shown = interval_of([0.79, 0.80, 0.81], task("accuracy"), estimate)
    assert (shown.mean, shown.sd) == (pytest.approx(0.8), pytest.approx(0.01))
    assert (shown.low, shown.high) == (estimate.low, estimate.high)


def test_without_an_estimate_there_are_no_bounds() -> None:
    alone = interval_of([0.5], task("accuracy"), None)
    assert alone.model_dump() == {"mean": 0.5, "sd": None, "low": None, "high": None}
    assert interval_of([0.5, 0.6], task("accuracy"), None).sd == pytest.approx(0.0707, abs=1e-4)


def test_bounds_end_where_the_metric_does() -> None:
    wide = with_interval(0.5, error=1.0, degrees_of_freedom=2.0)

    def ends(asked: TaskSummary) -> tuple[float | None, float | None]:
        shown = interval_of([0.1, 0.9], asked, wide)
        return shown.low, shown.high

    assert ends(task("accuracy")) == (0.0, 1.0)
    assert ends(task("matthews")) == (-1.0, 1.0)
    assert ends(task("r2", "regression", ())) == (wide.low, 1.0)
    assert ends(task("rmse", "regression", ())) == (0.0, wide.high)
    assert ends(task("log_loss")) == (0.0, wide.high)
    assert (ends(task("brier")), ends(task("brier", labels=("a", "b", "c")))) == ((0.0, 1.0), (0.0, 2.0))

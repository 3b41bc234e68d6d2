from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from made_record import made_record, made_trial, whole_record

from unipelt_search.records.report import Interval, StudyReport
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.figures import (
    Axis,
    Point,
    Scatter,
    bar,
    compared_rows,
    leaderboard_axis,
    scatter,
    score_unit,
    upward_ticks,
)

REPORT = build_report(whole_record())


def test_the_axis_shows_the_methods_near_the_best_and_has_round_ticks() -> None:
    axis = leaderboard_axis(REPORT, 200)
    assert axis is not None
    best = REPORT.leaderboard[0].validation
    assert best.low is not None
    assert best.high is not None
    assert axis.holds(best.low)
    assert axis.holds(best.high)
    assert not axis.holds(0.25)  # the majority answer would squeeze all others together
    steps = [b - a for a, b in pairwise(axis.ticks)]
    assert all(step == pytest.approx(steps[0]) for step in steps)
    assert all(axis.holds(tick) for tick in axis.ticks)
    assert leaderboard_axis(build_report(made_record()), 200) is None


def test_scores_beyond_the_axis_are_marked_at_its_end() -> None:
    axis = Axis(0.5, 1.0, 100)
    inside = bar(Interval(mean=0.75, sd=0.1, low=0.6, high=0.9), axis)
    assert (inside.mean, inside.low, inside.high, inside.outside) == (50, 20, 80, "")
    assert bar(Interval(mean=0.2, sd=None, low=None, high=None), axis).outside == "left"
    assert bar(Interval(mean=1.2, sd=None, low=None, high=None), axis).outside == "right"


def test_only_scores_on_the_same_rows_are_compared() -> None:
    assert "prefix" not in [row.method for row in compared_rows(REPORT)]
    unconfirmed = build_report(made_record(made_trial(0, "lora", 0.8), made_trial(1, "head", 0.5)))
    assert [row.method for row in compared_rows(unconfirmed)] == ["lora", "head"]


def check_names(figure: Scatter) -> None:
    """No name lies on another one."""

    def box(point: Point) -> tuple[float, float, float]:
        long = 7.2 * len(point.method)
        left = point.label_x - {"start": 0, "end": long, "middle": long / 2}[point.anchor]
        return left, left + long, point.label_y

    for a, b in combinations(map(box, figure.points), 2):
        assert a[1] <= b[0] or b[1] <= a[0] or abs(a[2] - b[2]) >= 10


# Method, mean, half of its interval, and ms per example, of a study with a mark for which no free place is left.
CROWDED = [
    ("bitfit", 0.642, 0.060, 7.47), ("head", 0.627, 0.065, 7.02), ("unipelt_apl", 0.603, 0.069, 7.93),
    ("fine_tuning", 0.602, 0.062, 6.78), ("lora", 0.592, 0.058, 7.22), ("adapter", 0.590, 0.091, 7.73),
    ("prefix", 0.587, 0.060, 7.07),
]  # fmt: skip


def test_names_do_not_lie_on_each_other_where_marks_are_crowded() -> None:
    one = REPORT.leaderboard[0]
    rows = tuple(
        one.model_copy(
            update={
                "method": method,
                "validation": Interval(mean=mean, sd=0.02, low=mean - half, high=mean + half),
                "predict_ms_per_example": time,
            }
        )
        for method, mean, half, time in CROWDED
    )
    figure = scatter(REPORT.model_copy(update={"leaderboard": rows}), "predict_ms_per_example")
    assert figure is not None
    assert len(figure.points) == len(CROWDED)
    check_names(figure)


def test_the_scatter_has_every_confirmed_method_and_names_do_not_overlap() -> None:
    figure = scatter(REPORT)
    assert figure is not None
    confirmed = {"lora", "adapter", "unipelt_apl", "bitfit", "head", "fine_tuning"}
    assert {point.method for point in figure.points} == confirmed
    assert {point.method for point in figure.points if point.mark == "tie"} == set(REPORT.verdict.ties)

    check_names(figure)
    assert scatter(build_report(made_record(made_trial(0, "head", 0.5, {1: 0.5})))) is None


def test_score_against_time_has_the_same_methods_on_a_linear_axis() -> None:
    rows = [
        row.model_copy(update={"predict_ms_per_example": 2.0 + number} if row.phase == "confirm" else {})
        for number, row in enumerate(REPORT.leaderboard)
    ]
    figure = scatter(REPORT.model_copy(update={"leaderboard": tuple(rows)}), "predict_ms_per_example")
    assert figure is not None
    assert (figure.title, figure.x_name) == ("Score against time", "milliseconds per example")
    gaps = [b.x - a.x for a, b in pairwise(figure.points)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps), abs=0.2)
    assert figure.points[0].title.endswith("2.00 ms per example")
    assert all(0 <= x <= figure.width for x, _ in figure.x_ticks)


def test_without_latencies_there_is_no_figure_of_time() -> None:
    rows = [row.model_copy(update={"predict_ms_per_example": None}) for row in REPORT.leaderboard]
    assert scatter(REPORT.model_copy(update={"leaderboard": tuple(rows)}), "predict_ms_per_example") is None


@pytest.mark.parametrize(("low", "high", "width"), [(0.8123, 0.9077, 200), (-0.31, 0.2, 90), (0.17, 0.9, 84)])
def test_ticks_are_even_and_never_fewer_than_two(low: float, high: float, width: float) -> None:
    axis = Axis(low, high, width)
    steps = [b - a for a, b in pairwise(axis.ticks)]
    assert steps
    assert steps == pytest.approx([steps[0]] * len(steps))
    assert all(axis.holds(tick) for tick in axis.ticks)
    assert axis.position(axis.ticks[1]) - axis.position(axis.ticks[0]) >= 12


def test_without_an_interval_the_axis_holds_every_method_and_equal_scores_have_one_too() -> None:
    unconfirmed = build_report(made_record(made_trial(0, "lora", 0.8), made_trial(1, "head", 0.5)))
    axis = leaderboard_axis(unconfirmed, 200)
    assert axis is not None
    assert axis.holds(0.5)
    assert axis.holds(0.8)
    alone = leaderboard_axis(build_report(made_record(made_trial(0, "lora", 0.8))), 200)
    assert alone is not None
    assert alone.high - alone.low == pytest.approx(0.04)


def test_stairs_join_the_methods_that_nobody_beats_at_their_price() -> None:
    record = made_record(
        made_trial(0, "head", 0.6, {1: 0.60, 2: 0.62}),
        made_trial(1, "adapter", 0.7, {1: 0.55, 2: 0.56}),
        made_trial(2, "lora", 0.8, {1: 0.80, 2: 0.82}),
    )
    report = build_report(record)
    assert report.pareto is not None
    assert report.pareto.stored_parameters == ("head", "lora")
    chart = scatter(report)
    assert chart is not None
    positions = {point.method: (point.x, point.y) for point in chart.points}
    (x0, y0), (x1, y1) = positions["head"], positions["lora"]
    assert chart.front == f"{x0:.1f},{y0:.1f} {x1:.1f},{y0:.1f} {x1:.1f},{y1:.1f}"
    by_time = scatter(report, "predict_ms_per_example")
    assert by_time is not None
    assert by_time.front == ""  # all take the same time, so one method beats the others


def test_ticks_of_a_vertical_axis_are_counted_from_above() -> None:
    axis = Axis(0.0, 1.0, 100)
    assert upward_ticks(axis)[0] == (100.0, "0")
    assert upward_ticks(axis)[-1] == (0.0, "1")


def in_units(report: StudyReport, unit: float) -> StudyReport:
    """The report of a study of errors, each a score of the report in other units."""
    rows = []
    for row in report.leaderboard:
        shown = {name: value if value is None else value * unit for name, value in row.validation.model_dump().items()}
        rows.append(row.model_copy(update={"validation": Interval(**shown)}))
    task = report.task.model_copy(update={"metric": "mae", "kind": "regression", "direction": "minimize"})
    return report.model_copy(update={"leaderboard": tuple(rows), "task": task})


@pytest.mark.parametrize("unit", [1e-4, 1e4])
def test_axes_of_errors_are_those_of_shares_in_other_units(unit: float) -> None:
    one, other = in_units(REPORT, 1.0), in_units(REPORT, unit)
    axes = [leaderboard_axis(report, 200) for report in (one, other)]
    assert axes[0] is not None
    assert axes[1] is not None
    assert (axes[1].low / unit, axes[1].high / unit) == pytest.approx((axes[0].low, axes[0].high))
    charts = [scatter(report) for report in (one, other)]
    assert charts[0] is not None
    assert charts[1] is not None
    assert [point.y for point in charts[1].points] == pytest.approx([point.y for point in charts[0].points])
    assert score_unit(REPORT) == 1.0
    assert score_unit(other) == pytest.approx(unit * score_unit(one))

from __future__ import annotations

from itertools import pairwise

from made_record import folded, made_record, made_trial, whole_record

from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.line_charts import gate_trajectory, learning_curves

REPORT = build_report(whole_record())


def test_every_leaderboard_method_has_a_chart_with_a_line_per_run() -> None:
    charts = learning_curves(REPORT)
    assert [chart.title for chart in charts] == [row.method for row in REPORT.leaderboard if row.trial is not None]
    by_title = {chart.title: chart for chart in charts}
    assert len(by_title["lora"].lines) == 4  # the search run and three confirm runs
    assert len(by_title["prefix"].lines) == 1
    assert len({chart.y_ticks for chart in charts}) == 1
    assert learning_curves(build_report(made_record())) == []


def test_points_lie_inside_of_the_chart_from_left_to_right() -> None:
    for chart in learning_curves(REPORT):
        for line in chart.lines:
            points = [tuple(map(float, point.split(","))) for point in line.points.split()]
            assert all(0 <= x <= chart.width and 0 <= y <= chart.height for x, y in points)
            assert all(a[0] <= b[0] for a, b in pairwise(points))


def test_the_trajectory_has_a_line_per_gate_with_names_apart() -> None:
    chart = gate_trajectory(REPORT.gates, 5)
    assert chart is not None
    assert {line.name for line in chart.lines} == {"adapter", "lora_query", "lora_value", "prefix"}
    positions = sorted(line.label_y for line in chart.lines)
    assert all(b - a >= 13 for a, b in pairwise(positions))
    assert gate_trajectory(REPORT.gates, 2) is None


def test_only_the_trial_on_the_leaderboard_is_drawn() -> None:
    record = made_record(made_trial(0, "lora", 0.7), made_trial(1, "lora", 0.8))
    (chart,) = learning_curves(build_report(record))
    assert "best 0.800" in chart.described
    assert learning_curves(build_report(made_record())) == []


def test_a_single_epoch_is_no_trajectory() -> None:
    start = tuple(row for row in REPORT.gates if row.epoch == 0)
    assert gate_trajectory(start, 5) is None
    assert gate_trajectory(REPORT.gates, 2) is None


def test_every_run_of_every_fold_has_a_line() -> None:
    charts = {chart.title: chart for chart in learning_curves(build_report(folded(whole_record())))}
    assert [line.name for line in charts["lora"].lines] == [f"run {number}" for number in range(16)]


def test_a_band_goes_from_the_lowest_to_the_highest_run() -> None:
    rows = []
    for row in REPORT.gates:
        if row.per_run is not None and row.split == "tune" and row.gate == "prefix":
            runs = row.per_run.model_copy(update={"mean": (0.2, row.mean, 0.9)})
            row = row.model_copy(update={"per_run": runs})
        rows.append(row)
    chart = gate_trajectory(rows, 5)
    assert chart is not None
    bands = {line.name: line.band for line in chart.lines}
    assert bands["adapter"] == "", "runs that are alike have none"
    points = [tuple(map(float, point.split(","))) for point in bands["prefix"].split()]
    heights = [y for _, y in points]
    assert heights == [round(chart.height * 0.8, 1)] * 3 + [round(chart.height * 0.1, 1)] * 3
    assert [x for x, _ in points[:3]] == [x for x, _ in points[:2:-1]]
    assert "runs from 0.20 to 0.90" in chart.described

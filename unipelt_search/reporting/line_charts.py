"""Lines over training: tune scores of every method, gates of one trial. Numbers are in the units of their SVG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from unipelt_search.records.report import ReportedGate, StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.figures import Axis

_LABEL_GAP = 14.0


@dataclass(frozen=True)
class Line:
    """One line with its name at the right end."""

    name: str
    points: str
    """`x,y x,y …`, as an SVG polyline takes them."""
    end: tuple[float, float]
    label_y: float


@dataclass(frozen=True)
class LineChart:
    """Lines over epochs."""

    title: str
    width: float
    height: float
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    described: str
    """What the chart shows, for those who cannot see it."""


def learning_curves(report: StudyReport, width: float = 150, height: float = 84) -> list[LineChart]:
    """Lay out the tune score over epochs of each leaderboard trial, one line per run, all on the same axes.

    Args:
        report: The report.
        width: Units of one chart's lines.
        height: Units of one chart's lines.

    Returns:
        One chart per method, in the leaderboard's order.
    """
    runs: dict[int, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    visible = {row.trial: row.name for row in report.leaderboard if row.trial is not None}
    counted = "run" if report.task.folds else "seed"
    for point in report.curves:
        if point.trial in visible:
            runs[point.trial][f"{counted} {point.run}"].append((point.epoch, point.validation))
    values = [value for lines in runs.values() for line in lines.values() for _, value in line]
    if not values:
        return []
    last = max(epoch for lines in runs.values() for line in lines.values() for epoch, _ in line)
    x_axis, y_axis = Axis(0.0, last or 1.0, width), _padded(values, height)
    best = min if report.task.direction == "minimize" else max
    charts = []
    for trial, method in visible.items():
        if trial in runs:
            reached = best(value for line in runs[trial].values() for _, value in line)
            described = (
                f"{method}: tune score over {last:g} epochs, {len(runs[trial])} runs, best {formats.score(reached)}"
            )
            charts.append(_chart(method, runs[trial], x_axis, y_axis, described))
    return charts


def gate_trajectory(
    rows: Sequence[ReportedGate], trial: int, width: float = 230, height: float = 150
) -> LineChart | None:
    """Lay out how the gates of one trial moved on the tune rows, each the mean over its layers.

    Args:
        rows: The report's gate rows.
        trial: The trial.
        width: Units of the chart's lines.
        height: Units of the chart's lines.

    Returns:
        One line per gate; None with fewer than two epochs.
    """
    means: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.trial == trial and row.split == "tune":
            means[row.gate][row.epoch].append(row.mean)
    lines = {gate: [(epoch, fmean(means[gate][epoch])) for epoch in sorted(means[gate])] for gate in means}
    epochs = [epoch for line in lines.values() for epoch, _ in line]
    if len(set(epochs)) < 2:
        return None
    x_axis, y_axis = Axis(0.0, max(epochs), width), Axis(0.0, 1.0, height)
    described = "; ".join(f"{gate} went from {line[0][1]:.2f} to {line[-1][1]:.2f}" for gate, line in lines.items())
    return _chart("Mean gate while training", lines, x_axis, y_axis, described)


def _chart(
    title: str, lines: Mapping[str, Sequence[tuple[float, float]]], x_axis: Axis, y_axis: Axis, described: str
) -> LineChart:
    height = y_axis.width
    placed = {
        name: [(x_axis.position(epoch), round(height - y_axis.position(value), 1)) for epoch, value in line]
        for name, line in lines.items()
    }
    labels = _spread({name: line[-1][1] for name, line in placed.items()})
    drawn = tuple(
        Line(name, " ".join(f"{x:g},{y:g}" for x, y in line), line[-1], labels[name]) for name, line in placed.items()
    )
    return LineChart(
        title, x_axis.width, height, drawn,
        ((0.0, "0"), (x_axis.width, f"{x_axis.high:.3g}")),
        tuple((height - y_axis.position(tick), formats.tick(tick)) for tick in y_axis.ticks),
        described,
    )  # fmt: skip


def _spread(wanted: Mapping[str, float]) -> dict[str, float]:
    """Move names down until none lies on another."""
    positions: dict[str, float] = {}
    lowest = float("-inf")
    for name in sorted(wanted, key=lambda name: wanted[name]):
        lowest = positions[name] = max(wanted[name], lowest + _LABEL_GAP)
    return positions


def _padded(values: Sequence[float], height: float) -> Axis:
    low, high = min(values), max(values)
    margin = max((high - low) * 0.06, 0.005)
    return Axis(low - margin, high + margin, height)

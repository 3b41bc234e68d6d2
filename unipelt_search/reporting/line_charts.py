"""Charts of lines, most of them over training: tune scores of every method, gates of one trial.

Numbers are in the units of their SVG.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType

from unipelt_search.records.report import CurvePoint, ReportedGate, ReportedTask, StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.figures import Axis, score_unit, upward_ticks

_LABEL_GAP = 14.0
"""Units between the names of two lines."""

_Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line with its name at the right end."""

    name: str
    points: str
    """`x,y x,y …`, as an SVG polyline takes them."""
    end: tuple[float, float]
    label_y: float
    band: str = ""
    """A polygon from the lowest to the highest run around the line, in the same notation; empty without runs."""


@dataclass(frozen=True)
class LineChart:
    """Lines over epochs, or over something else."""

    title: str
    width: float
    height: float
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    described: str
    """What the chart shows, for those who cannot see it."""
    x_unit: str = "epochs"
    """What the horizontal axis counts."""


def learning_curves(report: StudyReport, width: float = 150, height: float = 84) -> list[LineChart]:
    """Lay out the tune score over epochs of each leaderboard trial, one line per run, all on the same axes.

    Args:
        report: The report.
        width: Units of one chart's lines.
        height: Units of one chart's lines.

    Returns:
        One chart per method, in the leaderboard's order.
    """
    names = {row.trial: row.name for row in report.leaderboard if row.trial is not None}
    points = [point for point in report.curves if point.trial in names]
    if not points:
        return []
    by_trial: dict[int, list[CurvePoint]] = defaultdict(list)
    for point in points:
        by_trial[point.trial].append(point)
    last = max(point.epoch for point in points)
    # A run that was evaluated before its first step only has no width of its own.
    x_axis = Axis(0.0, last or 1.0, width)
    y_axis = _padded([point.validation for point in points], height, score_unit(report))
    charts = []
    for trial, name in names.items():
        if trial in by_trial:
            lines = _run_lines(by_trial[trial], report.task)
            reached = formats.score(_best_score(by_trial[trial], report.task))
            described = f"{name}: tune score over {last:g} epochs, {len(lines)} runs, best {reached}"
            charts.append(line_chart(name, lines, (x_axis, y_axis), described))
    return charts


def _best_score(points: Sequence[CurvePoint], task: ReportedTask) -> float:
    best = min if task.direction == "minimize" else max
    return best(point.validation for point in points)


def _run_lines(points: Sequence[CurvePoint], task: ReportedTask) -> dict[str, list[_Point]]:
    """Split the evaluations of a trial by run; with folds a run is not a seed."""
    counted = "run" if task.folds else "seed"
    lines: dict[str, list[_Point]] = defaultdict(list)
    for point in points:
        lines[f"{counted} {point.run}"].append((point.epoch, point.validation))
    return lines


def gate_trajectory(
    rows: Sequence[ReportedGate], trial: int, width: float = 230, height: float = 150
) -> LineChart | None:
    """Lay out how the gates of one trial moved on the tune rows, each the mean over its layers.

    A band around a line goes from the lowest to the highest run of each layer.

    Args:
        rows: The report's gate rows.
        trial: The trial.
        width: Units of the chart's lines.
        height: Units of the chart's lines.

    Returns:
        One line per gate; None with fewer than two epochs.
    """
    over_layers: dict[tuple[str, float], list[ReportedGate]] = defaultdict(list)
    for row in rows:
        if row.trial == trial and row.split == "tune":
            over_layers[row.gate, row.epoch].append(row)
    epochs = sorted({epoch for _, epoch in over_layers})
    if len(epochs) < 2:
        return None
    lines: dict[str, list[_Point]] = defaultdict(list)
    bands: dict[str, list[tuple[_Point, _Point]]] = defaultdict(list)
    for (gate, epoch), here in sorted(over_layers.items(), key=_by_epoch):
        lines[gate].append((epoch, fmean(row.mean for row in here)))
        lowest, highest = _range_of_runs(here)
        bands[gate].append(((epoch, lowest), (epoch, highest)))
    x_axis = Axis(0.0, epochs[-1], width)
    y_axis = Axis(0.0, 1.0, height)
    described = "; ".join(_move(gate, line, bands[gate]) for gate, line in lines.items())
    return line_chart("Mean gate while training", lines, (x_axis, y_axis), described, bands=bands)


def _by_epoch(entry: tuple[tuple[str, float], object]) -> float:
    (_, epoch), _ = entry
    return epoch


def _range_of_runs(rows: Sequence[ReportedGate]) -> tuple[float, float]:
    """Return the lowest and the highest run's mean, each the mean over layers."""
    lowest = fmean(min(row.per_run.mean) if row.per_run else row.mean for row in rows)
    highest = fmean(max(row.per_run.mean) if row.per_run else row.mean for row in rows)
    return lowest, highest


def _move(gate: str, line: Sequence[_Point], band: Sequence[tuple[_Point, _Point]]) -> str:
    (_, lowest), (_, highest) = band[-1]
    apart = f" (runs from {lowest:.2f} to {highest:.2f})" if highest > lowest else ""
    return f"{gate} went from {line[0][1]:.2f} to {line[-1][1]:.2f}{apart}"


def line_chart(
    title: str,
    lines: Mapping[str, Sequence[_Point]],
    axes: tuple[Axis, Axis],
    described: str,
    *,
    bands: Mapping[str, Sequence[tuple[_Point, _Point]]] = MappingProxyType({}),
    x_unit: str = "epochs",
) -> LineChart:
    """Lay out lines with their names at their right ends.

    Args:
        title: The chart's heading.
        lines: Points by the name of their line.
        axes: The horizontal and the vertical one; the width of the latter is the chart's height.
        described: What the chart shows.
        bands: By the name of a line, the lowest and the highest point around each of its points.
        x_unit: What the horizontal axis counts.

    Returns:
        The chart.
    """
    x_axis, y_axis = axes
    height = y_axis.width

    def in_chart(point: _Point) -> _Point:
        x, value = point
        return x_axis.position(x), round(height - y_axis.position(value), 1)

    placed = {name: list(map(in_chart, line)) for name, line in lines.items()}
    ends = {name: line[-1] for name, line in placed.items()}
    labels = _spread({name: y for name, (_, y) in ends.items()})
    outlines = {name: _polyline(list(map(in_chart, _outline(band)))) for name, band in bands.items()}
    laid_out = [
        Line(name, _polyline(line), ends[name], labels[name], outlines.get(name, "")) for name, line in placed.items()
    ]
    return LineChart(
        title=title,
        width=x_axis.width,
        height=height,
        lines=tuple(laid_out),
        x_ticks=((0.0, "0"), (x_axis.width, f"{x_axis.high:.3g}")),
        y_ticks=upward_ticks(y_axis),
        described=described,
        x_unit=x_unit,
    )


def _outline(band: Sequence[tuple[_Point, _Point]]) -> list[_Point]:
    """Go along the lower ends of a band and back along the upper ones; nothing where it has no width."""
    if all(low == high for low, high in band):
        return []
    lower = [low for low, _ in band]
    upper = [high for _, high in band]
    return lower + upper[::-1]


def _polyline(points: Sequence[_Point]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _spread(wanted: Mapping[str, float]) -> dict[str, float]:
    """Move names down until none lies on another."""
    positions: dict[str, float] = {}
    lowest = float("-inf")
    # From top to bottom, so that every name is moved past those above it once.
    for name in sorted(wanted, key=lambda name: wanted[name]):
        lowest = max(wanted[name], lowest + _LABEL_GAP)
        positions[name] = lowest
    return positions


def _padded(values: Sequence[float], height: float, unit: float) -> Axis:
    low = min(values)
    high = max(values)
    margin = max((high - low) * 0.06, 0.005 * unit)
    return Axis(low - margin, high + margin, height)

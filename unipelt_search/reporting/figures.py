"""Scores as figures: the leaderboard's intervals, score against size or time. Numbers are in the units of their SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Literal

from unipelt_search.records.report import Interval, LeaderboardRow, StudyReport
from unipelt_search.reporting import formats as formats

_REACH = 8.0
"""The leaderboard's axis reaches this many half intervals of the best below it."""
_TICK_ROOM = 38.0
"""Units between two ticks, where there is that much."""
_LETTER, _LINE = 7.2, 15.0
"""Width of a letter and height of a line of a name in a figure."""


Cost = Literal["stored_parameters", "predict_ms_per_example"]


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high`, drawn over `width` units."""

    low: float
    high: float
    width: float

    def position(self, value: float) -> float:
        """Return where a value stands, kept inside of the axis."""
        share = (value - self.low) / (self.high - self.low)
        return round(min(max(share, 0.0), 1.0) * self.width, 1)

    def holds(self, value: float) -> bool:
        """Tell whether a value lies on the axis."""
        return self.low <= value <= self.high

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round values with room for their names; two at least, so that the scale can be read."""
        rough = (self.high - self.low) * _TICK_ROOM / self.width
        for step in (_round_step(rough), _round_step(rough / 2.5), _round_step(rough / 5)):
            first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
            ticks = tuple(round(i * step, 10) for i in range(first, last + 1))
            if len(ticks) > 1:
                break
        return ticks


@dataclass(frozen=True)
class Bar:
    """A score with its interval on the leaderboard's axis."""

    mean: float
    low: float
    high: float
    outside: str
    """`left` or `right` where the score lies beyond that end of the axis, else empty."""


@dataclass(frozen=True)
class Point:
    """One method in a figure of score against cost."""

    x: float
    y: float
    low: float
    high: float
    method: str
    mark: str
    """`best`, `tie` or empty."""
    label_x: float
    label_y: float
    anchor: str
    title: str


@dataclass(frozen=True)
class Scatter:
    """Score against a cost."""

    title: str
    width: float
    height: float
    points: tuple[Point, ...]
    x_name: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    front: str
    """Corners of the stairs through the methods that nobody beats at their price; empty with fewer than two."""


def compared_rows(report: StudyReport) -> list[LeaderboardRow]:
    """Choose the leaderboard rows whose scores are on the same rows of the task.

    Args:
        report: The report.

    Returns:
        The confirmed methods and the majority answer; with none confirmed, the methods that have tune scores.
    """
    confirmed = [row for row in report.leaderboard if row.phase in {"confirm", None}]
    if any(row.trial is not None for row in confirmed):
        return confirmed
    return [row for row in report.leaderboard if row.trial is not None]


def leaderboard_axis(report: StudyReport, width: float) -> Axis | None:
    """Choose an axis on which the best methods can be told apart.

    Args:
        report: The report.
        width: Units.

    Returns:
        The axis; methods far from the best lie outside of it, unless there is no interval to go by. None where there is
        no score.
    """
    rows = [row for row in compared_rows(report) if row.trial is not None]
    if not rows:
        return None
    best = rows[0].validation
    reach = _REACH * max(best.mean - best.low, 0.01) if best.low is not None else float("inf")
    return _axis([row for row in rows if abs(row.validation.mean - best.mean) <= reach], width)


def bar(interval: Interval, axis: Axis) -> Bar:
    """Lay out one row of the leaderboard's figure.

    Args:
        interval: The score.
        axis: The leaderboard's axis.

    Returns:
        Where mean and bounds stand; the bounds fall on the mean where there are none.
    """
    low, high = _bounds(interval)
    outside = "" if axis.holds(interval.mean) else "left" if interval.mean < axis.low else "right"
    return Bar(axis.position(interval.mean), axis.position(low), axis.position(high), outside)


def scatter(
    report: StudyReport, cost: Cost = "stored_parameters", width: float = 360, height: float = 240
) -> Scatter | None:
    """Lay out score against a cost for the confirmed methods.

    Args:
        report: The report.
        cost: Parameters are drawn on a logarithmic axis, milliseconds on a linear one.
        width: Units between the axis' ends.
        height: Units between the axis' ends.

    Returns:
        The figure; None with fewer than two confirmed methods that have the cost.
    """
    rows = [row for row in report.leaderboard if row.phase == "confirm" and getattr(row, cost)]
    if len(rows) < 2:
        return None
    in_parameters = cost == "stored_parameters"
    costs = [getattr(row, cost) for row in rows]
    positions = [log10(value) for value in costs] if in_parameters else costs
    margin = 0.3 if in_parameters else max(0.15 * (max(costs) - min(costs)), 0.05 * max(costs))
    x_axis, y_axis = Axis(min(positions) - margin, max(positions) + margin, width), _axis(rows, height)
    points = _points(report, rows, [x_axis.position(position) for position in positions], y_axis, width, cost)
    if in_parameters:
        title, x_name = "Score against size", "stored parameters (logarithmic)"
        x_ticks = [
            (x_axis.position(at), formats.short_count(10.0**at)) for at in range(ceil(x_axis.low), ceil(x_axis.high))
        ]
    else:
        title, x_name = "Score against time", "milliseconds per example"
        x_ticks = [(x_axis.position(tick), formats.tick(tick)) for tick in x_axis.ticks]
    y_ticks = tuple((height - y_axis.position(tick), formats.tick(tick)) for tick in y_axis.ticks)
    front = getattr(report.pareto, cost) if report.pareto else ()
    return Scatter(title, width, height, tuple(points), x_name, tuple(x_ticks), y_ticks, _stairs(points, front))


def _stairs(points: Sequence[Point], names: Sequence[str]) -> str:
    by_name = {point.method: point for point in points}
    front = [by_name[name] for name in names if name in by_name]
    if len(front) < 2:
        return ""
    corners = [(front[0].x, front[0].y)]
    for point in front[1:]:
        corners += [(point.x, corners[-1][1]), (point.x, point.y)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _points(
    report: StudyReport,
    rows: Sequence[LeaderboardRow],
    positions: Sequence[float],
    y_axis: Axis,
    width: float,
    cost: Cost,
) -> list[Point]:
    """Place every method's mark first, then its name where no mark and no other name is."""
    height, boxes = y_axis.width, []
    for row, x in zip(rows, positions, strict=True):
        low, high = _bounds(row.validation)
        boxes.append((x - 6, height - y_axis.position(high) - 3, x + 6, height - y_axis.position(low) + 3))
    points = []
    for row, own, x in zip(rows, list(boxes), positions, strict=True):
        y = height - y_axis.position(row.validation.mean)
        label_x, label_y, anchor = _label_position(row.name, x, y, own, boxes, width)
        mark = "best" if row.name == report.verdict.name else "tie" if row.name in report.verdict.ties else ""
        price = (
            f"{formats.count(row.stored_parameters)} parameters"
            if cost == "stored_parameters"
            else f"{formats.number(row.predict_ms_per_example, 2)} ms per example"
        )
        title = f"{row.name}: {formats.interval(row.validation)}, {price}"
        points.append(Point(x, y, own[1] + 3, own[3] - 3, row.name, mark, label_x, label_y, anchor, title))
    return points


_Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _label_position(
    name: str, x: float, y: float, own: _Box, boxes: list[_Box], width: float
) -> tuple[float, float, str]:
    """Find the first place for a point's name that shares least with marks and other names, and take it."""
    long = len(name) * _LETTER
    candidates = []
    # Beside the mark first, then beside its bar further up and down, then above and below it.
    for shift in (0.0, -_LINE, _LINE, -2 * _LINE, 2 * _LINE):
        top, middle = y + shift - _LINE / 2, y + shift + _LINE / 3
        candidates += [
            ((x + 9, top, x + 9 + long, top + _LINE), (x + 9, middle, "start")),
            ((x - 9 - long, top, x - 9, top + _LINE), (x - 9, middle, "end")),
        ]
        if not shift:
            candidates += [
                ((x - long / 2, own[3], x + long / 2, own[3] + _LINE), (x, own[3] + _LINE - 3, "middle")),
                ((x - long / 2, own[1] - _LINE, x + long / 2, own[1]), (x, own[1] - 4, "middle")),
            ]
    inside = [(box, position) for box, position in candidates if box[0] >= -4 and box[2] <= width + 24] or candidates
    box, position = min(inside, key=lambda candidate: sum(_overlap(candidate[0], other) for other in boxes))
    boxes.append(box)
    return position


def _overlap(a: _Box, b: _Box) -> float:
    """Return the area that two boxes share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _bounds(interval: Interval) -> tuple[float, float]:
    if interval.low is None or interval.high is None:
        return interval.mean, interval.mean
    return interval.low, interval.high


def _axis(rows: Sequence[LeaderboardRow], width: float) -> Axis:
    values = [value for row in rows for value in (*_bounds(row.validation), row.validation.mean)]
    low, high = min(values), max(values)
    margin = max((high - low) * 0.06, 0.02 - (high - low) / 2)
    return Axis(low - margin, high + margin, width)


def _round_step(rough: float) -> float:
    size = 10.0 ** floor(log10(rough))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= rough * (1 - 1e-9))

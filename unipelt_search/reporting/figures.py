"""Scores as figures: the leaderboard's intervals and score against size. Numbers are in the units of their SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from unipelt_search.records.report import Interval, LeaderboardRow, StudyReport
from unipelt_search.reporting import words

_REACH = 8.0
"""The leaderboard's axis reaches this many half intervals of the best below it."""
_TICK_ROOM = 38.0
"""Units between two ticks, where there is that much."""
_LETTER, _LINE = 7.2, 15.0
"""Width of a letter and height of a line of a name in a figure."""


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high`, drawn over `width` units."""

    low: float
    high: float
    width: float

    def place(self, value: float) -> float:
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
    """One method in the figure of score against stored parameters."""

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
    """Score against stored parameters, on a logarithmic axis."""

    width: float
    height: float
    points: tuple[Point, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


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
    return Bar(axis.place(interval.mean), axis.place(low), axis.place(high), outside)


def scatter(report: StudyReport, width: float = 460, height: float = 270) -> Scatter | None:
    """Lay out score against stored parameters for the confirmed methods.

    Args:
        report: The report.
        width: Units between the axis' ends.
        height: Units between the axis' ends.

    Returns:
        The figure; None with fewer than two confirmed methods.
    """
    rows = [row for row in report.leaderboard if row.phase == "confirm" and row.stored_parameters]
    if len(rows) < 2:
        return None
    logs = [log10(row.stored_parameters or 1) for row in rows]
    x_axis = Axis(min(logs) - 0.3, max(logs) + 0.3, width)
    y_axis = _axis(rows, height)
    boxes = []
    for row, exponent in zip(rows, logs, strict=True):
        low, high = _bounds(row.validation)
        x = x_axis.place(exponent)
        boxes.append((x - 6, height - y_axis.place(high) - 3, x + 6, height - y_axis.place(low) + 3))
    points = []
    for row, own in zip(rows, list(boxes), strict=True):
        x, y = (own[0] + own[2]) / 2, height - y_axis.place(row.validation.mean)
        label_x, label_y, anchor = _label_place(row.name, x, y, own, boxes, width)
        mark = "best" if row.name == report.verdict.name else "tie" if row.name in report.verdict.ties else ""
        title = f"{row.name}: {words.interval(row.validation)}, {words.count(row.stored_parameters)} parameters"
        points.append(Point(x, y, own[1] + 3, own[3] - 3, row.name, mark, label_x, label_y, anchor, title))
    decades = range(ceil(x_axis.low), floor(x_axis.high) + 1)
    return Scatter(
        width, height, tuple(points),
        tuple((x_axis.place(power), words.short_count(10.0**power)) for power in decades),
        tuple((height - y_axis.place(tick), f"{tick:g}") for tick in y_axis.ticks),
    )  # fmt: skip


_Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _label_place(name: str, x: float, y: float, own: _Box, boxes: list[_Box], width: float) -> tuple[float, float, str]:
    """Find a place for a point's name that no mark or other name has taken, and take it."""
    long = len(name) * _LETTER
    middle = y + _LINE / 3
    candidates = [
        ((x + 9, y - _LINE / 2, x + 9 + long, y + _LINE / 2), (x + 9, middle, "start")),
        ((x - 9 - long, y - _LINE / 2, x - 9, y + _LINE / 2), (x - 9, middle, "end")),
        ((x - long / 2, own[3], x + long / 2, own[3] + _LINE), (x, own[3] + _LINE - 3, "middle")),
        ((x - long / 2, own[1] - _LINE, x + long / 2, own[1]), (x, own[1] - 4, "middle")),
    ]
    free = [
        (box, place)
        for box, place in candidates
        if box[0] >= -4 and box[2] <= width + 24 and not any(_overlap(box, other) for other in boxes)
    ]
    box, place = free[0] if free else candidates[0]
    boxes.append(box)
    return place


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


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

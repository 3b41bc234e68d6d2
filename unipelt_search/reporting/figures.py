"""Scores as figures: the leaderboard's intervals, score against size or time. Lengths are in the units of the SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, log10
from typing import Literal

from unipelt_search.kinds.label_kind import find_metric
from unipelt_search.records.report import Interval, LeaderboardRow, StudyReport
from unipelt_search.reporting import formats as formats

_REACH = 8.0
"""The leaderboard's axis reaches this many half intervals of the best below it."""
_TICK_ROOM = 38.0
"""Units between two ticks, where there is that much."""
_LETTER = 7.2
"""Width of a letter of a name in a figure."""
_LINE = 15.0
"""Height of a line of text."""
_MARK = 6.0
"""Half the width that a mark takes, with its margin."""
_BAR_END = 3.0
"""What the end of a bar takes beyond its bound."""

Cost = Literal["stored_parameters", "predict_ms_per_example"]


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high` over `width` units."""

    low: float
    high: float
    width: float

    def position(self, value: float) -> float:
        """Return where a value is drawn, kept inside of the axis."""
        share = (value - self.low) / (self.high - self.low)
        return round(min(max(share, 0.0), 1.0) * self.width, 1)

    def holds(self, value: float) -> bool:
        """Tell whether a value lies on the axis."""
        return self.low <= value <= self.high

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round values with room for their names; two at least, so that the scale can be read."""
        # Three attempts with finer steps: a narrow axis may have no round value at the first.
        rough = (self.high - self.low) * _TICK_ROOM / self.width
        for step in (_round_step(rough), _round_step(rough / 2.5), _round_step(rough / 5)):
            # The tolerance keeps a tick at an end that division has moved by the last digit.
            first = ceil(self.low / step - 1e-9)
            last = floor(self.high / step + 1e-9)
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
    label: str
    """The method's name; a long one, of a set of submodules, is shortened."""
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
    """Corners of the stairs through the methods that no other one beats at their cost; empty with fewer than two."""


@dataclass(frozen=True)
class _CostScale:
    """The axis of a cost, and every method's position on it."""

    title: str
    name: str
    width: float
    positions: tuple[float, ...]
    """By row."""
    prices: tuple[str, ...]
    """By row, with the unit."""
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class _Box:
    """A rectangle of the figure; `top` is less than `bottom`."""

    left: float
    top: float
    right: float
    bottom: float

    def lies_within(self, left: float, right: float) -> bool:
        """Tell whether the box reaches beyond neither of two vertical lines."""
        return self.left >= left and self.right <= right


@dataclass(frozen=True)
class _Label:
    """Where a point's name may stand."""

    box: _Box
    """What it covers."""
    x: float
    y: float
    anchor: str


def upward_ticks(axis: Axis) -> tuple[tuple[float, str], ...]:
    """Lay out the ticks of a vertical axis.

    Args:
        axis: The axis; its width is the height of the figure.

    Returns:
        For each tick its distance from the upper edge, from which an SVG counts, and its text.
    """
    ticks = []
    for tick in axis.ticks:
        ticks.append((axis.width - axis.position(tick), formats.tick(tick)))
    return tuple(ticks)


def compared_rows(report: StudyReport) -> list[LeaderboardRow]:
    """Choose the leaderboard rows whose scores are on the same rows of the task.

    Args:
        report: The report.

    Returns:
        The confirmed methods and the majority prediction; with none confirmed, the methods that have tune scores.
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
    reach = inf
    if best.low is not None:
        # An interval of no width would leave every other method outside.
        reach = _REACH * max(best.mean - best.low, 0.01 * score_unit(report))
    near = [row for row in rows if abs(row.validation.mean - best.mean) <= reach]
    return _axis(near, width, score_unit(report))


def bar(interval: Interval, axis: Axis) -> Bar:
    """Lay out one row of the leaderboard's figure.

    Args:
        interval: The score.
        axis: The leaderboard's axis.

    Returns:
        Where mean and bounds are drawn; the bounds fall on the mean where there are none.
    """
    low, high = _bounds(interval)
    outside = ""
    if not axis.holds(interval.mean):
        outside = "left" if interval.mean < axis.low else "right"
    return Bar(
        mean=axis.position(interval.mean),
        low=axis.position(low),
        high=axis.position(high),
        outside=outside,
    )


def scatter(
    report: StudyReport, cost: Cost = "stored_parameters", width: float = 360, height: float = 240
) -> Scatter | None:
    """Lay out score against a cost for the confirmed methods.

    Args:
        report: The report.
        cost: Parameters get a logarithmic axis, milliseconds a linear one.
        width: Units between the axis' ends.
        height: Units between the axis' ends.

    Returns:
        The figure; None with fewer than two confirmed methods that have the cost.
    """
    rows = [row for row in report.leaderboard if row.phase == "confirm" and getattr(row, cost)]
    if len(rows) < 2:
        return None
    costs = [getattr(row, cost) for row in rows]
    scale = _parameter_scale(costs, width) if cost == "stored_parameters" else _time_scale(costs, width)
    y_axis = _axis(rows, height, score_unit(report))
    points = _points(report, rows, scale, y_axis)
    front = getattr(report.pareto, cost) if report.pareto else ()
    return Scatter(
        title=scale.title,
        width=width,
        height=height,
        points=tuple(points),
        x_name=scale.name,
        x_ticks=scale.ticks,
        y_ticks=upward_ticks(y_axis),
        front=_stairs(points, front),
    )


def _parameter_scale(counts: Sequence[int], width: float) -> _CostScale:
    """Lay out stored parameters on a logarithmic axis, with a tick at every power of ten."""
    # Methods differ by factors of a thousand, so equal distances are equal factors.
    exponents = [log10(count) for count in counts]
    axis = Axis(min(exponents) - 0.3, max(exponents) + 0.3, width)
    powers = range(ceil(axis.low), ceil(axis.high))
    return _CostScale(
        title="Score against size",
        name="stored parameters (logarithmic)",
        width=width,
        positions=tuple(axis.position(exponent) for exponent in exponents),
        prices=tuple(f"{formats.count(count)} parameters" for count in counts),
        ticks=tuple((axis.position(power), formats.short_count(10.0**power)) for power in powers),
    )


def _time_scale(times: Sequence[float], width: float) -> _CostScale:
    # Equal times would leave an axis of no width.
    margin = max(0.15 * (max(times) - min(times)), 0.05 * max(times))
    axis = Axis(min(times) - margin, max(times) + margin, width)
    return _CostScale(
        title="Score against time",
        name="milliseconds per example",
        width=width,
        positions=tuple(axis.position(time) for time in times),
        prices=tuple(f"{formats.number(time, 2)} ms per example" for time in times),
        ticks=tuple((axis.position(tick), formats.tick(tick)) for tick in axis.ticks),
    )


def _stairs(points: Sequence[Point], names: Sequence[str]) -> str:
    by_name = {point.method: point for point in points}
    front = [by_name[name] for name in names if name in by_name]
    if len(front) < 2:
        return ""
    # A method is beaten only by one that costs as much or less, so the line goes right before it goes up.
    corners = [(front[0].x, front[0].y)]
    for point in front[1:]:
        _, level = corners[-1]
        corners.append((point.x, level))
        corners.append((point.x, point.y))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _points(report: StudyReport, rows: Sequence[LeaderboardRow], scale: _CostScale, y_axis: Axis) -> list[Point]:
    """Place every method's mark first, then its name where no mark and no other name is."""
    height = y_axis.width
    marks = []
    for row, x in zip(rows, scale.positions, strict=True):
        low, high = _bounds(row.validation)
        top = height - y_axis.position(high) - _BAR_END
        bottom = height - y_axis.position(low) + _BAR_END
        marks.append(_Box(x - _MARK, top, x + _MARK, bottom))
    # Names must avoid all marks, also those of methods that come later.
    taken = list(marks)
    points = []
    for row, own, x, price in zip(rows, marks, scale.positions, scale.prices, strict=True):
        y = height - y_axis.position(row.validation.mean)
        name = _shortened(row.name, scale.width)
        label = _label_of(name, x, y, own, taken, scale.width)
        taken.append(label.box)
        point = Point(
            x=x,
            y=y,
            low=own.top + _BAR_END,
            high=own.bottom - _BAR_END,
            method=row.name,
            mark=_mark_of(row, report),
            label=name,
            label_x=label.x,
            label_y=label.y,
            anchor=label.anchor,
            title=f"{row.name}: {formats.interval(row.validation)}, {price}",
        )
        points.append(point)
    return points


def _mark_of(row: LeaderboardRow, report: StudyReport) -> str:
    if row.name == report.verdict.name:
        return "best"
    return "tie" if row.name in report.verdict.ties else ""


def _shortened(name: str, width: float) -> str:
    """Shorten a name to half the figure's width, so that it fits on one side of every mark."""
    most = int(width / 2 / _LETTER)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _label_of(name: str, x: float, y: float, own: _Box, taken: Sequence[_Box], width: float) -> _Label:
    """Choose for a point's name the first position that overlaps least with marks and other names."""
    positions = list(_label_positions(len(name) * _LETTER, x, y, own))
    inside = [label for label in positions if label.box.lies_within(-4, width + 24)]

    def shared_area(label: _Label) -> float:
        return sum(_overlap(label.box, other) for other in taken)

    return min(inside or positions, key=shared_area)


def _label_positions(length: float, x: float, y: float, own: _Box) -> Iterator[_Label]:
    """Yield where a name may stand: next to the mark, below and above its bar, next to the bar further up and down."""
    # The first position is the usual one; the later ones only count where it overlaps more.
    for shift in (0.0, -_LINE, _LINE, -2 * _LINE, 2 * _LINE):
        top = y + shift - _LINE / 2
        middle = y + shift + _LINE / 3
        right = _Box(x + 9, top, x + 9 + length, top + _LINE)
        left = _Box(x - 9 - length, top, x - 9, top + _LINE)
        yield _Label(right, x + 9, middle, "start")
        yield _Label(left, x - 9, middle, "end")
        if not shift:
            left_end = x - length / 2
            below = _Box(left_end, own.bottom, left_end + length, own.bottom + _LINE)
            above = _Box(left_end, own.top - _LINE, left_end + length, own.top)
            yield _Label(below, x, own.bottom + _LINE - 3, "middle")
            yield _Label(above, x, own.top - 4, "middle")


def _overlap(a: _Box, b: _Box) -> float:
    """Return the area that two boxes share."""
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    return max(0.0, width) * max(0.0, height)


def _bounds(interval: Interval) -> tuple[float, float]:
    if interval.low is None or interval.high is None:
        return interval.mean, interval.mean
    return interval.low, interval.high


def score_unit(report: StudyReport) -> float:
    """Return how large a score is, so that axes fit it.

    Args:
        report: The report.

    Returns:
        1 for shares, correlations and whatever else has a highest value; the largest score on the leaderboard where
        there is none, as with errors in the user's units.
    """
    if isfinite(find_metric(report.task.metric).high):
        return 1.0
    return max((abs(row.validation.mean) for row in report.leaderboard), default=0.0) or 1.0


def _axis(rows: Sequence[LeaderboardRow], width: float, unit: float) -> Axis:
    bounds = [_bounds(row.validation) for row in rows]
    means = [row.validation.mean for row in rows]
    low = min(*means, *(low for low, _ in bounds))
    high = max(*means, *(high for _, high in bounds))
    # Equal scores still get an axis of some width, on which a difference of 0.01 can be seen.
    margin = max((high - low) * 0.06, 0.02 * unit - (high - low) / 2)
    return Axis(low - margin, high + margin, width)


def _round_step(rough: float) -> float:
    size = 10.0 ** floor(log10(rough))
    for step in (1, 2, 5):
        if step * size >= rough * (1 - 1e-9):
            return step * size
    return 10 * size

"""The geometry of the page's figures: every number here is in the units of the SVG that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from unipelt_search.records.report import Interval, LeaderboardRow, StudyReport
from unipelt_search.specs.methods import METHODS

# A single-hue scale, even in lightness: from nearly white to a deep blue.
_LOW, _HIGH = (237, 243, 251), (8, 48, 107)
_DARK_TEXT_BELOW = 0.48


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

    @property
    def ticks(self) -> tuple[float, ...]:
        """Round values, about four of them."""
        step = _round_step((self.high - self.low) / 4)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return tuple(round(i * step, 10) for i in range(first, last + 1))


@dataclass(frozen=True)
class Point:
    """One method in the figure of score against stored parameters."""

    x: float
    y: float
    low: float | None
    high: float | None
    method: str
    anchor: str
    """`start` or `end`: on which side the name stands."""
    label_y: float
    best: bool
    tied: bool


@dataclass(frozen=True)
class Scatter:
    """Score against stored parameters, on a logarithmic axis."""

    width: float
    height: float
    points: tuple[Point, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Cell:
    """One cell of a heat map."""

    text: str
    colour: str
    dark_text: bool
    title: str


def score_axis(rows: Sequence[LeaderboardRow], width: float) -> Axis:
    """Choose an axis that holds every interval of a leaderboard.

    Args:
        rows: The leaderboard.
        width: Units.

    Returns:
        The axis; it ends a little beyond the outermost value.
    """
    values = [value for row in rows for value in _ends(row.validation)]
    low, high = min(values), max(values)
    margin = max((high - low) * 0.06, 0.005)
    return Axis(low - margin, high + margin, width)


def shade(value: float) -> tuple[str, bool]:
    """Return the colour of a value between 0 and 1, and whether dark text reads well on it."""
    share = min(max(value, 0.0), 1.0)
    colour = "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(_LOW, _HIGH, strict=True))
    return colour, share < _DARK_TEXT_BELOW


def scatter(report: StudyReport, width: float = 620, height: float = 300) -> Scatter | None:
    """Lay out score against stored parameters for the confirmed methods.

    Args:
        report: The report.
        width: Units of the whole figure.
        height: Units of the whole figure.

    Returns:
        The figure; None with fewer than two confirmed methods.
    """
    rows = [row for row in report.leaderboard if row.phase == "confirm" and row.stored_parameters]
    if len(rows) < 2:
        return None
    logs = [log10(row.stored_parameters or 1) for row in rows]
    x_axis = Axis(floor(min(logs)), max(ceil(max(logs)), floor(min(logs)) + 1), width)
    y_axis = score_axis(rows, height)
    points: list[Point] = []
    for row, exponent in sorted(zip(rows, logs, strict=True), key=lambda pair: pair[1]):
        x, y = x_axis.place(exponent), height - y_axis.place(row.validation.mean)
        ends = [height - y_axis.place(end) for end in (row.validation.low, row.validation.high) if end is not None]
        anchor = "end" if x > 0.8 * width else "start"
        # Names of neighbours must not lie on each other.
        label_y = y
        while any(abs(label_y - p.label_y) < 15 and abs(x - p.x) < 110 and p.anchor == anchor for p in points):
            label_y -= 15
        low, high = ends if ends else (None, None)
        tied = row.method in report.verdict.ties
        points.append(Point(x, y, low, high, row.method, anchor, label_y, row.method == report.verdict.method, tied))
    decades = range(int(x_axis.low), int(x_axis.high) + 1)
    return Scatter(
        width, height, tuple(points),
        tuple((x_axis.place(power), _power(power)) for power in decades),
        tuple((height - y_axis.place(tick), f"{tick:g}") for tick in y_axis.ticks),
    )  # fmt: skip


def gate_order(method: str) -> int:
    """Return a sort key that puts methods with more submodules first."""
    return -len(METHODS[method].submodules)


def _ends(interval: Interval) -> tuple[float, ...]:
    return tuple(value for value in (interval.low, interval.mean, interval.high) if value is not None)


def _power(exponent: int) -> str:
    for size, unit in ((9, "G"), (6, "M"), (3, "k")):
        if exponent >= size:
            return f"{10 ** (exponent - size)}{unit}"
    return str(10**exponent)


def _round_step(rough: float) -> float:
    size = 10.0 ** floor(log10(rough))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= rough)

"""How numbers are written in every report."""

from __future__ import annotations

from unipelt_search.records.report import Difference, Interval, LeaderboardRow

NONE = "–"


def score(value: float | None) -> str:
    """Write a score with three decimals."""
    return NONE if value is None else f"{value:.3f}"


def interval(given: Interval | None) -> str:
    """Write a mean, with half the width of its interval where there is one."""
    if given is None:
        return NONE
    if given.low is None or given.high is None:
        return score(given.mean)
    return f"{given.mean:.3f} ± {(given.high - given.low) / 2:.3f}"


def difference(given: Difference | None) -> str:
    """Write a difference with its sign, and half the width of its interval where there is one."""
    if given is None:
        return NONE
    if given.low is None or given.high is None:
        return signed(given.mean)
    return f"{signed(given.mean)} ± {(given.high - given.low) / 2:.3f}"


def signed(value: float) -> str:
    """Write a change in a score with three decimals and a real minus; one that rounds to zero has no sign."""
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text[1:] == "0.000" else text


def count(value: int | None) -> str:
    """Write a number of parameters with thousands separators."""
    return NONE if value is None else f"{value:,}"


def short_count(value: float) -> str:
    """Write a number of parameters with three digits, in thousands, millions or thousands of millions."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def number(value: float | None, digits: int = 1) -> str:
    """Write a plain number."""
    return NONE if value is None else f"{value:,.{digits}f}"


def duration(seconds: float) -> str:
    """Write a duration in its largest sensible units."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 90:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def runs(row: LeaderboardRow) -> str:
    """Say on how many runs a leaderboard row rests."""
    if row.trial is None:
        return NONE
    return str(row.runs) if row.phase == "confirm" else f"{row.runs} ({row.phase})"

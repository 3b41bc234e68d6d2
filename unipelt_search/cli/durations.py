"""Durations as people write and read them: `30m` on the command line, `3 min 20 s` on the screen."""

from __future__ import annotations

import re

from unipelt_search.errors import RequestError

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")


def parse_duration(text: str) -> float:
    """Read a duration such as `90s`, `30m`, `1.5h` or `1h30m`.

    Args:
        text: A number with its unit, the larger unit first.

    Returns:
        Seconds, above 0.

    Raises:
        RequestError: The text is no such duration, or is zero.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    numbers = match.groupdict(default="0") if match else {}
    seconds = sum(float(number) * _UNITS[unit] for unit, number in numbers.items())
    if seconds <= 0:
        raise RequestError(f"--time must be above zero and carry its unit, as in 90s, 30m or 1h30m; got {text!r}.")
    return seconds


def format_duration(seconds: float) -> str:
    """Return a duration as a person reads it.

    Args:
        seconds: Seconds, at least 0.

    Returns:
        `45 s`, `3 min 20 s` or `2 h 05 min`.
    """
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"

"""Durations as people write them on the command line: `30m`."""

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

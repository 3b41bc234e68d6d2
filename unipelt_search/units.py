"""Numbers with the unit that a person reads them in: durations, bytes and differences in accuracy."""

from __future__ import annotations

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")


def format_duration(seconds: float) -> str:
    """Return a duration in its two largest units.

    Args:
        seconds: Seconds, at least 0.

    Returns:
        `45 s`, `3 min 20 s` or `2 h 05 min`; a second unit of 0 is left out.
    """
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return _two_units(rounded // 60, "min", rounded % 60, "s")
    minutes = round(seconds / 60)
    return _two_units(minutes // 60, "h", minutes % 60, "min")


def format_bytes(size: float) -> str:
    """Return a number of bytes in the unit in which it is at least 1.

    Args:
        size: Bytes, at least 0.

    Returns:
        `640 B`, `12 MB` or `1.2 GB`.
    """
    for unit in _BYTE_UNITS:
        if size < 999.5 or unit == _BYTE_UNITS[-1]:
            break
        size /= 1000
    decimals = 1 if size < 9.95 and unit != "B" else 0
    return f"{size:,.{decimals}f} {unit}"


def format_difference(share: float) -> str:
    """Return a difference in a share of the rows, with the digits that an expectation has: `0.06 in accuracy`."""
    digits = 2 if share >= 0.01 else 3
    return f"{share:.{digits}f} in accuracy"


def counted(count: int, noun: str) -> str:
    """Return a number with what it counts, in the plural where it is not one: `1 seed`, `21 trials`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = f" {small:02d} {small_unit}" if small else ""
    return f"{large} {large_unit}{rest}"

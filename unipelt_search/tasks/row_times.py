"""When rows were made: a column of numbers or dates becomes numbers that can be compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

from unipelt_search.errors import DataError
from unipelt_search.tasks.table import Location, Table

_CLOCKS = ("", " %H:%M", " %H:%M:%S")
_DATES: Mapping[str, tuple[str, ...]] = {
    "day first": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y"),
    "month first": ("%m/%d/%Y", "%m-%d-%Y"),
    "year first": ("%Y/%m/%d", "%Y.%m.%d", "%Y-%m", "%Y/%m"),
}
_ADVICE = "Write all of them as numbers, or as dates such as 2026-01-31."


def read_times(tables: Mapping[str, Table], column: str) -> dict[str, tuple[float, ...]]:
    """Read the times of all splits in the one form that all of them have.

    Args:
        tables: The splits, each with this column.
        column: What the column of times is called.

    Returns:
        By split ``(n,)``, numbers that grow with time: those of the column, or seconds.

    Raises:
        DataError: A time is neither a finite number nor a date, the forms are mixed, or days and months cannot be told
            apart.
    """
    written = {name: [_written(cell) for cell in table.cells[column]] for name, table in tables.items()}
    everything = [time for times in written.values() for time in times]
    readings = _readings(everything)
    if not readings:
        locations = [location for table in tables.values() for location in table.locations]
        raise DataError(_complaint(everything, locations, column))
    if any(reading != readings[0] for reading in readings):
        raise DataError(
            f"--order must name a column of times that can be read in one way; {everything[0]!r} in column {column!r} "
            f"may begin with the day or with the month. {_ADVICE}"
        )
    times = iter(readings[0])
    return {name: tuple(next(times) for _ in own) for name, own in written.items()}


def _written(cell: object) -> str:
    """Return a cell as text; dates of a table with types in the ISO form, a missing one empty."""
    if cell is None or cell != cell:  # NaN is not equal to itself
        return ""
    return cell.isoformat() if isinstance(cell, date) else str(cell).strip()


def _readings(written: Sequence[str]) -> list[list[float]]:
    """Return what the times may mean, each a list of numbers; none where no form fits all of them."""
    numbers = _read_with(float, written)
    if numbers is not None:
        return [numbers]
    dates = _read_with(datetime.fromisoformat, written)
    if dates is not None:
        return [dates]
    return list(_other_dates(written))


def _other_dates(written: Sequence[str]) -> Iterator[list[float]]:
    """Yield a reading for each order of day, month and year that fits."""
    for forms in _DATES.values():
        readings = [_read_with(_date_of(form + clock), written) for form in forms for clock in _CLOCKS]
        yield from [reading for reading in readings if reading is not None][:1]


def _read_with(reader: Callable[[str], float | datetime], written: Sequence[str]) -> list[float] | None:
    """Read every time in one form; None where one has another form, or only some have a time zone."""
    try:
        read = [reader(time) for time in written]
    except ValueError:
        return None
    zoned = {value.tzinfo is not None for value in read if isinstance(value, datetime)}
    if len(zoned) > 1:
        return None
    seconds = [_seconds(value) if isinstance(value, datetime) else value for value in read]
    return seconds if all(map(math.isfinite, seconds)) else None


def _date_of(form: str) -> Callable[[str], datetime]:
    return lambda time: datetime.strptime(time, form)


def _seconds(moment: datetime) -> float:
    # Dates without a zone are only compared with each other.
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _complaint(written: Sequence[str], locations: Sequence[Location], column: str) -> str:
    """Name the first time that has no form, or the first that has another one than the first row's."""
    for time, location in zip(written, locations, strict=True):
        if not _readings([time]):
            got = repr(time) if time else "an empty cell"
            return (
                f"--order must name a column of numbers or dates; got {got} in column {column!r} at {location}. "
                f"{_ADVICE}"
            )
        if not _readings([written[0], time]):
            return (
                f"--order must name a column whose times all have one form; got {written[0]!r}, then {time!r} in "
                f"column {column!r} at {location}. {_ADVICE}"
            )
    return f"--order must name a column whose times all have one form; those of column {column!r} have not. {_ADVICE}"

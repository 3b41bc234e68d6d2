"""When rows were made: a column of numbers or dates becomes numbers that can be compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain, islice
from typing import NoReturn

from unipelt_search.errors import DataError
from unipelt_search.tasks.findings import Problem, TableFindings

_CLOCKS = ("", " %H:%M", " %H:%M:%S")
_DATES = (
    "%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m", "%Y/%m",
)  # fmt: skip
_ADVICE = "Write all of them as numbers, or as dates such as 2026-01-31"
NO_TIME = Problem("no_time", "Every row must have a time", "is empty", "Fill in or remove these rows")
BAD_TIME = Problem("bad_time", "Every time must be a number or a date, all in one form", "is not", _ADVICE)


def read_times(found: Mapping[str, TableFindings], column: str) -> dict[str, tuple[float, ...]]:
    """Read the times of all splits in the one form that most of them have.

    Args:
        found: Takes the rows of each split whose time is missing or has another form.
        column: What the column of times is called.

    Returns:
        By split ``(n,)``, numbers that grow with time: those of the column, or seconds; NaN for a row that was found.

    Raises:
        DataError: No time is a finite number or a date, or days and months cannot be told apart.
    """
    written = {name: _all_written(of_table.table.cells[column]) for name, of_table in found.items()}
    everything = list(chain.from_iterable(written.values()))
    readings = list(_best_readings(everything))
    if not readings:
        raise DataError(
            f"--order must name a column of numbers or dates; no cell of column {column!r} is one, and the first is "
            f"{everything[0]!r}. {_ADVICE}."
        )
    if any(reading != readings[0] for reading in readings):
        _refuse_readings(readings, everything, column)
    read = iter(readings[0])
    times = {}
    for name, of_table in found.items():
        own = list(islice(read, len(written[name])))
        _check(own, written[name], of_table, column)
        times[name] = _with_gaps(own)
    return times


def _refuse_readings(readings: Sequence[Sequence[float | None]], written: Sequence[str], column: str) -> NoReturn:
    """Refuse times that fit two forms, or of which as many have one form as another."""
    rows = zip(written, zip(*readings, strict=True), strict=True)
    in_one = {times.index(None): time for time, times in rows if times.count(None) == len(readings) - 1 > 0}
    if len(in_one) > 1:
        first, second = list(in_one.values())[:2]
        raise DataError(
            f"--order must name a column of times in one form; in column {column!r} as many are written like {first!r} "
            f"as like {second!r}. {_ADVICE}."
        )
    raise DataError(
        f"--order must name a column of times that can be read in one way; {written[0]!r} in column {column!r} may "
        f"begin with the day or with the month. {_ADVICE}."
    )


def _all_written(cells: Sequence[object]) -> list[str]:
    return [_written(cell) for cell in cells]


def _with_gaps(times: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if time is None else time for time in times)


def _check(times: Sequence[float | None], written: Sequence[str], found: TableFindings, column: str) -> None:
    for row, time in enumerate(times):
        if time is None:
            text = written[row]
            found.bad_row(row, column, BAD_TIME if text else NO_TIME, text or None)


def _written(cell: object) -> str:
    """Return a cell as text; dates of a table with types in the ISO form, a missing one empty."""
    if cell is None or cell != cell:  # NaN is not equal to itself
        return ""
    return cell.isoformat() if isinstance(cell, date) else str(cell).strip()


def _best_readings(written: Sequence[str]) -> Iterator[list[float | None]]:
    """Yield the readings that fit most times, None for the others; none where no form fits any."""
    most = 1
    best: list[list[float | None]] = []
    for reader in _readers():
        reading = [_read(reader, time) for time in written]
        fitting = len(reading) - reading.count(None)
        if fitting > most:
            best.clear()
        if fitting >= most:
            most = fitting
            best.append(reading)
        if fitting == len(written) and reader in _CERTAIN:
            break
    yield from best


def _read(reader: Callable[[str], float], time: str) -> float | None:
    try:
        read = reader(time)
    except ValueError:
        return None
    return read if math.isfinite(read) else None


def _readers() -> Iterator[Callable[[str], float]]:
    """Yield a reader for each form of a time: it takes a time and raises ValueError where that has another form."""
    yield from _CERTAIN
    for form in _DATES:
        yield _date_reader(form)


def _date_reader(form: str) -> Callable[[str], float]:
    def read(time: str) -> float:
        for clock in _CLOCKS[:-1]:
            try:
                return datetime.strptime(time, form + clock).replace(tzinfo=UTC).timestamp()
            except ValueError:
                continue
        return datetime.strptime(time, form + _CLOCKS[-1]).replace(tzinfo=UTC).timestamp()

    return read


def _local_date(time: str) -> float:
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is not None:
        raise ValueError(time)
    # Dates without a zone are only compared with each other.
    return moment.replace(tzinfo=UTC).timestamp()


def _zoned_date(time: str) -> float:
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(time)
    return moment.timestamp()


_CERTAIN: tuple[Callable[[str], float], ...] = (float, _local_date, _zoned_date)
"""Forms that no other one can be taken for."""

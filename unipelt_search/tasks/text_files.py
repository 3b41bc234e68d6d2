"""Reading CSV, TSV and JSON lines: cells stay as they are written, and every error is named with its line."""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unipelt_search.errors import DataError
from unipelt_search.tasks.table import Location, Table

DELIMITERS = (",", "\t", ";")


def read_csv(path: Path, wanted: Sequence[str] | None = None) -> Table:
    """Read a file of delimited text whose first line names the columns.

    The delimiter is the one of comma, tab and semicolon that cuts the wanted columns out of the first line.

    Args:
        path: The file, UTF-8 with or without a byte order mark, or UTF-16 with one.
        wanted: The columns that are read, as far as they are there; None is all.

    Returns:
        The table; `NA`, `null` and `007` stay as they are written.

    Raises:
        DataError: It is not such text, is empty, or a line does not fit the first one.
    """
    text = _read_text(path)
    if not text.strip():
        raise DataError(f"{path.name} must have a first line that names the columns, and rows; it is empty.")
    csv.field_size_limit(sys.maxsize)  # else a text of more than 131,072 characters is an error
    delimiter = _find_delimiter(text, wanted or (), path)
    lines = _csv_lines(text, delimiter, path)
    header = tuple(name.strip() for name in next(lines)[1])
    columns: dict[str, list[object]] = {name: [] for name in _kept(header, wanted)}
    position = {name: header.index(name) for name in columns}
    locations = []
    for line, fields in lines:
        if len(fields) != len(header):
            raise DataError(
                f"Every row must have as many fields as the first line of {path.name}, {len(header)}; got "
                f"{len(fields)} at line {line}. Put a field that holds {delimiter!r}, a line break or a quote between "
                "double quotes."
            )
        locations.append(Location(path.name, line))
        for name, cells in columns.items():
            cells.append(fields[position[name]])
    return Table(path.name, header, columns, tuple(locations), lines=text.count("\n"))


def read_json_lines(path: Path, wanted: Sequence[str] | None = None) -> Table:
    """Read a file with one JSON object per line, or one JSON array of objects.

    Args:
        path: The file, UTF-8 with or without a byte order mark, or UTF-16 with one.
        wanted: The keys that are read, as far as they are there; None is all.

    Returns:
        The table; numbers stay as they are written.

    Raises:
        DataError: It is not such text or is not JSON.
    """
    text = _read_text(path)
    locations = []
    entries = []
    found: dict[str, None] = {}
    for location, entry in _json_entries(text, path):
        if not isinstance(entry, dict):
            raise DataError(
                f"Every row of {path.name} must be a JSON object; got {type(entry).__name__} at {location.in_source}."
            )
        locations.append(location)
        entries.append(entry)
        found.update(dict.fromkeys(entry))
    cells: dict[str, list[Any]] = {}
    for name in _kept(tuple(found), wanted):
        cells[name] = [entry.get(name) for entry in entries]
    return Table(path.name, tuple(found), cells, tuple(locations), lines=text.count("\n"))


def _kept(found: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the columns that are read."""
    return [name for name in dict.fromkeys(found) if wanted is None or name in wanted]


def _json_entries(text: str, path: Path) -> list[tuple[Location, Any]]:
    """Parse every row, and say where each stands."""
    if text.lstrip().startswith("["):
        array = _parse_json(text, path, 1)
        return [(Location(path.name, number, "row"), entry) for number, entry in enumerate(array, start=1)]
    # Not splitlines(): JSON strings may hold U+2028, which that takes for a line's end.
    lines = enumerate(text.split("\n"), start=1)
    return [(Location(path.name, number), _parse_json(line, path, number)) for number, line in lines if line.strip()]


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # what spreadsheets call Unicode text
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide:
            raise DataError(
                f"{path.name} begins as UTF-16 text but is not: {error.reason} at byte {error.start + 1}. Save it as "
                "UTF-8."
            ) from error
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path.name} must be UTF-8 text; got byte 0x{content[error.start]:02x} at line {line} "
            f"(byte {error.start + 1} of the file). Save it as UTF-8."
        ) from error


def _find_delimiter(text: str, wanted: Sequence[str], path: Path) -> str:
    best = DELIMITERS[0]
    best_rank = (False, 0)
    for delimiter in DELIMITERS:
        header = {name.strip() for name in _first_line(text, delimiter)}
        rank = (header.issuperset(wanted), len(header))
        if rank > best_rank:
            best = delimiter
            best_rank = rank
    return best


def _first_line(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:  # a quoted name followed by another delimiter
        return []


def _csv_lines(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, with the number of the line it begins at."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    try:
        for fields in reader:
            if fields:
                yield begin, fields
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f'A quoted field must end with a quote, and quotes inside it must be doubled (""); {path.name} breaks this '
            f"in the row that begins at line {begin}: {error}."
        ) from error


def _parse_json(text: str, path: Path, line: int) -> Any:
    try:
        # Numbers stay as written: 1 and 1.0 are different labels, as they are in a CSV file.
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        message = getattr(error, "msg", "it is nested too deeply")
        raise DataError(
            f"{path.name} must hold one JSON object per line; line {line + getattr(error, 'lineno', 1) - 1} "
            f"is not JSON: {message}."
        ) from error

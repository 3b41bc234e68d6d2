"""Reading JSON: an object per line, an array of objects, columns, or rows inside of an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from unipelt_search.errors import DataError
from unipelt_search.tasks.nested_keys import nested_value, with_nested_names
from unipelt_search.tasks.table import BrokenRow, Location, Table, WrittenNumber, wanted_names

OpenLines = Callable[[], Iterable[str]]
BY_LINE = (".jsonl", ".ndjson")
FORMS = 'one JSON object per line, an array of objects, {"data": [objects]}, or {"column": [cells], …}'
Entry = tuple[Location, dict[str, Any]]


def json_tables(
    open_lines: OpenLines, name: str, wanted: Sequence[str] | None, rows: int, *, strict: bool = True
) -> Iterator[Table]:
    """Read a JSON file: one object per line at constant memory, anything else whole.

    Args:
        open_lines: Opens the file's lines.
        name: What to call the file.
        wanted: The keys that are read, as far as they are there; None is all of the top level.
        rows: Rows of a piece at most.
        strict: Whether a line that is no JSON object ends the reading; else it is left out and told.

    Yields:
        The table in pieces, at least one; numbers stay as they are written.

    Raises:
        DataError: It is not JSON, or in no form that has rows.
    """
    filled = list(islice((line for line in open_lines() if line.strip()), 2))
    if _has_a_row_per_line(filled, name, wanted):
        for piece in _line_tables(open_lines(), name, wanted, rows):
            if piece.broken and strict:
                raise DataError(piece.broken[0].sentence)
            yield piece
        return
    yield from _document_tables("".join(open_lines()), name, wanted, rows)


def _has_a_row_per_line(filled: list[str], name: str, wanted: Sequence[str] | None) -> bool:
    """Tell whether a file has an object per line, from its first lines that are not blank."""
    if not filled:
        return True
    try:
        value = _parsed(filled[0])
    except (ValueError, RecursionError):
        return False
    if isinstance(value, list):
        return False
    # All of a file may stand on one line.
    if len(filled) > 1 or not isinstance(value, dict):
        return True
    by_name = any(form in name.lower() for form in BY_LINE)
    return by_name and _entries_inside(value, wanted) is None


def _line_tables(lines: Iterable[str], name: str, wanted: Sequence[str] | None, rows: int) -> Iterator[Table]:
    piece = _Piece(name, wanted)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            piece.add_blank()
            continue
        if len(piece) >= rows:
            yield piece.table()
            piece = _Piece(name, wanted, piece)
        row = _row_of_line(line, Location(name, number))
        if isinstance(row, BrokenRow):
            piece.add_broken(row)
        else:
            piece.add(Location(name, number), row)
    yield piece.table()


class _Piece:
    """Rows in a row, of which later ones may have keys that earlier ones have not."""

    def __init__(self, name: str, wanted: Sequence[str] | None, before: _Piece | None = None) -> None:
        self._name = name
        self._wanted = wanted
        self._entries: list[dict[str, Any]] = []
        self._locations: list[Location] = []
        self._blank = 0
        self._broken: list[BrokenRow] = []
        # A key that an earlier piece had at the top is no path into an object in a later one.
        self._names: dict[str, None] = {} if before is None else dict(before._names)

    def __len__(self) -> int:
        return len(self._locations)

    def add_blank(self) -> None:
        self._blank += 1

    def add_broken(self, row: BrokenRow) -> None:
        self._broken.append(row)

    def add(self, location: Location, entry: dict[str, Any]) -> None:
        self._locations.append(location)
        self._entries.append(entry)
        self._names.update(dict.fromkeys(entry))

    def table(self, *, by_line: bool = True) -> Table:
        if not self._names:
            # Nothing is known of the columns of a table without rows, which others refuse as that.
            empty: dict[str, list[object]] = {name: [] for name in self._wanted or ()}
            return Table(self._name, tuple(empty), empty, (), broken=tuple(self._broken))
        names = with_nested_names(self._names, self._entries, self._wanted)
        cells = {}
        for name in wanted_names(self._names if self._wanted is None else names, self._wanted):
            top = name in self._names
            cells[name] = [entry.get(name) if top else nested_value(entry, name) for entry in self._entries]
        return Table(
            self._name,
            tuple(names),
            cells,
            tuple(self._locations),
            # The lines of a file that is one value say nothing of its rows.
            lines=len(self._locations) + self._blank + len(self._broken) if by_line else None,
            other_lines={"blank": self._blank} if self._blank else {},
            broken=tuple(self._broken),
        )


def _document_tables(text: str, name: str, wanted: Sequence[str] | None, rows: int) -> Iterator[Table]:
    entries = _numbered(_entries(_parse_document(text, name), name, wanted), name)
    piece = _Piece(name, wanted)
    for location, entry in entries:
        if len(piece) >= rows:
            yield piece.table(by_line=False)
            piece = _Piece(name, wanted, piece)
        piece.add(location, entry)
    yield piece.table(by_line=False)


def _numbered(rows: Iterable[Any], name: str) -> Iterator[Entry]:
    for number, row in enumerate(rows, start=1):
        location = Location(name, number, "row")
        yield location, _row(row, location)


def _entries(value: Any, name: str, wanted: Sequence[str] | None) -> Iterable[Any]:
    """Find the rows in a JSON value."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise DataError(f"{name} must hold {FORMS}; it holds one {_type_of(value)}.")
    inside = _entries_inside(value, wanted)
    if inside is not None:
        return inside
    lists = [key for key, rows in value.items() if isinstance(rows, list)]
    is_row = any(not isinstance(value.get(name, []), list) for name in wanted or ())
    if len(lists) > 1 and not is_row:
        raise DataError(
            f"{name} must hold {FORMS}; it has several lists, of objects or of different lengths: "
            f"{', '.join(lists[:5])}. Save each table as a file of its own."
        )
    return [value]


def _entries_inside(value: Mapping[str, Any], wanted: Sequence[str] | None) -> Iterable[Any] | None:
    """Find the rows in an object; None where it has none inside, and may be a row itself."""
    if _is_split_form(value):
        return [dict(zip(value["columns"], row, strict=True)) for row in value["data"]]
    columns = _columns(value, wanted)
    if columns is not None:
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    found = [rows for rows in value.values() if _are_rows(rows)]
    if len(found) == 1:
        return found[0]
    # As pandas writes with orient="index": rows by their numbers.
    by_number = bool(value) and all(isinstance(row, dict) and key.isdigit() for key, row in value.items())
    return list(value.values()) if by_number else None


def _is_split_form(value: Mapping[str, Any]) -> bool:
    """Tell whether names and cells stand apart, as pandas writes with ``orient="split"``."""
    columns, rows = value.get("columns"), value.get("data")
    if not isinstance(columns, list) or not isinstance(rows, list):
        return False
    return all(isinstance(row, list) and len(row) == len(columns) for row in rows)


def _columns(value: Mapping[str, Any], wanted: Sequence[str] | None) -> dict[str, list[Any]] | None:
    """Return the columns of an object that maps names to them; None where it does not."""
    asked = [name for name in wanted or () if name in value]
    # What else the object says, such as a version, does not matter where the columns are known.
    chosen = [value[name] for name in asked or value]
    kinds = {type(column) for column in chosen}
    if kinds == {list}:
        return None if _are_rows(chosen[0]) else _columns_of_lists(value, chosen)
    if kinds == {dict} and all(chosen):
        return _columns_by_key(value, chosen, known=bool(asked))
    return None


def _columns_of_lists(value: Mapping[str, Any], chosen: list[list[Any]]) -> dict[str, list[Any]] | None:
    length = len(chosen[0])
    if any(len(column) != length for column in chosen):
        return None
    return {key: column for key, column in value.items() if isinstance(column, list) and len(column) == length}


def _columns_by_key(
    value: Mapping[str, Any], chosen: list[dict[str, Any]], *, known: bool
) -> dict[str, list[Any]] | None:
    """Return the columns whose cells stand under the names of their rows, as pandas writes."""
    keys = list(chosen[0])
    if any(list(column) != keys for column in chosen):
        return None
    # Without knowing a name: columns have numbers inside, rows have names.
    if not known and not all(key.isdigit() for key in keys):
        return None
    alike = {key: column for key, column in value.items() if isinstance(column, dict) and list(column) == keys}
    return {key: list(column.values()) for key, column in alike.items()}


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _row(value: Any, location: Location) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(
            f"Every row of {location.source} must be a JSON object; got {_type_of(value)} at {location.in_source}."
        )
    return value


def _row_of_line(line: str, location: Location) -> dict[str, Any] | BrokenRow:
    try:
        value = _parsed(line)
    except (ValueError, RecursionError) as error:
        message = _message(error)
        return _broken_row(location, f"what is not JSON ({message})", f"is on a line that is not JSON ({message})")
    if isinstance(value, dict):
        return value
    kind = _type_of(value)
    return _broken_row(location, kind, f"is on a line that holds {kind}")


def _broken_row(location: Location, got: str, what: str) -> BrokenRow:
    return BrokenRow(
        location,
        rule=f"Every line of {location.source} must hold a JSON object",
        got=got,
        what=what,
        fix="Correct these lines",
    )


def _parse_document(text: str, name: str) -> Any:
    try:
        return _parsed(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise DataError(f"{name} must hold {FORMS}; line {line} is not JSON: {_message(error)}.") from error


def _message(error: BaseException) -> str:
    return str(getattr(error, "msg", "it is nested too deeply"))


def _parsed(text: str) -> Any:
    # Numbers stay as written: 1 and 1.0 are different labels, as they are in a CSV file.
    return json.loads(text, parse_int=WrittenNumber, parse_float=WrittenNumber, parse_constant=lambda _: None)


def _type_of(value: Any) -> str:
    return "number" if isinstance(value, WrittenNumber) else type(value).__name__

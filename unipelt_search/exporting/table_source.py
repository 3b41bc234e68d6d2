"""The rows that a model shall predict: files that are read piece by piece, as often as they are asked for.

They are read once before anything is predicted or written, so that what is wrong with them is known by then.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unipelt_search.errors import DataError
from unipelt_search.records.notice import MAX_NAMED, Notice
from unipelt_search.tasks.cells import is_unicode, text_of
from unipelt_search.tasks.read import stream_tables
from unipelt_search.tasks.rows import check_names
from unipelt_search.tasks.table import Location, Table

ROWS_AT_ONCE = 512
"""Rows of a piece: batches of similar length are made inside of it."""
Pieces = Callable[[Sequence[str] | None], Iterator[Table]]
"""Reads a source anew: the columns that it is given, or all of them for None."""
Reason = Literal["empty", "invalid_unicode", "no_token", "no_embedding"]
"""Why a row has no prediction: a text is missing or white space only, holds NUL or half of a surrogate pair, has
nothing that the tokenizer takes for a token, or has a token that the backbone has no embedding for."""
_PATTERN = "*?["


@dataclass(frozen=True)
class Survey:
    """What a first reading of a source found."""

    source: str
    """What errors call it."""
    rows: int
    names: tuple[str, ...]
    """All its columns, in the order in which they were met; a name that stands twice in a file is there twice."""
    notices: tuple[Notice, ...] = ()
    """What the user should know about how it was read."""
    blank_lines: int = 0
    """Lines of text files that hold no row, which whoever joins by line must know of."""


def find_files(data: str | Path) -> tuple[Path, ...]:
    """Find the files that a path or a pattern names.

    Args:
        data: A file, or several as ``parts/*.csv``.

    Returns:
        The files in the order of their names; the path itself where no file fits, for the reader to refuse.
    """
    path = Path(data).expanduser()
    if path.exists() or not any(sign in path.name for sign in _PATTERN):
        return (path,)
    found = tuple(Path(name) for name in sorted(glob.glob(str(path))))
    return found or (path,)


def file_pieces(files: Sequence[Path]) -> Pieces:
    """Return what reads files one after the other.

    Args:
        files: The files.

    Returns:
        Each of its calls begins anew.
    """

    def read(wanted: Sequence[str] | None) -> Iterator[Table]:
        for file in files:
            yield from stream_tables(file, wanted, ROWS_AT_ONCE)

    return read


def survey_tables(tables: Iterable[Table], text: Sequence[str], *, refuse_empty: bool = False) -> Survey:
    """Read a source once.

    Args:
        tables: Its pieces, with the text columns at least.
        text: The column with the text, or the two of a text pair.
        refuse_empty: Whether every row must have a text that can be read.

    Returns:
        What was found.

    Raises:
        DataError: A file has no rows or lacks a text column, a cell in it is neither text nor a number, or a row has no
            text where every row must have one.
    """
    names: dict[str, tuple[str, ...]] = {}
    rows: dict[str, int] = {}
    notices: list[Notice] = []
    blank_lines = 0
    unusable = _UnusableRows()
    for table in tables:
        known = names.setdefault(table.source, table.names)
        # An object of JSON may bring a column that others lack.
        if table.names != known:
            names[table.source] = _joined([known, table.names])
        rows[table.source] = rows.get(table.source, 0) + len(table)
        notices += table.notices
        blank_lines += table.other_lines.get("blank", 0)
        unusable.add(table.locations, texts_of(table, text))
    for source, found in names.items():
        if not rows[source]:
            raise DataError(f"{source} must have rows; it is empty.")
        check_names([("--text", name) for name in text], found, source)
    if unusable.rows and refuse_empty:
        raise DataError(
            f"Every row must have a text that can be read; there is none at {unusable}. Fill in or remove these "
            "rows, or let them have no prediction: --on-empty null."
        )
    source = next(iter(names)) if len(names) == 1 else f"the {len(names)} files"
    return Survey(
        source=source,
        rows=sum(rows.values()),
        names=_joined(names.values()),
        notices=tuple(notices),
        blank_lines=blank_lines,
    )


def outer_names(names: Sequence[str], pieces: Pieces) -> tuple[str, ...]:
    """Return the columns of a source that are no part of another one.

    Args:
        names: Its columns, among them those inside of JSON objects, such as ``meta.label`` inside of ``meta``.
        pieces: Reads it.

    Returns:
        The others; a column of a table may be called so as well, and stays.
    """
    known = set(names)
    inner = {name for name in names if not known.isdisjoint(_heads(name))}
    if inner:
        for table in pieces(None):
            inner -= table.cells.keys()
    return tuple(name for name in names if name not in inner)


def unusable_text(texts: Sequence[str]) -> Reason | None:
    """Say why a row's texts cannot be read as training would have read them.

    Args:
        texts: The row's text, or the two of a pair.

    Returns:
        The reason; None where they can be read.
    """
    if not all(text.strip() for text in texts):
        return "empty"
    return None if all(is_unicode(text) for text in texts) else "invalid_unicode"


def texts_of(table: Table, text: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the texts of a table, which may be empty.

    Args:
        table: A piece of a source.
        text: The column with the text, or the two of a text pair.

    Returns:
        One text per row, or the two of a pair; empty where it is missing.

    Raises:
        DataError: A cell is neither text nor a number.
    """
    columns = []
    for name in text:
        texts = [text_of(cell) for cell in column_of(table, name)]
        if None in texts:
            row = texts.index(None)
            found = type(column_of(table, name)[row]).__name__
            raise DataError(f"Column {name!r} must hold text or numbers; got {found} at {table.locations[row]}.")
        columns.append([text or "" for text in texts])
    return list(zip(*columns, strict=True))


def column_of(table: Table, name: str) -> Sequence[object]:
    """Return a column of a table; all of it is missing where a piece of a JSON file lacks what another piece has."""
    return table.cells.get(name, [None] * len(table))


class _UnusableRows:
    """How many rows have no text that can be read, and where the first ones are."""

    def __init__(self) -> None:
        self.rows = 0
        self._first: list[str] = []

    def add(self, locations: Sequence[Location], texts: Sequence[tuple[str, ...]]) -> None:
        for location, row in zip(locations, texts, strict=True):
            if unusable_text(row) is None:
                continue
            self.rows += 1
            if len(self._first) < MAX_NAMED:
                self._first.append(str(location))

    def __str__(self) -> str:
        more = f" and {self.rows - len(self._first)} more" if self.rows > len(self._first) else ""
        return ", ".join(self._first) + more


def _heads(name: str) -> Iterator[str]:
    """Yield what stands before each point of a name."""
    for position, character in enumerate(name):
        if character == ".":
            yield name[:position]


def _joined(names: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Join lists of columns, each once unless it stands twice in the first list that has it."""
    joined: list[str] = []
    for found in names:
        known = set(joined)
        joined += [name for name in found if name not in known]
    return tuple(joined)

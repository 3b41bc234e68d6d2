"""Reading CSV, TSV and the like: cells stay as they are written, and every error is named with its line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from unipelt_search.errors import DataError
from unipelt_search.records.notice import Notice
from unipelt_search.tasks.csv_dialect import Dialect, find_dialect, is_blank, parsed_rows
from unipelt_search.tasks.table import BrokenRow, Location, Table, wanted_names

CHANGED = {
    "literal": "its quotes are characters of the texts",
    "spaced": "quotes enclose its fields although blanks stand before them",
}
"""What the reader of editions 1 and 2 did not know."""
OpenLines = Callable[[], Iterable[str]]


def csv_tables(
    open_lines: OpenLines, name: str, wanted: Sequence[str] | None, rows: int, *, strict: bool = True
) -> Iterator[Table]:
    """Read a file of delimited text whose first line names the columns.

    Args:
        open_lines: Opens the file's lines, each with its end; it is opened more than once.
        name: What to call the file.
        wanted: The columns that are read, as far as they are there; None is all.
        rows: Rows of a piece at most.
        strict: Whether a row with too few or too many fields ends the reading; else it is left out and told.

    Yields:
        The table in pieces, at least one; `NA`, `null` and `007` stay as they are written.

    Raises:
        DataError: It is empty, or a line does not fit the first one.
    """
    dialect = find_dialect(open_lines, name, wanted)
    piece = _Piece(dialect, name, wanted)
    sent = False
    for begin, lines, cells in parsed_rows(open_lines(), dialect):
        if not isinstance(cells, list):
            raise DataError(
                f'A quoted field must end with a quote, and quotes inside it must be doubled (""); {name} breaks this '
                f"in the row that begins at line {begin}: {cells}."
            )
        if piece.full(rows):
            yield piece.table()
            sent = True
            piece = _Piece(dialect, name, wanted, further=True)
        broken = piece.add(begin, lines, cells)
        if broken is not None and strict:
            raise DataError(broken.sentence)
    if piece or not sent:
        yield piece.table()


class _Piece:
    """Rows in a row, with what their lines were."""

    def __init__(self, dialect: Dialect, name: str, wanted: Sequence[str] | None, *, further: bool = False) -> None:
        self._dialect = dialect
        self._name = name
        self._locations: list[Location] = []
        self._cells: dict[str, list[object]] = {column: [] for column in wanted_names(dialect.header, wanted)}
        self._positions = {column: dialect.header.index(column) for column in self._cells}
        self._first = not further
        self._lines = 0 if further else dialect.skipped
        self._blank = 0
        self._broken: list[BrokenRow] = []

    def __len__(self) -> int:
        return self._lines

    def full(self, rows: int) -> bool:
        return len(self._locations) >= rows

    def add(self, begin: int, lines: int, cells: list[str]) -> BrokenRow | None:
        """Add a row; return it if it cannot be read."""
        self._lines += lines
        width = len(self._dialect.header)
        if is_blank(cells, width):
            self._blank += 1
            return None
        if len(cells) != width:
            self._broken.append(self._broken_row(begin, cells))
            return self._broken[-1]
        # As where files were joined. A single column may hold its own name as a text.
        if width > 1 and tuple(cell.strip() for cell in cells) == self._dialect.header:
            self._broken.append(self._header_again(begin))
            return self._broken[-1]
        self._locations.append(Location(self._name, begin))
        for column, position in self._positions.items():
            self._cells[column].append(cells[position])
        return None

    def table(self) -> Table:
        dialect = self._dialect
        other = {
            "blank": self._blank,
            "continued": self._lines - len(self._locations) - self._blank - len(self._broken),
        }
        notices: tuple[Notice, ...] = ()
        if self._first:
            other["header"] = 1
            other["comments"] = dialect.comments
            other["continued"] -= 1 + dialect.comments
            notices = tuple(_notices(dialect, self._name))
        return Table(
            self._name,
            dialect.header,
            self._cells,
            tuple(self._locations),
            lines=self._lines,
            other_lines={what: count for what, count in other.items() if count},
            notices=notices,
            broken=tuple(self._broken),
            changed="" if dialect.as_before else CHANGED[dialect.quoting],
        )

    def _header_again(self, begin: int) -> BrokenRow:
        return BrokenRow(
            Location(self._name, begin),
            rule=f"Only the first line of {self._name} may name the columns",
            got="their names",
            what="names the columns again",
            fix="Remove this line",
        )

    def _broken_row(self, begin: int, cells: list[str]) -> BrokenRow:
        delimiter = self._dialect.delimiter
        fix = f"Put a field that holds {delimiter!r}, a line break or a quote between double quotes"
        if self._dialect.quoting == "literal":
            fix = f"Quotes are text in this file and one line is one row, so no field may hold {delimiter!r}"
        fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
        return BrokenRow(
            Location(self._name, begin),
            rule=f"Every row must have as many fields as the first line of {self._name}, {len(self._dialect.header)}",
            got=fields,
            what=f"is in a row of {fields}",
            fix=fix,
        )


def _notices(dialect: Dialect, name: str) -> Iterator[Notice]:
    if dialect.quoting == "literal":
        yield Notice(code="quotes_are_text", values={"file": name, "swallowed": dialect.swallowed})
    if dialect.quoting == "backslash":
        yield Notice(code="quotes_after_backslash", values={"file": name})

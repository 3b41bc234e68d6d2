"""How a file of delimited text is to be read: its delimiter, where its header stands, and what a quote means in it.

Half of the tools that write such files put cells with a delimiter, a line break or a quote between quotes (RFC 4180);
others write one row per line, and a quote is a character of a text like any other. Read in the wrong way, a stray quote
swallows the following rows with their labels. So both readings are tried on the whole file, and the evidence decides.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Literal

from unipelt_search.errors import DataError

DELIMITERS = (",", "\t", ";", "|")
NO_DELIMITER = "\x1f"
"""For a file of one column: no text holds it."""
SEPARATOR_LINE = re.compile(r'"?sep=(?P<delimiter>.|\\t)"?', re.IGNORECASE)
"""What Excel writes and reads as the first line."""
LOOKED_AT = 50
"""Lines at the beginning among which the header is looked for."""
MAX_CELL = 2**25
"""Characters of a cell at most; a quote that never ends would take the rest of the file into memory."""
MAX_KNOWN = 200
"""Values of a column that are remembered, and characters of one; with more the column is taken for free text."""
MAX_DISPUTED = 2000
"""Lines inside quoted cells that are remembered, to see whether they look like rows."""

Quoting = Literal["none", "doubled", "spaced", "backslash", "literal"]
"""`none`: no cell begins with a quote: nothing to decide. `doubled`: quotes enclose cells, and a quote inside is
doubled. `spaced`: so, but blanks may stand before cells. `backslash`: a quote inside has a backslash before it.
`literal`: one line is one row, and quotes are text."""
OpenLines = Callable[[], Iterable[str]]


@dataclass(frozen=True)
class Dialect:
    """How one file is read."""

    delimiter: str
    header: tuple[str, ...]
    """The names of the columns."""
    skipped: int
    """Lines up to the header, with it."""
    comments: int = 0
    """How many of these begin with `#` or name the delimiter."""
    header_quoted: bool = False
    quoting: Quoting = "none"
    swallowed: int = 0
    """Where quotes are text: lines that would be lost inside of cells if they were not."""
    as_before: bool = True
    """Whether the reader of editions 1 and 2 read the same, or refused the file."""


def find_dialect(open_lines: OpenLines, name: str, wanted: Sequence[str] | None) -> Dialect:
    """Find out how a file is to be read.

    Args:
        open_lines: Opens the file's lines, each with its end.
        name: What to call the file.
        wanted: The columns that are read; None where they are not known.

    Returns:
        The dialect.

    Raises:
        DataError: The file is empty, or its lines cannot be read.
    """
    dialect = _find_header(list(islice(open_lines(), LOOKED_AT)), name, wanted or ())
    # Most files have no quote, and nothing to weigh.
    if not any('"' in line for line in islice(open_lines(), dialect.skipped, None)):
        return dialect
    evidence = _weigh(open_lines(), dialect)
    if evidence.spaced * 2 > evidence.bare:
        spaced = replace(dialect, quoting="spaced", as_before=evidence.quoted_errors > 0)
        if _reads_all(open_lines(), spaced):
            return spaced
    if not evidence.opened:
        return dialect
    return _decide(dialect, evidence, open_lines)


def parsed_rows(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[int, int, list[str] | csv.Error]]:
    """Parse the lines after the header.

    Args:
        lines: All lines of the file.
        dialect: How they are read.

    Yields:
        The number of the line where a row begins, how many lines it takes, and its cells, or what is wrong with it.
    """
    source = _Recorder(lines, dialect.skipped)
    if dialect.quoting == "literal":
        for line in source:
            source.taken.clear()
            yield source.number, 1, _split(line, dialect.delimiter)
        return
    reader = _csv_reader(source, dialect)
    while True:
        begin = source.number + 1
        source.taken.clear()
        cells: list[str] | csv.Error
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells = error
        yield begin, source.number + 1 - begin, cells


def is_blank(cells: Sequence[str], width: int) -> bool:
    """Tell whether a line holds no row: nothing, or white space alone where a row has several cells."""
    return not cells or (len(cells) == 1 < width and not cells[0].strip())


class _Recorder:
    """Lines, counted, with those that the current row has taken."""

    def __init__(self, lines: Iterable[str], skipped: int) -> None:
        self._lines = islice(lines, skipped, None)
        self._unread: str | None = None
        self.number = skipped
        self.taken: list[str] = []

    def __iter__(self) -> _Recorder:
        return self

    def unread(self, line: str) -> None:
        """Let a line be the next one again."""
        self._unread = line
        self.number -= 1

    def __next__(self) -> str:
        line, self._unread = self._unread, None
        if line is None:
            line = next(self._lines)
        self.number += 1
        self.taken.append(line)
        return line


def _csv_reader(lines: Iterable[str], dialect: Dialect) -> Iterator[list[str]]:
    csv.field_size_limit(MAX_CELL)
    if dialect.quoting == "backslash":
        return csv.reader(lines, delimiter=dialect.delimiter, strict=True, doublequote=False, escapechar="\\")
    blanks = dialect.quoting == "spaced"
    return csv.reader(lines, delimiter=dialect.delimiter, strict=True, skipinitialspace=blanks)


def _split(line: str, delimiter: str) -> list[str]:
    text = line.rstrip("\r\n")
    return text.split(delimiter) if text else []


def _find_header(lines: list[str], name: str, wanted: Sequence[str]) -> Dialect:
    """Find the delimiter and the line with the names of the columns."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if not filled:
        raise DataError(f"{name} must have a first line that names the columns, and rows; it is empty.")
    first = filled[0]
    match = SEPARATOR_LINE.fullmatch(lines[first].strip())
    if match is not None and len(filled) > 1:
        delimiter = "\t" if match["delimiter"] == "\\t" else match["delimiter"]
        return _dialect_at(lines, filled[1], delimiter, comments=1) or _refuse_header(name, filled[1])
    found: list[Dialect] = []
    for number, comments in _possible_headers(lines, filled).items():
        found += _dialects_at(lines, number, comments)
    if not found:
        return _refuse_header(name, first)
    tabs = name.lower().endswith(".tsv")
    # The first of equals: a comma rather than what happens to stand in a name, too.
    best = max(found, key=lambda dialect: _rank(dialect, wanted, lines, tabs=tabs))
    if len(best.header) > 1:
        return best
    # One column, whose texts may hold any of the delimiters.
    number = best.skipped - 1
    return _dialect_at(lines, number, NO_DELIMITER, best.comments) or best


def _possible_headers(lines: list[str], filled: list[int]) -> dict[int, int]:
    """Return the lines that may name the columns, each with the number of comments before it."""
    first = filled[0]
    if not lines[first].startswith("#"):
        return {first: 0}
    # A comment may stand before the header, but a column may be called `#text`, too.
    comments = list(takewhile(lambda number: lines[number].startswith("#"), filled))
    after = filled[len(comments) :][:1]
    return {first: 0} | dict.fromkeys(after, len(comments))


def _dialects_at(lines: list[str], number: int, comments: int) -> list[Dialect]:
    """Read the names of the columns with every delimiter that can be."""
    candidates = [_dialect_at(lines, number, delimiter, comments) for delimiter in DELIMITERS]
    return [candidate for candidate in candidates if candidate is not None]


def _rank(dialect: Dialect, wanted: Sequence[str], lines: Sequence[str], *, tabs: bool) -> tuple[int, bool, int, int]:
    """Return how well a delimiter fits: wanted names, the file's ending, lines with as many fields, and names."""
    width = len(dialect.header)
    found = len(set(dialect.header).intersection(wanted))
    if width == 1:
        return found, False, 0, 1
    fitting = [line for line in lines[dialect.skipped :] if line.count(dialect.delimiter) == width - 1]
    return found, tabs and dialect.delimiter == "\t", len(fitting), width


def _refuse_header(name: str, number: int) -> Dialect:
    raise DataError(
        f'A quoted field must end with a quote, and quotes inside it must be doubled (""); {name} breaks this in the '
        f"row that begins at line {number + 1}, which names the columns."
    )


def _dialect_at(lines: list[str], number: int, delimiter: str, comments: int) -> Dialect | None:
    """Read the names of the columns at a line; None where another delimiter follows a quoted name."""
    reader = csv.reader(lines[number:], delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        cells = next(reader)
    except csv.Error:
        return None
    names = tuple(cell.strip() for cell in cells)
    quoted = lines[number].lstrip().startswith('"')
    return Dialect(delimiter, names, number + reader.line_num, comments, header_quoted=quoted)


@dataclass
class _Evidence:
    """What speaks for quotes that enclose cells, and what for quotes that are text."""

    opened: int = 0
    """Rows in which a cell begins with a quote."""
    needed: int = 0
    """Lines that have the right number of cells only if quotes enclose, or have doubled quotes in a quoted cell."""
    wrapped: int = 0
    """Lines that both can read: whole cells in quotes."""
    against: int = 0
    """Lines that have the right number of cells only if quotes are text."""
    bare: int = 0
    """Lines with quotes inside of cells that do not begin with one; who encloses cells would enclose these."""
    spaced: int = 0
    """Lines with blanks before the quote that begins a cell."""
    escaped: bool = False
    """Whether a quote has a backslash before it somewhere."""
    quoted_errors: int = 0
    """Rows that cannot be read if quotes enclose."""
    literal_errors: int = 0
    """Lines that cannot be read if quotes are text."""
    disputed: list[tuple[int, list[str]]] = field(default_factory=list)
    """Cells of the lines of rows that take several, if quotes are text, with the column whose cell goes over lines."""
    columns: list[_KnownColumn] = field(default_factory=list)


class _KnownColumn:
    """What a column holds, from rows that both readings see alike."""

    def __init__(self) -> None:
        self.count = 0
        self._values: set[str] | None = set()
        self._numeric = True

    def add(self, cell: str) -> None:
        self.count += 1
        if self._values is not None:
            self._values.add(cell)
            if len(self._values) > MAX_KNOWN or len(cell) > MAX_KNOWN:
                self._values = None
        self._numeric = self._numeric and _is_number(cell)

    def fits(self, cell: str) -> bool | None:
        """Tell whether a cell may stand in the column; None where the column could hold anything."""
        if self.count == 0:
            return None
        if self._numeric:
            return _is_number(cell)
        if self._values is None or (len(self._values) == self.count and self.count > 2):
            return None
        return cell in self._values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _weigh(lines: Iterable[str], dialect: Dialect) -> _Evidence:
    """Read a file in both ways, and count what fits."""
    width = len(dialect.header)
    evidence = _Evidence(columns=[_KnownColumn() for _ in dialect.header])
    source = _Recorder(lines, dialect.skipped)
    reader = _csv_reader(source, dialect)
    for line in source:
        source.taken.clear()
        if '"' not in line:
            # As the reader would split it, and much faster.
            _weigh_plain(_split(line, dialect.delimiter), evidence)
            continue
        source.unread(line)
        try:
            cells = next(reader)
        except csv.Error:
            _weigh_broken(source.taken, dialect, evidence)
            continue
        if is_blank(cells, width):
            continue
        if len(cells) != width:
            evidence.quoted_errors += 1
        if len(source.taken) > 1:
            _weigh_long(source.taken, cells, dialect, evidence)
        else:
            _weigh_line(source.taken[0], cells, dialect, evidence)
    return evidence


def _is_spaced(cell: str) -> bool:
    return cell.startswith(" ") and cell.lstrip(" ").startswith('"')


def _weigh_plain(cells: list[str], evidence: _Evidence) -> None:
    """Weigh a line without a quote, which both readings see alike."""
    width = len(evidence.columns)
    if is_blank(cells, width):
        return
    if len(cells) == width:
        for column, cell in zip(evidence.columns, cells, strict=True):
            column.add(cell)
    else:
        evidence.quoted_errors += 1
        evidence.literal_errors += 1


def _weigh_broken(lines: list[str], dialect: Dialect, evidence: _Evidence) -> None:
    """Weigh a row that cannot be read if quotes enclose."""
    evidence.opened += 1
    evidence.quoted_errors += 1
    for line in lines:
        evidence.escaped = evidence.escaped or '\\"' in line
        if len(_split(line, dialect.delimiter)) == len(dialect.header):
            evidence.against += 1
        elif line.strip():
            evidence.literal_errors += 1


def _weigh_long(lines: list[str], cells: list[str], dialect: Dialect, evidence: _Evidence) -> None:
    """Weigh a row that takes several lines if quotes enclose."""
    evidence.opened += 1
    long = [column for column, cell in enumerate(cells) if "\n" in cell or "\r" in cell]
    column = long[0] if long else -1
    for line in lines:
        parts = _split(line, dialect.delimiter)
        if parts and len(parts) != len(dialect.header):
            evidence.literal_errors += 1
        if len(evidence.disputed) < MAX_DISPUTED:
            evidence.disputed.append((column, parts))
    if len(cells) == len(dialect.header):
        for number, cell in enumerate(cells):
            if number not in long:
                evidence.columns[number].add(cell)


def _weigh_line(line: str, cells: list[str], dialect: Dialect, evidence: _Evidence) -> None:
    """Weigh a row of one line."""
    width = len(dialect.header)
    evidence.escaped = evidence.escaped or '\\"' in line
    evidence.spaced += any(map(_is_spaced, cells))
    parts = _split(line, dialect.delimiter)
    if parts == cells:
        evidence.bare += 1
        evidence.literal_errors += len(parts) != width
        return
    evidence.opened += 1
    if len(parts) != width:
        evidence.literal_errors += 1
        evidence.needed += len(cells) == width
    elif len(cells) != width:
        evidence.against += 1
    elif any('"' in cell for cell, part in zip(cells, parts, strict=True) if cell != part):
        evidence.needed += 1
    else:
        evidence.wrapped += 1


def _decide(dialect: Dialect, evidence: _Evidence, open_lines: OpenLines) -> Dialect:
    quoted = replace(dialect, quoting="doubled")
    swallowed, inside = _count_swallowed(evidence, dialect.delimiter)
    if evidence.quoted_errors and evidence.escaped:
        escaped = replace(dialect, quoting="backslash")
        if _reads_all(open_lines(), escaped) and not _swallows(open_lines(), escaped):
            return escaped
    if dialect.header_quoted or not _are_text(evidence, swallowed, inside):
        return quoted
    return replace(dialect, quoting="literal", swallowed=swallowed, as_before=evidence.quoted_errors > 0)


def _swallows(lines: Iterable[str], dialect: Dialect) -> bool:
    """Tell whether most lines inside of quoted cells look like rows of their own; texts may hold escaped quotes."""
    swallowed, inside = _count_swallowed(_weigh(lines, dialect), dialect.delimiter)
    return swallowed > inside


def _are_text(evidence: _Evidence, swallowed: int, inside: int) -> bool:
    """Tell whether quotes are text, of a file in which a cell begins with one."""
    if swallowed > inside:
        return True
    if evidence.quoted_errors == 0:
        encloses = bool(evidence.disputed or evidence.needed)
        return not encloses and evidence.bare > evidence.wrapped
    if evidence.literal_errors == 0:
        return evidence.against + evidence.bare + swallowed >= evidence.needed + evidence.wrapped
    # Both ways leave errors; the better way names them by the line where they are.
    return evidence.literal_errors < evidence.quoted_errors


def _count_swallowed(evidence: _Evidence, delimiter: str) -> tuple[int, int]:
    """Count the lines inside of quoted cells that look like rows of their own, and the others."""
    rows = 0
    for column, parts in evidence.disputed:
        rows += _looks_like_a_row(column, parts, evidence.columns, delimiter)
    return rows, len(evidence.disputed) - rows


def _looks_like_a_row(column: int, parts: list[str], columns: list[_KnownColumn], delimiter: str) -> bool:
    if len(parts) != len(columns):
        return False
    fits = [known.fits(part) for known, part in zip(columns, parts, strict=True)]
    if column >= 0:
        fits[column] = None
    if False in fits:
        return False
    # Prose is full of commas, but hardly has a tab: there the number of cells alone says enough.
    return delimiter == "\t" or True in fits


def _reads_all(lines: Iterable[str], dialect: Dialect) -> bool:
    rows = (cells for _, _, cells in parsed_rows(lines, dialect))
    width = len(dialect.header)
    return all(isinstance(cells, list) and (len(cells) == width or is_blank(cells, width)) for cells in rows)

"""A table as a source has it: the wanted columns with their cells, and where each row stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from unipelt_search.records.notice import Notice


class Location(NamedTuple):
    """Where a row stands."""

    source: str
    """The file, or the split of a dataset."""
    number: int
    """Counted from 1."""
    unit: str = "line"
    """What is counted: lines of a text file, or rows."""

    @property
    def in_source(self) -> str:
        """The location for somebody who knows the source, such as ``line 7``."""
        return f"{self.unit} {self.number}"

    def __str__(self) -> str:
        """Return the whole location, such as ``line 7 of train.csv``."""
        return f"{self.in_source} of {self.source}"


@dataclass(frozen=True)
class Table:
    """The rows of one split, as they were read."""

    source: str
    """What errors call it: a file's name, or a split of a dataset."""
    names: tuple[str, ...]
    """All its columns."""
    cells: Mapping[str, Sequence[object]]
    """``(n,)`` for each of the wanted columns that it has: text, numbers, lists of them, or None where missing."""
    locations: tuple[Location, ...]
    """``(n,)``."""
    lines: int | None = None
    """Lines of the text file; None where the source has none."""
    other_lines: Mapping[str, int] = field(default_factory=dict)
    """Lines that are no row: `header`, `comments`, `blank`, and `continued` inside of cells."""
    notices: tuple[Notice, ...] = ()
    """What the user should know about how it was read."""
    as_before: bool = True
    """Whether the reader of editions 1 and 2 read the same, or nothing at all."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.locations)

    def take(self, numbers: Sequence[int]) -> Table:
        """Return the rows with these numbers, counted from 0, in this order."""
        cells = {}
        for name, column in self.cells.items():
            cells[name] = [column[number] for number in numbers]
        locations = tuple(self.locations[number] for number in numbers)
        return replace(self, cells=cells, locations=locations)


@dataclass(frozen=True)
class Tables:
    """The tables of one dataset."""

    name: str
    splits: Mapping[str, Table]
    """`train`, and `validation` and `test` where the source has them."""
    notices: tuple[Notice, ...] = ()


def wanted_names(names: Iterable[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the columns that are read, each once: of those wanted the ones that are there, or all."""
    return [name for name in dict.fromkeys(names) if wanted is None or name in wanted]


def joined_table(pieces: Iterable[Table], source: str | None = None) -> Table:
    """Put pieces of a table together.

    Args:
        pieces: At least one; a column that a piece lacks is missing in its rows.
        source: What to call the table; None is as the first piece.

    Returns:
        The whole table.
    """
    parts = list(pieces)
    first = parts[0]
    if len(parts) == 1:
        return first if source is None else replace(first, source=source)
    # A name that stands twice in a piece stays twice, for the check of the columns to see.
    names = list(first.names)
    for part in parts[1:]:
        names += [name for name in part.names if name not in names]
    cells: dict[str, list[object]] = {}
    for name in dict.fromkeys(name for part in parts for name in part.cells):
        column: list[object] = []
        for part in parts:
            column.extend(part.cells[name] if name in part.cells else [None] * len(part))
        cells[name] = column
    other_lines: Counter[str] = Counter()
    locations: list[Location] = []
    notices: list[Notice] = []
    for part in parts:
        other_lines.update(part.other_lines)
        locations.extend(part.locations)
        notices.extend(part.notices)
    lines = [part.lines for part in parts if part.lines is not None]
    return Table(
        first.source if source is None else source,
        tuple(names),
        cells,
        tuple(locations),
        lines=sum(lines) if lines else None,
        other_lines=dict(other_lines),
        notices=tuple(notices),
        as_before=all(part.as_before for part in parts),
    )

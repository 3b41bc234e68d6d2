"""A table as a source has it: the wanted columns with their cells, and where each row stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple

from unipelt_search.records.notice import Notice


class WrittenNumber(str):
    """A number of JSON as it is written: text, as in other files, that is still known to be no string."""

    __slots__ = ()

    @property
    def value(self) -> int | float:
        """The number."""
        return int(self) if self.lstrip("-").isdigit() else float(self)


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
class BrokenRow:
    """A row that cannot be read, in words that do not depend on where it stands."""

    location: Location
    rule: str
    """What must hold, without a full stop."""
    got: str
    """What was got instead, for an error about this row alone."""
    what: str
    """What is to be said of a column there, for a list of such rows."""
    fix: str
    """What to do, without a full stop."""

    @property
    def sentence(self) -> str:
        """Everything of it."""
        return f"{self.rule}; got {self.got} at {self.location}. {self.fix}."


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
    broken: tuple[BrokenRow, ...] = ()
    """Rows that cannot be read, and are not among the others."""
    changed: str = ""
    """What the reader of editions 1 and 2 read otherwise, for an error; empty where it read the same, or nothing."""

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
    other_lines: Counter[str] = Counter()
    for part in parts:
        other_lines.update(part.other_lines)
    lines = [part.lines for part in parts if part.lines is not None]
    changes = {part.changed: None for part in parts}
    changes.pop("", None)
    return Table(
        source or first.source,
        _joined_names(parts),
        _joined_cells(parts),
        tuple(chain.from_iterable(part.locations for part in parts)),
        lines=sum(lines) if lines else None,
        other_lines=dict(other_lines),
        notices=tuple(chain.from_iterable(part.notices for part in parts)),
        broken=tuple(chain.from_iterable(part.broken for part in parts)),
        changed=" and ".join(changes),
    )


def _joined_cells(parts: Sequence[Table]) -> dict[str, Sequence[object]]:
    cells: dict[str, Sequence[object]] = {}
    for name in dict.fromkeys(chain.from_iterable(part.cells for part in parts)):
        columns = [part.cells.get(name, [None] * len(part)) for part in parts]
        cells[name] = list(chain.from_iterable(columns))
    return cells


def _joined_names(parts: Sequence[Table]) -> tuple[str, ...]:
    # A name that stands twice in a piece stays twice, for the check of the columns to see.
    names = dict.fromkeys(chain.from_iterable(part.names for part in parts))
    first = parts[0].names
    return (*first, *(name for name in names if name not in first))

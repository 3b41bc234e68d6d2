"""A table as a source has it: the wanted columns with their cells, and where each row stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.locations)

    def take(self, numbers: Sequence[int]) -> Table:
        """Return the rows with these numbers, counted from 0, in this order."""
        cells = {}
        for name, column in self.cells.items():
            cells[name] = [column[number] for number in numbers]
        locations = tuple(self.locations[number] for number in numbers)
        return Table(self.source, self.names, cells, locations, self.lines)


@dataclass(frozen=True)
class Tables:
    """The tables of one dataset."""

    name: str
    splits: Mapping[str, Table]
    """`train`, and `validation` and `test` where the source has them."""
    notices: tuple[Notice, ...] = ()

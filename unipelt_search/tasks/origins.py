"""Where the rows of a task's splits stand in what the user gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from unipelt_search.records.row_origins import RowOrigins, RowSource
from unipelt_search.tasks.table import Location


def row_origins(locations: Mapping[Literal["select", "test"], Sequence[Location]]) -> Iterator[RowOrigins]:
    """Write down where rows stand.

    Args:
        locations: Of every row of a split, in its order; empty where nobody knows.

    Yields:
        One entry per split of which it is known.
    """
    for split, of_split in locations.items():
        if of_split:
            yield _of_split(split, of_split)


def _of_split(split: Literal["select", "test"], locations: Sequence[Location]) -> RowOrigins:
    positions: dict[tuple[str, str], int] = {}
    source_of = [positions.setdefault((location.source, location.unit), len(positions)) for location in locations]
    return RowOrigins(
        split=split,
        sources=tuple(RowSource(name=name, unit=unit) for name, unit in positions),
        source_of=tuple(source_of),
        numbers=tuple(location.number for location in locations),
    )

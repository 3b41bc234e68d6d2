"""Where the rows of a task's splits stand in what the user gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from unipelt_search.records.row_origins import RowOrigins, RowSource
from unipelt_search.tasks.table import Place


def row_origins(places: Mapping[Literal["select", "test"], Sequence[Place]]) -> Iterator[RowOrigins]:
    """Write down where rows stand.

    Args:
        places: Of every row of a split, in its order; empty where nobody knows.

    Yields:
        One entry per split of which it is known.
    """
    for split, of_split in places.items():
        if of_split:
            yield _of_split(split, of_split)


def _of_split(split: Literal["select", "test"], places: Sequence[Place]) -> RowOrigins:
    positions: dict[tuple[str, str], int] = {}
    source_of = [positions.setdefault((place.source, place.unit), len(positions)) for place in places]
    return RowOrigins(
        split=split,
        sources=tuple(RowSource(name=name, unit=unit) for name, unit in positions),
        source_of=tuple(source_of),
        numbers=tuple(place.number for place in places),
    )

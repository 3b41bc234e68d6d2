"""Columns inside of objects, named by the keys that lead there, as in ``meta.label``; a column really named so wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unipelt_search.tasks.table import Location, Table

MAX_NAMES = 200
"""Names inside of objects that are listed at most."""
LOOKED_AT = 100
"""Rows whose objects are looked into."""


def nested_value(row: Mapping[str, Any], name: str) -> Any:
    """Return what keys with points between them lead to.

    Args:
        row: Objects inside of each other.
        name: The keys, as in ``meta.label``; a key may hold points itself.

    Returns:
        The value; None where there is none.
    """
    if name in row:
        return row[name]
    head, point, tail = name.partition(".")
    while point:
        inner = row.get(head)
        if isinstance(inner, Mapping):
            found = nested_value(inner, tail)
            if found is not None:
                return found
        more, point, tail = tail.partition(".")
        head = f"{head}.{more}"
    return None


def with_nested_names(
    names: Iterable[str], rows: Sequence[Mapping[str, Any]], wanted: Sequence[str] | None
) -> list[str]:
    """List the columns of rows, with those inside of objects after the others.

    Args:
        names: The keys of the top level.
        rows: The rows.
        wanted: Columns that are asked for; they are looked for in every row, others in the first ones.

    Returns:
        The names.
    """
    found = dict.fromkeys(names)
    for row in rows[:LOOKED_AT]:
        for key, value in row.items():
            if isinstance(value, Mapping) and len(found) < MAX_NAMES:
                found.update(dict.fromkeys(_leaves(value, key)))
    for name in wanted or ():
        if name not in found and any(nested_value(row, name) is not None for row in rows):
            found[name] = None
    return list(found)


def row_table(
    rows: Sequence[Mapping[str, Any]], source: str, wanted: Sequence[str] | None, names: Iterable[str] = ()
) -> Table:
    """Make a table of rows that are objects.

    Args:
        rows: The rows; a key that one lacks is missing there.
        source: What to call them.
        wanted: The keys that are read, as far as they are there; None is all of the top level.
        names: Columns that are known to be there.

    Returns:
        The table.
    """
    top = dict.fromkeys(names)
    for row in rows:
        top.update(dict.fromkeys(row))
    all_names = with_nested_names(top, rows, wanted)
    cells = {}
    for name in top if wanted is None else wanted:
        if name in top:
            cells[name] = [row.get(name) for row in rows]
        elif name in all_names:
            cells[name] = [nested_value(row, name) for row in rows]
    locations = tuple(Location(source, number, "row") for number in range(1, len(rows) + 1))
    return Table(source, tuple(all_names), cells, locations)


def _leaves(value: Mapping[str, Any], start: str) -> list[str]:
    names: list[str] = []
    for key, inner in value.items():
        name = f"{start}.{key}"
        names += _leaves(inner, name) if isinstance(inner, Mapping) else [name]
    return names

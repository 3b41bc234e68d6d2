"""Labels as they are written, for several kinds: names in the order of outputs, and numbers."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def order_names(names: Iterable[str]) -> tuple[str, ...]:
    """Put names into the order of a model's outputs.

    Args:
        names: The names, each once.

    Returns:
        Ascending numbers if all are integers, else alphabetical order.
    """
    found = list(names)
    if all(INTEGER.fullmatch(name) for name in found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))


def positions(names: tuple[str, ...]) -> dict[str, int]:
    """Return the position of every name."""
    return {name: position for position, name in enumerate(names)}


def add_weights(sets: Iterable[tuple[str, ...]], weights: Sequence[float] = ()) -> Mapping[str, float]:
    """Add up what the rows of every name count.

    Args:
        sets: The names of each row.
        weights: What each row counts; none is 1 each.

    Returns:
        The sum of each name that occurs; without weights, its number of rows.
    """
    counts: dict[str, float] = defaultdict(int)
    rows = zip(sets, weights, strict=True) if weights else zip(sets, repeat(1))
    for names, weight in rows:
        for name in names:
            counts[name] += weight
    return counts


def list_names(names: tuple[str, ...]) -> str:
    """Return a numbered list of names in Markdown, from 0."""
    return "\n".join(f"{position}. `{name}`" for position, name in enumerate(names))


def number_of(text: str) -> float | None:
    """Return the finite decimal number that a cell holds, if it holds one."""
    stripped = text.strip()
    number = float(stripped) if NUMBER.fullmatch(stripped) else math.nan
    return number if math.isfinite(number) else None

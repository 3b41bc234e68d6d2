"""Cells of label columns, whatever a reader has made of them: text, a list of texts, or nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

TRUE_WORDS = frozenset(("1", "1.0", "true", "yes", "y", "t"))
FALSE_WORDS = frozenset(("0", "0.0", "false", "no", "n", "f"))
VECTOR_WORDS = frozenset(("0", "0.0", "false", "1", "1.0", "true"))
"""What a vector holds; lists of `yes` and `no` are lists of names."""
MISSING_TYPES = frozenset(("NAType", "NaTType"))
"""What pandas has in place of missing cells; it takes seconds to import, and other sources do not need it."""
WITHHELD = frozenset((None, "-1", "-1.0", "-1.00"))
"""What benchmarks publish in place of labels that they withhold."""

Names = tuple[str | None, ...]
PlainCell = str | Names | None
"""A text, the texts of a list, or None for a missing cell."""


@dataclass(frozen=True)
class NoCell:
    """A value that is neither text nor a number nor a list of them."""

    type_name: str


def plain_cell(value: object) -> PlainCell | NoCell:
    """Return a cell in its plain form.

    Args:
        value: What a reader has found: a value of Python, numpy or pandas.

    Returns:
        Text; of a list, a tuple, a set or an array the texts of its parts; None where it is missing.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return _plain_list(sorted(value, key=repr) if isinstance(value, set | frozenset) else value)
    # Arrays and scalars of numpy, and tensors.
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        inner = to_list()
        return NoCell(type(value).__name__) if inner is value else plain_cell(inner)
    return _plain_scalar(value)


def bit_of(text: str | None) -> bool | None:
    """Return what a cell of a 0/1 column says; None if it says neither."""
    word = "" if text is None else text.strip().casefold()
    if word in TRUE_WORDS:
        return True
    return False if word in FALSE_WORDS else None


def is_vector(parts: Sequence[str | None]) -> bool:
    """Tell whether a list holds zeros and ones only."""
    return all(part is not None and part.strip().casefold() in VECTOR_WORDS for part in parts)


def are_withheld(cells: Sequence[object]) -> bool:
    """Tell whether the cells of a split are what stands for labels that are not there: nothing, or -1, in every row."""
    return all(_is_withheld(plain_cell(cell)) for cell in cells)


def are_blank(cells: Sequence[object]) -> bool:
    """Tell whether the cells of a split hold nothing at all."""
    return all(not cell.strip() if isinstance(cell, str) else cell is None for cell in map(plain_cell, cells))


def _is_withheld(cell: PlainCell | NoCell) -> bool:
    if isinstance(cell, tuple):
        return bool(cell) and all(part in WITHHELD for part in cell)
    if isinstance(cell, str):
        return not cell.strip() or cell.strip() in WITHHELD
    return cell is None


def _plain_list(values: Sequence[object]) -> PlainCell | NoCell:
    parts: list[str | None] = []
    for value in values:
        # Long vectors of plain numbers are frequent.
        part = str(value) if type(value) in (str, int) else plain_cell(value)
        if isinstance(part, tuple | NoCell):
            return NoCell("list of lists" if isinstance(part, tuple) else part.type_name)
        parts.append(part)
    return tuple(parts)


def _plain_scalar(value: object) -> PlainCell | NoCell:
    if value is None or type(value).__name__ in MISSING_TYPES:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Decimal):
        return None if value.is_nan() else format(value, "f")
    return NoCell(type(value).__name__)

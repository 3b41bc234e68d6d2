"""Cells of a table become text; what cannot is among the findings, and stands as an empty text until it is left out."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from unipelt_search.kinds.label_texts import number_of
from unipelt_search.tasks.findings import BAD_UNICODE, BAD_WEIGHT, UNREADABLE, Problem, TableFindings

_BROKEN = re.compile("[\x00\ud800-\udfff]")


def read_cells(name: str, values: Sequence[object], found: TableFindings) -> list[str]:
    """Read a column as text.

    Args:
        name: The column.
        values: ``(n,)``, its cells.
        found: Takes the cells that are no text.

    Returns:
        ``(n,)``, empty where a cell is missing or no text.
    """
    texts = []
    for row, value in enumerate(values):
        text = text_of(value)
        if text is None:
            found.bad_row(row, name, replace(UNREADABLE, what=f"has {type(value).__name__}"))
        elif not is_unicode(text):
            found.bad_row(row, name, BAD_UNICODE)
            text = None
        texts.append(text or "")
    return texts


def check_filled(name: str, texts: Sequence[str], found: TableFindings, problem: Problem) -> None:
    """Check that no cell is empty.

    Args:
        name: The column.
        texts: ``(n,)``, what `read_cells` returned.
        found: Takes the rows where one is.
        problem: What is wrong then.
    """
    bad = found.bad_rows()
    for row, text in enumerate(texts):
        # What was no text is empty as well, and is known already.
        if row not in bad and not text.strip():
            found.bad_row(row, name, problem)


def read_weights(name: str, values: Sequence[object], found: TableFindings) -> list[float]:
    """Read what rows count.

    Args:
        name: The column.
        values: ``(n,)``, its cells.
        found: Takes the rows whose weight is missing or no positive number.

    Returns:
        ``(n,)``; 1 where a weight cannot be used.
    """
    weights = []
    for row, text in enumerate(read_cells(name, values, found)):
        weight = number_of(text)
        if weight is None or weight <= 0:
            weight = 1.0
            found.bad_row(row, name, BAD_WEIGHT, text)
        weights.append(weight)
    return weights


def text_of(value: object) -> str | None:
    """Return a cell as text, empty where it is missing; None if it is nothing that has a text form."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else None


def is_unicode(text: str) -> bool:
    """Tell whether tokenizers and databases take a text: the first refuse half of a surrogate pair, the others NUL."""
    return _BROKEN.search(text) is None

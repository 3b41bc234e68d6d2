"""Cells of a table become text."""

from __future__ import annotations

import math


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
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)

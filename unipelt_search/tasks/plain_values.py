"""Values that have one usual way of writing them, such as dates, as text: so they are read alike from every source."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID


def plain_value(value: Any) -> Any:
    """Return the text of a date, a time, a UUID or of UTF-8 bytes, and anything else as it is.

    Args:
        value: A cell, or a list of values.

    Returns:
        Dates and times as ISO 8601 writes them, with a blank between the two.
    """
    if isinstance(value, list):
        return [plain_value(part) for part in value]
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return _decoded(value) if isinstance(value, bytes) else value


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value

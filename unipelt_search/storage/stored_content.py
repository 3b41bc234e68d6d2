"""Content that is a file in a column, beside its hash: written in one way, and checked in one way when it is read."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from typing import Any, Protocol

from unipelt_search.errors import StorageError


class ContentRow(Protocol):
    """A row with such a column."""

    content: Any
    sha256: Any


def content_columns(file: BytesIO) -> dict[str, Any]:
    """Return the columns of a row that stores a file.

    Args:
        file: The file, complete.

    Returns:
        The file's bytes as `content`, and their hash as `sha256`.
    """
    content = file.getvalue()
    return {"content": content, "sha256": sha256(content).hexdigest()}


def read_content(row: ContentRow, what: str, owner: str) -> BytesIO:
    """Return a file that is stored in a row.

    Args:
        row: The row.
        what: What the file holds, in the plural, for the message.
        owner: Whose it is, for the message.

    Returns:
        The file, at its beginning.

    Raises:
        StorageError: The content is not what was stored.
    """
    if sha256(row.content).hexdigest() != row.sha256:
        raise StorageError(
            f"Stored {what} must be as they were written; those of {owner} are damaged. Restore the database from a "
            "copy."
        )
    return BytesIO(row.content)

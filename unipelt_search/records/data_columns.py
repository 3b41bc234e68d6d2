"""The columns of a dataset with a sample of each, and which of them look like the text and the label."""

from __future__ import annotations

from unipelt_search.frozen import Frozen


class DataColumn(Frozen):
    """One column of a dataset, as its first training rows have it."""

    name: str
    filled: int
    """Rows that have a value."""
    distinct: int
    """Different values among them."""
    sample: str
    """The first value, cut."""


class DataColumns(Frozen):
    """The columns of a dataset."""

    data: str
    rows: int
    """Training rows that were looked at."""
    columns: tuple[DataColumn, ...]
    text: tuple[str, ...]
    """The columns that look like the text, or like the two texts of a pair; none where nothing does."""
    label: tuple[str, ...]
    """The column that looks like the label, or several with one 0/1 column per label; none where none does."""

"""Which columns of a dataset look like its texts and its label: a guess to begin with, never one that is acted upon."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_texts import number_of
from unipelt_search.records.data_columns import DataColumn, DataColumns
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.cells import text_of
from unipelt_search.tasks.data_frames import Frames, read_frames
from unipelt_search.tasks.read import read_tables
from unipelt_search.tasks.table import Table

MAX_ROWS = 1000
"""Training rows that are looked at."""
MAX_SAMPLE = 40
"""Characters of a sample."""
MAX_LABELS = 50
"""Different values of a column that looks like a label; or, where rows are many, a fifth of them."""
FEWEST_WORDS = 3.0
"""Words of a usual value in a column of texts."""
TEXT_NAMES = ("text", "sentence", "review", "comment", "body", "content", "message", "tweet", "title", "query")
LABEL_NAMES = ("label", "labels", "class", "category", "target", "sentiment", "stars", "rating", "score", "intent", "y")
PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("question", "sentence"),
    ("query", "passage"),
)
_NO_COLUMN = "\x00"
"""A name that no column has: a table that is asked for it tells the names of those that it has."""


@dataclass(frozen=True)
class _Cells:
    """The cells of one column that are not empty."""

    name: str
    values: tuple[str, ...]
    """As they are written."""
    form: Literal["plain", "lists", "objects"] = "plain"
    """What they hold: texts and numbers, lists of them, or more columns."""

    @property
    def distinct(self) -> int:
        return len(set(self.values))

    @property
    def words(self) -> float:
        """Words of a usual value."""
        return sum(len(value.split()) for value in self.values) / max(len(self.values), 1)

    @property
    def characters(self) -> float:
        """Characters of a usual value."""
        return sum(map(len, self.values)) / max(len(self.values), 1)

    @property
    def is_numeric(self) -> bool:
        return bool(self.values) and all(number_of(value) is not None for value in self.values)


def find_columns(data: str, frames: Frames | None = None) -> DataColumns:
    """List the columns of a dataset, and guess which are the texts and the label.

    Args:
        data: Where it is, or its name.
        frames: The data itself, a table or one per split.

    Returns:
        The columns of the training rows.

    Raises:
        DataError: The data cannot be found or read.
    """
    names = _names(data, frames)
    if not names:
        raise DataError(f"{data} must have columns and rows; it is empty.")
    try:
        table = _read(data, frames, names)
    except DataError:
        # A column that cannot be read is no text and no label: those that can are looked at one by one.
        table = _read_singly(data, frames, names)
    if not len(table):
        raise DataError(f"{table.source} must have rows; it is empty.")
    columns = [_look_at(name, table.cells[name][:MAX_ROWS]) for name in table.cells]
    text = guess_texts(columns)
    return DataColumns(
        data=data,
        rows=min(len(table), MAX_ROWS),
        columns=tuple(_described(column) for column in columns),
        text=text,
        label=guess_label([column for column in columns if column.name not in text]),
    )


def guess_texts(columns: Sequence[_Cells]) -> tuple[str, ...]:
    """Guess which columns are the texts.

    Args:
        columns: The columns, as they stand in the data.

    Returns:
        The two of a pair whose names say so; else the one with the longest values, of those that are called like a
        text if there are any; none where no column has text.
    """
    plain = [column for column in columns if column.values and column.form == "plain"]
    texts = [column for column in plain if not column.is_numeric]
    pair = _pair({column.name.casefold(): column.name for column in texts})
    if pair:
        return pair
    if not texts:
        return ()
    prose = [column for column in texts if column.words >= FEWEST_WORDS] or texts
    # Of several the one that is called like a text, else the one with the longest values.
    best = max(prose, key=lambda column: (_is_called(column.name, TEXT_NAMES), column.characters))
    return (best.name,)


def _pair(names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of two columns that are called like a pair of texts; none where no two are."""
    for first, second in PAIRS:
        if first in names and second in names:
            return names[first], names[second]
    return ()


def guess_label(columns: Sequence[_Cells]) -> tuple[str, ...]:
    """Guess which column is the label.

    Args:
        columns: Those that are no text, as they stand in the data.

    Returns:
        Of the columns that are called like a label the one that is called so the most; else all that hold 0 and 1 only,
        where there are several; else the last one with the fewest different values, of those with few; none where no
        column could be one.
    """
    varied = list(filter(_may_be_label, columns))
    called = [column for column in varied if _is_called(column.name, LABEL_NAMES)]
    if called:
        return (min(called, key=_rank).name,)
    marks = [column.name for column in varied if set(column.values) == {"0", "1"}]
    if len(marks) > 1:
        return tuple(marks)
    few = [column for column in reversed(varied) if column.distinct <= _most_labels(column)]
    best = min(few, key=lambda column: column.distinct, default=None)
    return () if best is None else (best.name,)


def _may_be_label(column: _Cells) -> bool:
    return column.distinct > 1 and column.form != "objects"


def _rank(column: _Cells) -> tuple[int, bool]:
    # Of `label_id` and `label_text` the names say more than their numbers.
    return LABEL_NAMES.index(_called(column.name, LABEL_NAMES)), column.is_numeric


def _most_labels(column: _Cells) -> int:
    """Return how many different values a column of labels has at most; one that has no value twice has none."""
    return min(max(MAX_LABELS, len(column.values) // 5), len(column.values) - 1)


def _look_at(name: str, cells: Sequence[object]) -> _Cells:
    texts = []
    form: Literal["plain", "lists", "objects"] = "plain"
    for cell in cells:
        text = text_of(cell)
        if text is None:
            text = str(cell)
            form = "objects" if isinstance(cell, Mapping) else "lists"
        if text.strip():
            texts.append(text)
    return _Cells(name, tuple(texts), form)


def _names(data: str, frames: Frames | None) -> tuple[str, ...]:
    try:
        found = _read(data, frames, (_NO_COLUMN,)).names
        return tuple(name for name in dict.fromkeys(found) if name != _NO_COLUMN)
    except DataError:
        # A mapping of columns has no splits, and is known as one by the names of its columns only.
        if isinstance(frames, Mapping) and "train" not in frames:
            return tuple(map(str, frames))
        raise


def _read(data: str, frames: Frames | None, names: Sequence[str]) -> Table:
    """Read columns of the training rows."""
    first, *others = names
    spec = TaskSpec(data=data, text=(first,), label=tuple(others) or (first,))
    tables = read_tables(spec) if frames is None else read_frames(frames, spec)
    return tables.splits["train"]


def _read_singly(data: str, frames: Frames | None, names: Sequence[str]) -> Table:
    cells: dict[str, Sequence[object]] = {}
    table = None
    for name in names:
        with suppress(DataError):
            table = _read(data, frames, (name,))
            cells[name] = table.cells[name]
    if table is None:
        raise DataError(f"A column of {data} must be readable; none of its {len(names)} is.")
    return replace(table, cells=cells)


def _described(column: _Cells) -> DataColumn:
    sample = " ".join(column.values[0].split()) if column.values else ""
    cut = sample if len(sample) <= MAX_SAMPLE else f"{sample[: MAX_SAMPLE - 1]}…"
    return DataColumn(name=column.name, filled=len(column.values), distinct=column.distinct, sample=cut)


def _is_called(name: str, known: Sequence[str]) -> bool:
    return _called(name, known) in known


def _called(name: str, known: Sequence[str]) -> str:
    """Return the first known word in a name, else the name."""
    words = re.split(r"[^a-z]+", name.casefold())
    return next((word for word in known if word in words), name)

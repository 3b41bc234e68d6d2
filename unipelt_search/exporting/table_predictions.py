"""Predictions for the rows of a table, piece by piece: what a model says, beside the columns that were kept.

A row without a usable text has no prediction but a reason. Nothing here holds more rows than one piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import pandas as pd

from unipelt_search.errors import DataError, RequestError
from unipelt_search.records.notice import MAX_NAMED
from unipelt_search.tasks.cells import is_unicode, text_of
from unipelt_search.tasks.rows import check_names
from unipelt_search.tasks.table import Location, Table

if TYPE_CHECKING:
    from unipelt_search.kinds.label_kind import Prediction

ROWS_AT_ONCE = 512
"""Rows of a piece: batches of similar length are made inside of it."""
Reason = Literal["empty", "invalid_unicode", "no_token", "no_embedding"]
"""Why a row has no prediction: a text is missing or white space only, holds NUL or half of a surrogate pair, has
nothing that the tokenizer takes for a token, or has a token that the backbone has no embedding for."""
LABEL, NESTED, REASON = "label", "probabilities", "reason"
"""What the columns of predictions are called where the input has no column of that name."""


class RowModel(Protocol):
    """What predicts rows that may have no usable text."""

    def predict_rows(
        self,
        rows: Sequence[tuple[str, ...]],
    ) -> tuple[list[Prediction | None], list[Reason | None]]:
        """Return each row's prediction or None, and why it has none."""


@dataclass(frozen=True)
class Survey:
    """What a first reading of a source found, before a model is loaded."""

    source: str
    """What errors call it."""
    rows: int
    names: tuple[str, ...]
    """All its columns, in the order in which they were met."""


@dataclass(frozen=True)
class OutputColumns:
    """The columns of a table of predictions."""

    kept: tuple[str, ...]
    """The columns of the input, in its order, or those that tell rows apart."""
    label: str
    """The prediction's own column; `label` unless the input has that name."""
    probabilities: Mapping[str, str]
    """The column of every label's probability, by label, in the order of the model's outputs; empty for numbers."""
    nested: str
    """The name of all probabilities together, where a row may hold a table of its own."""
    reason: str
    """The column that says why a row has no prediction."""

    @property
    def names(self) -> tuple[str, ...]:
        """All columns in order, where every probability has a column of its own."""
        return (*self.kept, self.label, *self.probabilities.values(), self.reason)

    def renamed(self, *, nested: bool) -> dict[str, str]:
        """Return what has another name than usual, since the input has a column of that name.

        Args:
            nested: Whether the probabilities have one name together.

        Returns:
            The names by those that are usual.
        """
        names = {LABEL: self.label}
        if nested:
            names[NESTED] = self.nested
        else:
            names |= {_share_of(label): column for label, column in self.probabilities.items()}
        names[REASON] = self.reason
        return {usual: name for usual, name in names.items() if usual != name}


@dataclass(frozen=True)
class PredictedRows:
    """A piece of a table with what the model says of its rows."""

    cells: Mapping[str, Sequence[object]]
    """``(n,)`` for each kept column."""
    predictions: tuple[Prediction | None, ...]
    """``(n,)``; None where there is none."""
    reasons: tuple[Reason | None, ...]
    """``(n,)``: why a row has no prediction."""
    locations: tuple[Location, ...]
    """``(n,)``."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.locations)


def survey_tables(tables: Iterable[Table], text: Sequence[str], *, refuse_empty: bool = False) -> Survey:
    """Read a source once, so that what is wrong with it is known before anything is predicted or written.

    Args:
        tables: Its pieces, with the text columns at least.
        text: The column with the text, or the two of a text pair.
        refuse_empty: Whether every row must have a text that can be read.

    Returns:
        What was found.

    Raises:
        DataError: There are no rows, a text column is missing, a cell in it is neither text nor a number, or a row has
            no text where every row must have one.
    """
    source = ""
    rows = 0
    names: list[str] = []
    unusable = _UnusableRows()
    for table in tables:
        source = table.source
        rows += len(table)
        # A column that stands there twice is listed twice; an object of JSON may bring one that others lack.
        names += table.names if not names else [name for name in table.names if name not in names]
        unusable.add(table.locations, texts_of(table, text))
    if not rows:
        raise DataError(f"{source} must have rows; it is empty.")
    check_names([("--text", name) for name in text], names, source)
    if unusable.rows and refuse_empty:
        raise DataError(
            f"Every row must have a text that can be read; {source} has none at {unusable}. Fill in or remove these "
            "rows, or let them have no prediction: --on-empty null."
        )
    return Survey(source, rows, tuple(names))


class _UnusableRows:
    """How many rows have no text that can be read, and where the first ones are."""

    def __init__(self) -> None:
        self.rows = 0
        self._first: list[str] = []

    def add(self, locations: Sequence[Location], texts: Sequence[tuple[str, ...]]) -> None:
        for location, row in zip(locations, texts, strict=True):
            if unusable_text(row) is None:
                continue
            self.rows += 1
            if len(self._first) < MAX_NAMED:
                self._first.append(location.in_source)

    def __str__(self) -> str:
        more = f" and {self.rows - len(self._first)} more" if self.rows > len(self._first) else ""
        return ", ".join(self._first) + more


def unusable_text(texts: Sequence[str]) -> Reason | None:
    """Say why a row's texts cannot be read as training would have read them.

    Args:
        texts: The row's text, or the two of a pair.

    Returns:
        The reason; None where they can be read.
    """
    if not all(text.strip() for text in texts):
        return "empty"
    return None if all(is_unicode(text) for text in texts) else "invalid_unicode"


def check_text_columns(text: Sequence[str], trained_on: Sequence[str]) -> tuple[str, ...]:
    """Check how many text columns are named.

    Args:
        text: The columns that the user named; none for those of the training data.
        trained_on: The columns with the model's texts in the training data.

    Returns:
        The columns to read.

    Raises:
        RequestError: The model takes another number of texts.
    """
    columns = tuple(text or trained_on)
    if len(columns) != len(trained_on):
        raise RequestError(f"--text must name {len(trained_on)} columns for this model; got {len(columns)}.")
    return columns


def output_columns(
    found: Sequence[str],
    ids: Sequence[str],
    labels: Sequence[str],
    source: str,
) -> OutputColumns:
    """Choose the columns of a table of predictions.

    Args:
        found: The input's columns.
        ids: The columns that are kept; none for all.
        labels: What can be predicted, in order.
        source: What to call the input.

    Returns:
        The columns. A prediction's column gives way where the input has its name.

    Raises:
        RequestError: A column that shall be kept is missing, or stands there twice.
    """
    check_names([("--id", name) for name in ids], found, source)
    kept = tuple(dict.fromkeys(ids)) or tuple(found)
    twice = [name for name in kept if kept.count(name) > 1]
    if twice:
        raise RequestError(
            f"A column that is kept must stand once in {source}; {twice[0]!r} stands there {len(twice)} times. "
            "Rename it, or keep other columns only, with --id."
        )
    taken = set(kept)
    return OutputColumns(
        kept=kept,
        label=_free_name(LABEL, taken),
        probabilities={label: _free_name(_share_of(label), taken) for label in labels},
        nested=_free_name(NESTED, taken),
        reason=_free_name(REASON, taken),
    )


def predict_tables(
    model: RowModel,
    tables: Iterable[Table],
    text: Sequence[str],
    kept: Sequence[str],
) -> Iterator[PredictedRows]:
    """Predict the rows of tables, one table after the other.

    Args:
        model: The model.
        tables: Pieces of a source, of any number of rows each; they have the text columns and those that are kept.
        text: The column with the text, or the two of a text pair.
        kept: The columns that are kept.

    Yields:
        For each piece its rows with their predictions, in order.
    """
    for table in tables:
        predictions, reasons = model.predict_rows(texts_of(table, text))
        yield PredictedRows(
            cells={name: _column(table, name) for name in kept},
            predictions=tuple(predictions),
            reasons=tuple(reasons),
            locations=table.locations,
        )


def predicted_frame(rows: PredictedRows, columns: OutputColumns, begin: int) -> pd.DataFrame:
    """Return rows with their predictions as a data frame.

    Args:
        rows: The rows.
        columns: The columns.
        begin: The number of the first row.

    Returns:
        One row each, a column for each probability; missing where there is no prediction.
    """
    cells: dict[str, Sequence[object]] = dict(rows.cells)
    cells[columns.label] = [None if found is None else found.label for found in rows.predictions]
    shares = [(found and found.probabilities) or {} for found in rows.predictions]
    for label, name in columns.probabilities.items():
        cells[name] = [share.get(label, math.nan) for share in shares]
    cells[columns.reason] = rows.reasons
    index = pd.RangeIndex(begin, begin + len(rows))
    # Text and labels as they are, of whatever type: a missing one is None and no other column becomes another.
    series = {name: pd.Series(list(column), index, dtype=_series_type(name, columns)) for name, column in cells.items()}
    return pd.DataFrame(series, index)


def _series_type(name: str, columns: OutputColumns) -> str:
    return "float64" if name in columns.probabilities.values() else "object"


def texts_of(table: Table, text: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the texts of a table, which may be empty.

    Args:
        table: A piece of a source.
        text: The column with the text, or the two of a text pair.

    Returns:
        One text per row, or the two of a pair; empty where it is missing.

    Raises:
        DataError: A cell is neither text nor a number.
    """
    columns = []
    for name in text:
        texts = [text_of(cell) for cell in _column(table, name)]
        if None in texts:
            row = texts.index(None)
            found = type(_column(table, name)[row]).__name__
            raise DataError(f"Column {name!r} must hold text or numbers; got {found} at {table.locations[row]}.")
        columns.append([text or "" for text in texts])
    return list(zip(*columns, strict=True))


def _column(table: Table, name: str) -> Sequence[object]:
    # A JSON file's objects need not have every key, so that a piece may lack one that another piece has.
    return table.cells.get(name, [None] * len(table))


def _share_of(label: str) -> str:
    return f"probability of {label}"


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    free = name
    number = 1
    while free in taken:
        free = f"predicted {name}" if number == 1 else f"predicted {name} ({number})"
        number += 1
    taken.add(free)
    return free

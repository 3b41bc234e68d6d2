"""Predictions for the rows of a table, piece by piece: what a model says, beside the columns that were kept.

A row without a usable text has no prediction but a reason. Nothing here holds more rows than one piece.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from unipelt_search.errors import RequestError
from unipelt_search.exporting.table_source import Pieces, Reason, Survey, column_of, outer_names, texts_of
from unipelt_search.tasks.rows import check_names
from unipelt_search.tasks.table import Location, Table

if TYPE_CHECKING:
    from unipelt_search.kinds.label_kind import Prediction

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


def kept_columns(survey: Survey, pieces: Pieces, ids: Sequence[str]) -> tuple[str, ...]:
    """Choose the columns of the input that are kept.

    Args:
        survey: What is known of the input.
        pieces: Reads it.
        ids: Those that the user named; none for all.

    Returns:
        The columns, each once.

    Raises:
        DataError: A column of ``ids`` is missing, or stands there twice.
        RequestError: Another column that would be kept stands there twice.
    """
    check_names([("--id", name) for name in ids], survey.names, survey.source)
    if ids:
        return tuple(dict.fromkeys(ids))
    kept = outer_names(survey.names, pieces)
    twice = [name for name, count in Counter(kept).items() if count > 1]
    if twice:
        raise RequestError(
            f"A column that is kept must stand once in {survey.source}; {twice[0]!r} stands there "
            f"{kept.count(twice[0])} times. Rename it, or keep other columns only, with --id."
        )
    return kept


def output_columns(kept: Sequence[str], labels: Sequence[str]) -> OutputColumns:
    """Name the columns of a table of predictions.

    Args:
        kept: The columns of the input that are kept.
        labels: What can be predicted, in order.

    Returns:
        The columns. A prediction's column gives way where the input has its name.
    """
    taken = set(kept)
    return OutputColumns(
        kept=tuple(kept),
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
            cells={name: column_of(table, name) for name in kept},
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
    numbers = set(columns.probabilities.values())
    series = {}
    for name, column in cells.items():
        kind = "float64" if name in numbers else "object"
        series[name] = pd.Series(list(column), index, dtype=kind)
    return pd.DataFrame(series, index)


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

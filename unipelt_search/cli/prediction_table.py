"""Predictions as text: CSV, TSV, JSON and JSON lines, piece by piece, every number and label exactly as it is."""

from __future__ import annotations

import base64
import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from unipelt_search.tasks.table import WrittenNumber

if TYPE_CHECKING:
    from unipelt_search.exporting.table_predictions import OutputColumns, PredictedRows
    from unipelt_search.kinds.label_kind import Prediction

TextFormat = Literal["csv", "tsv", "json", "jsonl"]
DELIMITERS: dict[str, str] = {"csv": ",", "tsv": "\t"}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# The last four are the wide forms that spreadsheets with East Asian settings take for the first four.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
SET_SEPARATOR = "|"
"""Stands between the labels of a row in a cell."""


class TextForm(Protocol):
    """How predictions are written as text."""

    def begin(self) -> str:
        """Return what stands before the first row."""

    def rows(self, rows: PredictedRows) -> str:
        """Return some rows, after those before."""

    def end(self) -> str:
        """Return what stands after the last row."""


class CsvForm:
    """One line for each row, with a column for each probability."""

    def __init__(self, columns: OutputColumns, delimiter: str, *, safe: bool) -> None:
        """Take what is written.

        Args:
            columns: The columns.
            delimiter: What stands between two cells.
            safe: Whether an apostrophe stands before a cell that a spreadsheet would take for a formula.
        """
        self._columns = columns
        self._delimiter = delimiter
        self._safe = safe
        self.formulas = 0
        """Cells so far that a spreadsheet would take for a formula."""
        self.first_formula = ""
        """Where the first of them stands."""

    def begin(self) -> str:
        """Return the line that names the columns."""
        return self._lines([(list(self._columns.names), "the first line")])

    def rows(self, rows: PredictedRows) -> str:
        """Return a line for each row; a missing cell, like a missing prediction, is empty."""
        cells = []
        for index, location in enumerate(rows.locations):
            kept = [cell_text(column[index]) for column in rows.cells.values()]
            own = self._own_cells(rows, index)
            cells.append(([*kept, *own], str(location)))
        return self._lines(cells)

    def end(self) -> str:
        """Return nothing."""
        return ""

    def _own_cells(self, rows: PredictedRows, index: int) -> Iterator[str]:
        prediction = rows.predictions[index]
        yield "" if prediction is None else label_text(prediction.label)
        shares = (prediction and prediction.probabilities) or {}
        for label in self._columns.probabilities:
            yield cell_text(shares.get(label))
        yield rows.reasons[index] or ""

    def _lines(self, rows: Sequence[tuple[list[str], str]]) -> str:
        lines = _Lines()
        # Python quotes a cell with a character of the line's end, and a lone carriage return must be quoted as well.
        table = csv.writer(lines, delimiter=self._delimiter, lineterminator=_Lines.end)
        for cells, location in rows:
            risky = [position for position, cell in enumerate(cells) if is_formula(cell)]
            if risky and not self.formulas:
                self.first_formula = f"column {self._columns.names[risky[0]]!r} at {location}"
            self.formulas += len(risky)
            if self._safe:
                for position in risky:
                    cells[position] = f"'{cells[position]}"
            table.writerow(cells)
        return "".join(lines.written)


class _Lines:
    """What `csv` writes to, which ends lines as Unix does."""

    end = "\r\n"

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(f"{line.removesuffix(self.end)}\n")


class JsonForm:
    """One object for each row, its probabilities in an object of their own."""

    def __init__(self, columns: OutputColumns, *, lines: bool) -> None:
        """Take what is written.

        Args:
            columns: The columns.
            lines: Whether every object is a document of its own; else they are one array.
        """
        self._columns = columns
        self._lines = lines
        self._first = True

    def begin(self) -> str:
        """Return the beginning of the array."""
        return "" if self._lines else "["

    def rows(self, rows: PredictedRows) -> str:
        """Return the objects of some rows, each in a line of its own."""
        parts = []
        for index in range(len(rows)):
            entry = json.dumps(self._entry(rows, index), ensure_ascii=False, allow_nan=False)
            if self._lines:
                parts.append(f"{entry}\n")
            else:
                parts.append(f"\n{entry}" if self._first else f",\n{entry}")
            self._first = False
        return "".join(parts)

    def end(self) -> str:
        """Return the end of the array."""
        return "" if self._lines else "\n]\n"

    def _entry(self, rows: PredictedRows, index: int) -> dict[str, Any]:
        prediction = rows.predictions[index]
        entry = {name: json_value(column[index]) for name, column in rows.cells.items()}
        entry[self._columns.label] = None if prediction is None else json_value(prediction.label)
        entry[self._columns.nested] = None if prediction is None else json_value(prediction.probabilities)
        entry[self._columns.reason] = rows.reasons[index]
        return entry


def text_form(form: TextFormat, columns: OutputColumns, *, safe: bool) -> CsvForm | JsonForm:
    """Choose how predictions are written.

    Args:
        form: The format.
        columns: The columns.
        safe: Whether no cell of CSV or TSV may be a formula to a spreadsheet.

    Returns:
        What writes them.
    """
    if form in DELIMITERS:
        return CsvForm(columns, DELIMITERS[form], safe=safe)
    return JsonForm(columns, lines=form == "jsonl")


def prediction_lines(prediction: Prediction) -> str:
    """Say a single prediction: what is predicted, then every label's probability, the largest first."""
    lines = [label_text(prediction.label) or "no label"]
    shares = prediction.probabilities or {}
    for label in sorted(shares, key=lambda label: -shares[label]):
        lines.append(f"probability of {label}: {shares[label]!r}")
    return "\n".join(lines)


def label_text(label: str | float | tuple[str, ...]) -> str:
    """Return what is predicted as a cell: a label, labels with ``|`` between them, or every digit of a number."""
    if isinstance(label, tuple):
        return SET_SEPARATOR.join(label)
    return label if isinstance(label, str) else repr(float(label))


def is_formula(cell: str) -> bool:
    """Tell whether a spreadsheet would take a cell for a formula; a number is none."""
    return cell.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(cell)


def cell_text(cell: object) -> str:
    """Return a cell of the input as text, exactly; empty where it is missing, JSON where it holds several things."""
    if isinstance(cell, str):
        return str(cell)
    value = json_value(cell)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def json_value(cell: Any) -> Any:
    """Return a cell as JSON has it: what JSON has no form for becomes text, and no number becomes null."""
    if hasattr(cell, "tolist"):  # of NumPy, alone or many
        cell = cell.tolist()
    if isinstance(cell, WrittenNumber):
        cell = cell.value
    if isinstance(cell, float):
        return _finite(cell)
    if cell is None or isinstance(cell, str | bool | int):
        return cell
    if isinstance(cell, Mapping):
        return {str(name): json_value(value) for name, value in cell.items()}
    if isinstance(cell, list | tuple | set):
        return [json_value(value) for value in cell]
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode("ascii")
    return _time_text(cell) if isinstance(cell, date | datetime | time | timedelta) else str(cell)


def with_numbers(cell: Any) -> Any:
    """Return a cell with numbers in place of those that are known as they were written."""
    if isinstance(cell, WrittenNumber):
        return cell.value
    if isinstance(cell, list):
        return [with_numbers(value) for value in cell]
    if isinstance(cell, dict):
        return {name: with_numbers(value) for name, value in cell.items()}
    return cell


def _finite(number: float) -> float | str | None:
    if math.isnan(number):
        return None
    return number if math.isfinite(number) else str(number)


def _time_text(moment: date | datetime | time | timedelta) -> str:
    # A date of pandas that is missing is a datetime that is no time.
    return str(moment) if isinstance(moment, timedelta) else moment.isoformat()

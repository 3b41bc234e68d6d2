"""Where predictions go and in which form: stdout, or a new file."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from unipelt_search.cli.new_file import new_file, writing
from unipelt_search.cli.prediction_parquet import ColumnTypes, ParquetPredictions
from unipelt_search.cli.prediction_table import DELIMITERS, CsvForm, TextForm, text_form
from unipelt_search.errors import RequestError
from unipelt_search.exporting.table_predictions import OutputColumns, PredictedRows
from unipelt_search.kinds.label_kind import Target

PredictionFormat = Literal["csv", "tsv", "json", "jsonl", "parquet"]
_FORMATS: dict[str, PredictionFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_OTHER_COMPRESSION = (".bz2", ".xz", ".zip", ".zst")
Write = Callable[[PredictedRows], None]


@dataclass(frozen=True)
class OutputForm:
    """How predictions are written."""

    name: PredictionFormat
    compressed: bool = False
    """Whether the file is compressed with gzip."""
    safe: bool = False
    """Whether no cell may be a formula to a spreadsheet."""

    @property
    def nested(self) -> bool:
        """Whether all probabilities of a row have one name together."""
        return self.name in {"json", "jsonl"}


def choose_form(asked: PredictionFormat | None, out: Path | None, *, safe: bool) -> OutputForm:
    """Choose the form of the output.

    Args:
        asked: The format that the user named.
        out: The file to write; its name decides where no format is named. None is stdout.
        safe: Whether the user wants no cell to be a formula.

    Returns:
        The form; CSV where nothing says another.

    Raises:
        RequestError: The options contradict each other, or the file would be compressed in another way than gzip.
    """
    named, compressed = _form_of_name(out)
    form = asked or named
    if form == "parquet" and out is None:
        raise RequestError("--format parquet needs a file; got none. Name it with --out.")
    if form == "parquet" and compressed:
        raise RequestError(f"A Parquet file is compressed inside; got {str(out)!r}. Leave out .gz.")
    if safe and form not in DELIMITERS:
        raise RequestError(
            f"--csv-safe changes cells of {' and '.join(DELIMITERS)} only; got {form}, whose cells are no formulas. "
            "Leave it out."
        )
    return OutputForm(form, compressed=compressed, safe=safe)


def _form_of_name(out: Path | None) -> tuple[PredictionFormat, bool]:
    """Return the format that a file's name says, and whether it says that the file is compressed."""
    if out is None:
        return "csv", False
    suffixes = [suffix.lower() for suffix in out.suffixes]
    if suffixes and suffixes[-1] in _OTHER_COMPRESSION:
        raise RequestError(f"--out can be compressed with gzip only (.gz); got {str(out)!r}. Compress it afterwards.")
    compressed = suffixes[-1:] == [".gz"]
    if compressed:
        suffixes.pop()
    return _FORMATS.get("".join(suffixes[-1:]), "csv"), compressed


class PredictionOutput:
    """What writes predictions, and what it noticed while it wrote."""

    def __init__(self, form: OutputForm, columns: OutputColumns, types: ColumnTypes, target: Target) -> None:
        """Take what is written.

        Args:
            form: How.
            columns: The columns.
            types: The types of the kept columns, for Parquet.
            target: What the model predicts.
        """
        self._form = form
        self._columns = columns
        self._types = types
        self._target = target
        self._text: TextForm | None = None
        if form.name != "parquet":
            self._text = text_form(form.name, columns, safe=form.safe)

    @property
    def formulas(self) -> tuple[int, str]:
        """How many cells a spreadsheet would take for a formula, and where the first of them stands."""
        return (self._text.formulas, self._text.first_formula) if isinstance(self._text, CsvForm) else (0, "")

    @contextmanager
    def open(self, out: Path | None) -> Iterator[Write]:
        """Open the output.

        Args:
            out: The file, which is there when all has been written, and not before; None is stdout.

        Yields:
            What writes some rows after those before.

        Raises:
            RequestError: The form needs a file.
            MachineError: The file cannot be written.
        """
        if out is None:
            with self._as_text(_to_stdout) as write:
                yield write
        else:
            with new_file(out) as file, self._in_file(file, out) as write:
                yield write

    @contextmanager
    def _in_file(self, file: BinaryIO, out: Path) -> Iterator[Write]:
        if self._text is None:
            parquet = ParquetPredictions(file, self._columns, self._types, self._target)

            def write_rows(rows: PredictedRows) -> None:
                with writing(out):
                    parquet.write(rows)

            try:
                yield write_rows
            finally:
                with writing(out):
                    parquet.close()
            return
        # Without a name and a time the same rows give the same bytes.
        packed = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if self._form.compressed else None

        def emit(text: str) -> None:
            with writing(out):
                (packed or file).write(_encoded(text))

        with self._as_text(emit) as write:
            yield write
        if packed is not None:
            with writing(out):
                packed.close()

    @contextmanager
    def _as_text(self, emit: Callable[[str], None]) -> Iterator[Write]:
        form = self._text
        if form is None:
            raise RequestError(f"stdout takes text; got {self._form.name}. Name a file with --out.")
        # Written with the first rows, so that nothing is where these cannot be predicted.
        before = [form.begin()]

        def write(rows: PredictedRows) -> None:
            emit("".join((*before, form.rows(rows))))
            before.clear()

        yield write
        emit("".join((*before, form.end())))


def _encoded(text: str) -> bytes:
    # Half of a surrogate pair, which JSON can hold, is no UTF-8: it is written as its escape.
    return text.encode("utf-8", "backslashreplace")


def _to_stdout(text: str) -> None:
    sys.stdout.write(_encoded(text).decode("utf-8"))
    sys.stdout.flush()

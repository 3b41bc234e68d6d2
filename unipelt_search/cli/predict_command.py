"""The command that uses an exported model: `predict`."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unipelt_search.cli import options
from unipelt_search.cli.new_file import check_new_file
from unipelt_search.errors import DataError, RequestError
from unipelt_search.specs.option import Option

if TYPE_CHECKING:
    from unipelt_search.cli.prediction_output import PredictionOutput
    from unipelt_search.exporting.table_predictions import PredictedRows
    from unipelt_search.exporting.table_source import Pieces, Survey
    from unipelt_search.tasks.table import Table

Advance = Callable[[int], None]
Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TEXT]...", help="One text to predict, or the two of a text pair; else --data."),
]


@dataclass(frozen=True)
class Input:
    """The rows that are predicted."""

    data: Annotated[
        Path | None,
        Option(
            "--data",
            metavar="FILE",
            help="A table as `run` reads it, or several as 'parts/*.csv'; a label column is not needed.",
        ),
    ] = None
    text: Annotated[
        list[str] | None,
        Option("--text", metavar="COL", help="Column with the text; twice for a text pair. Default: as in the study."),
    ] = None
    ids: Annotated[
        list[str] | None,
        Option(
            "--id",
            metavar="COL",
            help="Keep this column of the input only; may be given several times. Default: all columns are kept.",
        ),
    ] = None
    on_empty: Annotated[
        Literal["null", "refuse"],
        Option(
            "--on-empty",
            help="What a row without a text gets: no prediction, with a reason; or the whole file is refused.",
        ),
    ] = "null"


@dataclass(frozen=True)
class Output:
    """The predictions."""

    form: Annotated[
        Literal["csv", "tsv", "json", "jsonl", "parquet"] | None,
        Option("--format", help="How the predictions are written. Default: as the name of --out says, else csv."),
    ] = None
    out: Annotated[
        Path | None,
        Option("--out", metavar="FILE", help="Write to this new file, not to stdout; a name in .gz compresses it."),
    ] = None
    force: Annotated[bool, Option("--force", help="Replace the file of --out if it is there.")] = False
    csv_safe: Annotated[
        bool,
        Option(
            "--csv-safe",
            help="In CSV, put an apostrophe before cells that a spreadsheet would take for a formula.",
            details="Without it every cell is exact.",
        ),
    ] = False
    quiet: options.Quiet = False


def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `export` wrote.")],
    texts: Texts = None,
    *,
    source: Input,
    output: Output,
    device: Annotated[Literal["cpu", "cuda"], Option("--device", help="Where the model runs.")] = "cpu",
    backbone: Annotated[
        str | None,
        Option(
            "--backbone",
            metavar="NAME|DIR",
            help="The backbone's new location, if its folder has moved.",
            details="A different backbone is refused.",
        ),
    ] = None,
) -> None:
    """Predict every row of a file, in its order: its columns, the label, and every label's probability. Or one text.

    Examples:

        unipelt-search predict demo-model "It broke after two days."

        unipelt-search predict demo-model --data texts.csv

        unipelt-search predict demo-model --data new.jsonl --text body --id key --out predictions.parquet
    """
    from unipelt_search import api
    from unipelt_search.cli.prediction_output import PredictionOutput, choose_form
    from unipelt_search.cli.prediction_parquet import ColumnTypes
    from unipelt_search.exporting.saved_model import read_description
    from unipelt_search.exporting.table_predictions import (
        check_text_columns,
        kept_columns,
        output_columns,
        predict_tables,
    )
    from unipelt_search.exporting.table_source import column_of, survey_tables

    form = choose_form(output.form, output.out, safe=output.csv_safe)
    _check_output(output, folder, source)
    task = read_description(folder).task
    text = check_text_columns(source.text or (), task.text)
    pieces = _pieces(source, texts, text)
    ids = tuple(source.ids or ())
    types = ColumnTypes()
    # The input is read twice, so that what is wrong with it is known before a model is loaded and a row is written.
    with _progress("reading", None, output) as advance:
        tables = _watched(pieces((*ids, *text)), advance)
        survey = survey_tables(tables, text, refuse_empty=source.on_empty == "refuse")
        columns = output_columns(kept_columns(survey, pieces, ids), task.labels)
        wanted = tuple(dict.fromkeys((*columns.kept, *text)))
        if form.name == "parquet":
            for table in pieces(wanted):
                types.add({name: column_of(table, name) for name in columns.kept})
    model = api.load_model(folder, device=device, backbone=backbone)
    predicted = predict_tables(model, pieces(wanted), text, columns.kept)
    predicted = _checked(predicted, survey, source.on_empty)
    if texts and output.form is None and output.out is None:
        _print_prediction(predicted)
        return
    written = PredictionOutput(form, columns, types, task.target)
    with _progress("predicting", survey.rows, output) as advance:
        reasons = _write(predicted, written, output.out, advance)
    if not output.quiet:
        _note(output, written, columns.renamed(nested=form.nested), reasons, survey)


def _check_output(output: Output, folder: Path, source: Input) -> None:
    from unipelt_search.exporting.table_source import find_files

    if output.out is None:
        return
    # A model's files are as little an output as the table is.
    inputs = list(folder.glob("*"))
    if source.data is not None:
        inputs += find_files(source.data)
    check_new_file(output.out, inputs, force=output.force)


def _pieces(source: Input, texts: Sequence[str] | None, text: tuple[str, ...]) -> Pieces:
    """Return what reads the input anew each time."""
    from unipelt_search.exporting.table_source import file_pieces, find_files
    from unipelt_search.tasks.table import Location, Table

    if not texts:
        if source.data is None:
            raise RequestError("There must be something to predict; got nothing. Give a text, or a file with --data.")
        return file_pieces(find_files(source.data))
    if source.data is not None or source.text or source.ids:
        raise RequestError("Texts stand alone or in a file; got both. Leave out --data, --text and --id, or the texts.")
    file = next(filter(os.path.isfile, texts), None)
    if file is not None:
        raise RequestError(f"A file is predicted with --data; got the file {file!r} where a text stands. Add --data.")
    if len(texts) != len(text):
        raise RequestError(
            f"There must be a text for each of {', '.join(text)}, {len(text)} in all; got {len(texts)}. "
            "Put each between quotes."
        )
    cells = {name: [cell] for name, cell in zip(text, texts, strict=True)}
    table = Table("the command line", tuple(text), cells, (Location("the command line", 1, "text"),))
    return lambda wanted: iter([table])


def _watched(tables: Iterable[Table], advance: Advance) -> Iterator[Table]:
    for table in tables:
        yield table
        advance(len(table))


def _checked(predicted: Iterable[PredictedRows], survey: Survey, on_empty: str) -> Iterator[PredictedRows]:
    """Pass predictions on, and refuse rows that may not be without one, and a file that is not what it was."""
    rows = 0
    for piece in predicted:
        for location, reason in zip(piece.locations, piece.reasons, strict=True):
            if reason is not None and on_empty == "refuse":
                raise DataError(
                    f"Every row must have a text that the model can read; that at {location} has the fault {reason}. "
                    "Correct or remove it, or let it have no prediction: --on-empty null."
                )
        rows += len(piece)
        yield piece
    if rows != survey.rows:
        raise DataError(
            f"--data must stay as it is while it is read; {survey.source} had {survey.rows:,} rows and then {rows:,}. "
            "Predict it again."
        )


def _write(
    predicted: Iterable[PredictedRows],
    written: PredictionOutput,
    out: Path | None,
    advance: Advance,
) -> Counter[str]:
    """Write predictions as they come, and count why rows have none."""
    reasons: Counter[str] = Counter()
    with written.open(out) as write:
        for rows in predicted:
            reasons.update(reason for reason in rows.reasons if reason is not None)
            write(rows)
            advance(len(rows))
    return reasons


def _print_prediction(predicted: Iterable[PredictedRows]) -> None:
    from unipelt_search.cli.prediction_table import prediction_lines

    for rows in predicted:
        for prediction, reason in zip(rows.predictions, rows.reasons, strict=True):
            lines = f"no prediction: {reason}" if prediction is None else prediction_lines(prediction)
            sys.stdout.write(f"{lines}\n")


@contextmanager
def _progress(what: str, rows: int | None, output: Output) -> Iterator[Advance]:
    """Show on stderr how many rows are done, for somebody who looks and does not see the predictions themselves."""
    console = Console(stderr=True)
    seen_anyway = output.out is None and sys.stdout.isatty()
    if output.quiet or seen_anyway or not console.is_terminal:
        yield lambda rows: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Predictions may go to stdout at the same time; they are no part of the picture.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        bar = progress.add_task(what, total=rows)
        yield lambda rows: progress.advance(bar, rows)


def _note(
    output: Output,
    written: PredictionOutput,
    renamed: Mapping[str, str],
    reasons: Counter[str],
    survey: Survey,
) -> None:
    """Say on stderr what a careful reader of the predictions should know."""
    from unipelt_search.reporting.notice_sentences import described

    if output.out is not None:
        sys.stderr.write(f"Wrote {output.out}\n")
    for sentence in described(survey.notices):
        sys.stderr.write(f"{sentence}\n")
    if survey.blank_lines:
        sys.stderr.write(
            f"Blank lines of {survey.source} are no rows and have no prediction: {survey.blank_lines:,}.\n"
        )
    for usual, name in renamed.items():
        sys.stderr.write(f"The input has a column {usual!r}; that of the prediction is {name!r}.\n")
    if reasons:
        why = ", ".join(f"{reason}: {count:,}" for reason, count in reasons.most_common())
        name = renamed.get("reason", "reason")
        sys.stderr.write(
            f"{reasons.total():,} of {survey.rows:,} rows have no prediction; column {name!r} says why ({why}).\n"
        )
    count, first = written.formulas
    if count and not output.csv_safe:
        sys.stderr.write(
            f"Cells that begin like a formula: {count:,}, the first in {first}. A spreadsheet may run them; --csv-safe "
            "puts an apostrophe before each.\n"
        )

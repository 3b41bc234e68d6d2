"""The commands that use a study's model: `export` and `predict`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from unipelt_search.cli import options
from unipelt_search.cli.prediction_table import predictions_csv, predictions_json
from unipelt_search.cli.report_output import write_text
from unipelt_search.errors import RequestError
from unipelt_search.specs.option import Option

_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Folders:
    """The folders that an export writes."""

    to: Annotated[
        Path,
        Option(
            "--to",
            metavar="DIR",
            help="Folder for the trained tensors, their description and a model card; the backbone is not in it.",
        ),
    ]
    merged: Annotated[
        Path | None,
        Option(
            "--merged",
            metavar="DIR",
            help="Folder for a model too that transformers or sentence-transformers alone loads, where that is exact.",
            details="That is so for `head`, `lora`, `ia3`, `bitfit` and `fine_tuning`: with the architecture's own "
            "pooling transformers loads it, with any other sentence-transformers.",
        ),
    ] = None
    peft: Annotated[
        Path | None,
        Option(
            "--peft",
            metavar="DIR",
            help="Folder in the form of the library PEFT too, where that is exact.",
            details="That is so for `lora`, `ia3`, `bitfit` and a `prefix` with `position_shift`, with the "
            "architecture's own pooling; needs the extra `peft`.",
        ),
    ] = None
    force: Annotated[bool, Option("--force", help="Replace exported models that these folders contain.")] = False


def export(
    name: options.StudyName,
    *,
    folders: Folders,
    trial: Annotated[
        int | None,
        Option(
            "--trial",
            metavar="N",
            help="This trial's model. Default: the verdict's.",
            details="The trial must have been confirmed.",
        ),
    ] = None,
    cheapest: Annotated[
        bool,
        Option("--cheapest", help="Of the best method and its ties, the one with the fewest stored parameters."),
    ] = False,
    storage: options.Storage = None,
) -> None:
    """Write a study's best model as a folder that `predict` and Python's load_model use.

    Examples:

        unipelt-search export demo --to demo-model

        unipelt-search export reviews-1 --cheapest --to small --merged plain
    """
    from unipelt_search import api

    api.export_model(
        name,
        folders.to,
        trial=trial,
        cheapest=cheapest,
        merged=folders.merged,
        peft=folders.peft,
        force=folders.force,
        storage=storage,
    )
    for folder in (folders.to, folders.merged, folders.peft):
        if folder is not None:
            sys.stderr.write(f"Wrote {folder}\n")


def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `export` wrote.")],
    *,
    data: Annotated[
        Path,
        Option("--data", metavar="FILE", help="CSV, TSV, JSON lines or Parquet; a label column is not needed."),
    ],
    text: Annotated[
        list[str] | None,
        Option("--text", metavar="COL", help="Column with the text; twice for a text pair. Default: as in the study."),
    ] = None,
    form: Annotated[
        Literal["csv", "json"],
        Option("--format", help="How the predictions are written; csv is safe to open in a spreadsheet."),
    ] = "csv",
    out: options.OutFile = None,
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
    """Predict every row of a file, in its order: the label, and every label's probability.

    Examples:

        unipelt-search predict demo-model --data texts.csv

        unipelt-search predict demo-model --data new.jsonl --text body --format json --out predictions.json
    """
    from unipelt_search import api
    from unipelt_search.tasks.read import stream_tables
    from unipelt_search.tasks.rows import read_texts

    model = api.load_model(folder, device=device, backbone=backbone)
    columns = tuple(text or model.text)
    if len(columns) != len(model.text):
        raise RequestError(f"--text must name {len(model.text)} columns for this model; got {len(columns)}.")
    predictions = []
    for table in stream_tables(data, columns, _ROWS_AT_ONCE):
        predictions += model.predict(read_texts(table, columns))
    write_text(predictions_csv(predictions, model.labels) if form == "csv" else predictions_json(predictions), out)

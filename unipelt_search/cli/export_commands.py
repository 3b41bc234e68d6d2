"""The commands that use a study's model: `export` and `predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from unipelt_search.cli import options
from unipelt_search.cli.prediction_table import predictions_csv, predictions_json
from unipelt_search.cli.report_output import write_text
from unipelt_search.errors import RequestError


def export(
    name: options.StudyName,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the model, without its backbone.")],
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="N", help="This trial's model. Default: the verdict's.")
    ] = None,
    cheapest: Annotated[
        bool, typer.Option("--cheapest", help="Of the methods that tie, the one with the fewest stored parameters.")
    ] = False,
    merged: Annotated[
        Path | None,
        typer.Option("--merged", metavar="DIR", help="Folder for a plain Hugging Face model too, where that is exact."),
    ] = None,
    peft: Annotated[
        Path | None,
        typer.Option("--peft", metavar="DIR", help="Folder in the form of the library PEFT too, where that is exact."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace models that are there.")] = False,
    storage: options.Storage = None,
) -> None:
    """Write a study's best model as a folder that `predict` and Python's load_model use.

    Examples:

        unipelt-search export demo --to demo-model

        unipelt-search export reviews-1 --cheapest --to small --merged plain
    """
    from unipelt_search import api

    api.export_model(name, to, trial=trial, cheapest=cheapest, merged=merged, peft=peft, force=force, storage=storage)
    for folder in filter(None, (to, merged, peft)):
        sys.stderr.write(f"Wrote {folder}\n")


def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `export` wrote.")],
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="CSV, TSV, JSON lines or Parquet; no label.")],
    text: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="COL", help="Column with the text; twice for a pair. Default: as in the study."),
    ] = None,
    form: Annotated[Literal["csv", "json"], typer.Option("--format", help="How the answers are written.")] = "csv",
    out: options.OutFile = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option("--device", help="Where the model runs.")] = "cpu",
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", metavar="NAME|DIR", help="The backbone, where it is no longer what it was."),
    ] = None,
) -> None:
    """Answer for every row of a file, in its order: the label, and every label's probability.

    Examples:

        unipelt-search predict demo-model --data texts.csv

        unipelt-search predict demo-model --data new.jsonl --text body --format json --out answers.json
    """
    from unipelt_search import api
    from unipelt_search.tasks.read import read_texts

    model = api.load_model(folder, device=device, backbone=backbone)
    columns = tuple(text or model.text)
    if len(columns) != len(model.text):
        raise RequestError(f"--text must name {len(model.text)} columns for this model; got {len(columns)}.")
    predictions = model.predict(read_texts(data, columns))
    write_text(predictions_csv(predictions, model.labels) if form == "csv" else predictions_json(predictions), out)

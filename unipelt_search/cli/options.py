"""The options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Study database, a SQLAlchemy URL. Default: UNIPELT_STORAGE, else sqlite:///studies/studies.db.",
    ),
]
StudyName = Annotated[str, typer.Argument(metavar="NAME", help="The study's name, as in the list of `studies`.")]

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Folder for report.html and report.json. Default: studies/NAME.",
        show_default=False,
    ),
]
OutFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file, not to stdout.")]
Trials = Annotated[
    int | None, typer.Option("--trials", metavar="N", help="Configurations tried; confirming the finalists is extra.")
]
Seeds = Annotated[int | None, typer.Option("--seeds", metavar="N", help="Runs of each finalist in the confirm phase.")]
Time = Annotated[
    str | None, typer.Option("--time", metavar="DURATION", help="Wall-clock limit, as in 90s, 30m or 1h30m.")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"] | None, typer.Option("--device", help="Where runs train; auto takes a GPU if any.")
]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", metavar="N", help="Runs at a time. Default: one per core, or per GPU.")
]
CpusPerTrial = Annotated[
    float | None, typer.Option("--cpus-per-trial", metavar="F", help="Cores of a run. Default: 1.")
]
GpusPerTrial = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-trial", metavar="F", help="GPUs of a run, a fraction allowed. Default: 1 where there is one."
    ),
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="RAY", help="Ray cluster to join. Default: this machine alone.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="report.json on stdout; one JSON object per progress event on stderr.")
]

"""The options of commands, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from unipelt_search.cli.completion import complete_methods, complete_study
from unipelt_search.methods.catalogue import TRAINED_METHODS
from unipelt_search.specs.study import Allocation

Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Study database, a SQLAlchemy URL. Default: UNIPELT_STORAGE, else sqlite:///studies/studies.db.",
    ),
]
StudyName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The study's name, as in the list of `studies`.", autocompletion=complete_study
    ),
]
StudyFile = Annotated[
    Path | None, typer.Argument(metavar="STUDY.yaml", help="The question as a file; options override it.")
]
Data = Annotated[
    str | None, typer.Option("--data", metavar="PATH|HUB_NAME", help="Folder, file, hub dataset, or demo.")
]
Text = Annotated[
    list[str] | None, typer.Option("--text", metavar="COL", help="Column with the text; twice for a text pair.")
]
Label = Annotated[str | None, typer.Option("--label", metavar="COL", help="Column with the label.")]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME|DIR", help="Hub name, local folder, or minilm.")]
NewName = Annotated[
    str | None,
    typer.Option("--name", metavar="N", help="The study's name; a known one goes on. Default: a new one."),
]
Methods = Annotated[
    str | None,
    typer.Option(
        "--methods", metavar="a,b,c", help=f"Of {', '.join(TRAINED_METHODS)}.", autocompletion=complete_methods
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Every random draw follows from it.")]
TrainSize = Annotated[
    int | None, typer.Option("--train-size", metavar="K", help="Draw this many training rows, stratified.")
]
Redraw = Annotated[
    bool, typer.Option("--redraw", help="Draw --train-size rows anew for every confirm run; the verdict covers that.")
]
MetricName = Annotated[
    str | None, typer.Option("--metric", metavar="M", help="What is compared; it must fit the labels.")
]
AllowOverlap = Annotated[
    bool, typer.Option("--allow-overlap", help="Allow many validation or test rows among the training rows.")
]
PruneGates = Annotated[
    bool,
    typer.Option("--prune-gates", help="Confirm a smaller sibling of each gated finalist, without idle submodules."),
]
ShuffledControl = Annotated[
    bool,
    typer.Option("--gate-null", help="Train each gated finalist once more on shuffled labels, as the gates' null."),
]
MaxParameters = Annotated[
    int | None,
    typer.Option("--max-parameters", metavar="N", help="Numbers that a configuration may store, the head included."),
]
MaxLatency = Annotated[
    float | None,
    typer.Option("--max-latency-ms", metavar="F", help="Milliseconds per example that the best method may take."),
]
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
AllocationName = Annotated[
    Allocation | None,
    typer.Option("--allocation", help="Who gets trials beyond the screen phase: who can still win, or all the same."),
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
Checkpoints = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="PLACE",
        help="Folder or URL (s3://…) for the states of runs and the finalists' weights. Default: below --out.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="report.json on stdout; one JSON object per progress event on stderr.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, build the model once, print the plan; start nothing.")
]

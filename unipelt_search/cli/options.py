"""The options of commands that are no fields of a study, and groups of options. Each is written once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from unipelt_search.cli.completion import complete_study
from unipelt_search.cli.parameters import Fields, StudyOptions
from unipelt_search.specs.option import Option

StudyName = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The study's name, as in the list of `studies`.", autocompletion=complete_study
    ),
]
StudyFile = Annotated[
    Path | None, typer.Argument(metavar="STUDY.yaml", help="The question as a file; options override it.")
]
Storage = Annotated[
    str | None,
    Option(
        "--storage",
        metavar="URL",
        help="Study database, a SQLAlchemy URL. Default: UNIPELT_STORAGE, else sqlite:///studies/studies.db.",
        details="[The database](database.md) says more.",
    ),
]
Out = Annotated[
    Path | None,
    Option("--out", metavar="DIR", help="Folder for report.html and report.json. Default: studies/NAME."),
]
OutFile = Annotated[
    Path | None,
    Option("--out", metavar="FILE", help="Write to this file, not to stdout."),
]
Quiet = Annotated[bool, Option("--quiet", help="No progress, only the result.")]
AsJson = Annotated[
    bool,
    Option("--json", help="report.json on stdout; one JSON object per progress event on stderr."),
]
DryRun = Annotated[
    bool,
    Option(
        "--dry-run",
        help="Check everything, build the model once, print the plan; start nothing.",
        details="A few steps of each method are timed for [the estimate](#the-plan). Nothing is written. With `--json` "
        "the plan is JSON.",
    ),
]

RunOptions = Annotated[StudyOptions, Fields()]
"""All options of a study."""
ResumeOptions = Annotated[StudyOptions, Fields(("budget", "machine"))]
"""What may differ when a study goes on."""
DemoOptions = Annotated[StudyOptions, Fields(("budget", "machine.concurrency"))]
SuiteOptions = Annotated[StudyOptions, Fields(("machine.concurrency",))]


@dataclass(frozen=True)
class Output:
    """Where a search keeps its study and writes its report, and what it shows."""

    storage: Storage = None
    out: Out = None
    quiet: Quiet = False
    as_json: AsJson = False

"""The command `suite`: many studies that differ in task and number of training rows."""

from __future__ import annotations

import shlex
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unipelt_search.cli import options
from unipelt_search.cli.live_view import stage_lines, watch_study
from unipelt_search.cli.run_command import INTERRUPTED, PROGRAM, without_password
from unipelt_search.cli.study_request import build_spec
from unipelt_search.cli.syntax import split_names
from unipelt_search.errors import NoUsableTrialError, RequestError
from unipelt_search.records.notice import Notice, without_facts
from unipelt_search.records.study_stage import StudyStage
from unipelt_search.specs.option import Option
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.suite import SuiteSpec, load_suite
from unipelt_search.units import format_duration


@dataclass(frozen=True)
class Selection:
    """Which studies of a suite, and with whose data."""

    data_root: Annotated[
        Path | None,
        Option(
            "--data-root",
            metavar="DIR",
            help="Folder with local copies of the data. Default: the hub's datasets.",
            details="Each task's copy is in a subfolder.",
        ),
    ] = None
    tasks: Annotated[
        str | None,
        Option("--tasks", metavar="a,b,c", help="Only these tasks of the suite, in the tables too. Default: all."),
    ] = None
    sizes: Annotated[
        str | None,
        Option("--sizes", metavar="N,M", help="Only these numbers of training rows. Default: all."),
    ] = None


@dataclass(frozen=True)
class SuiteOutput:
    """Where a suite keeps and writes its studies, and what it shows."""

    storage: options.Storage = None
    out: Annotated[
        Path | None,
        Option(
            "--out",
            metavar="DIR",
            help="Folder for each study's report and weights. Default: neither is written.",
            details="It has a subfolder for each study. Without it an interrupted run starts again at step 1.",
        ),
    ] = None
    quiet: options.Quiet = False


def suite(
    suite_file: Annotated[Path, typer.Argument(metavar="SUITE.yaml", help="The suite as a file.")],
    *,
    selection: Selection,
    given: options.SuiteOptions,
    output: SuiteOutput,
    report: Annotated[
        Path | None,
        Option(
            "--report",
            metavar="FILE",
            help="Train nothing; write the tables into this page, between its marking lines.",
            details="The lines are `<!-- results -->` and `<!-- end of results -->`. The tables have all results in "
            "the database.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        Option(
            "--dry-run",
            help="Check every study and estimate how long it takes; start nothing.",
            details="Nothing is written.",
        ),
    ] = False,
) -> None:
    """Run a suite of studies, or continue it, and print its tables. Complete studies are not run again.

    Examples:

        unipelt-search suite studies/glue_low_resource/suite.yaml --tasks cola,mrpc --sizes 100

        unipelt-search suite studies/glue_low_resource/suite.yaml --report studies/glue_low_resource/README.md
    """
    if report is not None and dry_run:
        raise RequestError("--report writes what is there and --dry-run plans what is not; give one of them.")
    asked = load_suite(suite_file).narrowed(split_names(selection.tasks or ""), _sizes(selection.sizes))
    if report is not None:
        _write_report(asked, report, output.storage)
        return
    specs = asked.studies(selection.data_root)
    studies = tuple(build_spec(spec.model_dump(), given.values) for spec in specs)
    if dry_run:
        _plan(studies, output.storage)
    else:
        _run(asked, studies, output)


def _run(asked: SuiteSpec, studies: tuple[StudySpec, ...], output: SuiteOutput) -> None:
    errors = Console(stderr=True)
    command = without_password(shlex.join([PROGRAM, *sys.argv[1:]]))

    def notify(sentence: str) -> None:
        if not output.quiet:
            errors.out(sentence, highlight=False)

    # In a file of progress one line per study is enough; a terminal shows the study that runs, too.
    calm = output.quiet or not errors.is_terminal
    on_stage = stage_lines(errors, quiet=calm, as_json=False)
    on_stage(StudyStage(name="request"))
    from unipelt_search import suites

    finished = False
    failed = None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as in `run`
    with watch_study(errors, quiet=calm, as_json=False) as show, suppress(KeyboardInterrupt):
        try:
            finished = suites.run_suite(
                studies,
                storage=output.storage,
                out=output.out,
                command=command,
                watch=show,
                notify=notify,
                on_stage=on_stage,
            )
        except NoUsableTrialError as error:
            # The tables of the other studies are printed first.
            failed = error
            finished = True
    if not finished:
        errors.out(f"Interrupted. Go on with: {command}", highlight=False)
        raise typer.Exit(INTERRUPTED)
    sys.stdout.write(suites.suite_report(asked, storage=output.storage))
    if failed is not None:
        raise failed


def _plan(studies: tuple[StudySpec, ...], storage: str | None) -> None:
    """Print a line for every study that is not complete, and each notice once."""
    from unipelt_search import api, suites
    from unipelt_search.reporting.notice_sentences import described

    seconds = 0.0
    notices: list[Notice] = []
    for spec in studies:
        if suites.is_complete(spec, storage=storage):
            typer.echo(f"{spec.name}: complete already")
            continue
        plan = api.plan_study(spec, storage=storage)
        rows = ", ".join(f"{plan.task.rows[split]} {split}" for split in ("train", "tune", "select", "test"))
        typer.echo(f"{spec.name}: {rows} rows; {plan.runs} runs, about {format_duration(plan.seconds)}")
        seconds += plan.seconds
        notices.extend(without_facts((*plan.task.notices, *plan.notices)))
    for sentence in described(notices):
        typer.echo(f"Note: {sentence}")
    typer.echo(f"About {format_duration(seconds)} in all. Nothing was started or written.")


def _write_report(asked: SuiteSpec, path: Path, storage: str | None) -> None:
    from unipelt_search import suites
    from unipelt_search.reporting.suite_tables import replace_results

    try:
        page = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"--report must name a page that is there; got {str(path)!r}: {error.strerror}.") from error
    tables = suites.suite_report(asked, storage=storage)
    path.write_text(replace_results(page, tables, str(path)), encoding="utf-8")
    typer.echo(f"Wrote {path}", err=True)


def _sizes(text: str | None) -> list[int]:
    names = split_names(text or "")
    if not all(name.isdecimal() for name in names):
        raise RequestError(f"--sizes must be numbers of training rows with commas between them; got {text!r}.")
    return [int(name) for name in names]

"""The commands that search: `demo`, `run` and `resume`."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from unipelt_search.cli import options
from unipelt_search.cli.column_view import complete_command, data_name, missing_options, show_columns
from unipelt_search.cli.demo_study import DEMO
from unipelt_search.cli.live_view import stage_lines, watch_study
from unipelt_search.cli.plan_view import print_plan
from unipelt_search.cli.report_output import show_report
from unipelt_search.cli.study_request import build_spec, fresh_name
from unipelt_search.errors import RequestError, StudyExistsError, TransientError
from unipelt_search.records.progress import StudyProgress
from unipelt_search.records.study_stage import OnStage, StudyStage
from unipelt_search.specs.load_study import read_study_file
from unipelt_search.specs.option import KeyPath
from unipelt_search.specs.study import StudySpec

PROGRAM = "unipelt-search"
INTERRUPTED = 130
WRONG_REQUEST = 2
_NO_NAME_YET = "unnamed"
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]*@")


def run(
    study_file: options.StudyFile = None,
    *,
    given: options.RunOptions,
    output: options.Output,
    dry_run: options.DryRun = False,
) -> None:
    """Search for the best method on your data, or continue a study.

    Examples:

        unipelt-search run --data reviews.csv --text review --label stars --model distilbert-base-uncased

        unipelt-search run studies/demo/study.yaml --trials 28 --time 30m

        unipelt-search run --data reviews.csv --text review --label stars --model minilm --dry-run
    """
    values = read_study_file(study_file) if study_file else {}
    missing = missing_options(values, given.values)
    if missing:
        _ask_for_columns(missing, values, given.values, output)
    spec = _build({"name": _NO_NAME_YET, **values}, given.values, output)
    view = _open_view(output, with_data=not dry_run)
    from unipelt_search import api

    if "name" not in values and ("name",) not in given.values:
        taken = api.study_names(storage=output.storage)
        spec = spec.model_copy(update={"name": fresh_name(spec.task.data, taken)})
    if dry_run:
        _show_plan(spec, output, view)
    else:
        _search(spec, output, view)


def resume(
    name: options.StudyName,
    *,
    given: options.ResumeOptions,
    output: options.Output,
) -> None:
    """Continue a stopped study. Running it twice is harmless. A complete study prints its report.

    Examples:

        unipelt-search resume reviews-1

        unipelt-search resume reviews-1 --time 2h --concurrency 4
    """
    view = _open_view(output)
    from unipelt_search import api

    asked = api.stored_spec(name, storage=output.storage)
    _search(_build(asked.model_dump(), given.values, output), output, view)


def demo(*, given: options.DemoOptions, output: options.Output) -> None:
    """Run a whole small study on the embedded data with a small real model, offline.

    A demo study that cannot be continued is replaced.

    Examples:

        unipelt-search demo

        unipelt-search demo --time 5m --out demo-report
    """
    spec = build_spec(DEMO.model_dump(), given.values)
    # `demo` has no --methods, which a proposal may need: only the options are shown.
    view = _open_view(output, with_commands=False)
    from unipelt_search import api

    try:
        _search(spec, output, view)
    except StudyExistsError:
        api.upgrade_storage(storage=output.storage)
        api.delete_study(spec.name, storage=output.storage)
        _search(spec, output, view)


@dataclass(frozen=True)
class _View:
    """What is seen on stderr."""

    console: Console
    on_stage: OnStage
    command: tuple[str, ...]
    """The words of the command line, without passwords."""


def _typed_command() -> tuple[str, ...]:
    return (PROGRAM, *map(without_password, sys.argv[1:]))


def _open_view(output: options.Output, *, with_commands: bool = True, with_data: bool = True) -> _View:
    """Say that the program has begun, which is to be called before anything is imported that takes long."""
    console = Console(stderr=True)
    words = _typed_command() if with_commands else ()
    on_stage = stage_lines(console, quiet=output.quiet, as_json=output.as_json, command=words, with_data=with_data)
    on_stage(StudyStage(name="request"))
    return _View(console, on_stage, words)


def without_password(command: str) -> str:
    """Return a command line without the passwords of its database URLs."""
    return _PASSWORD.sub(r"\1:***@", command)


def _build(
    values: Mapping[str, Any],
    given: Mapping[KeyPath, Any],
    output: options.Output,
) -> StudySpec:
    """Build what is asked for; of a stored study without one of its plug-ins, name the package first."""
    try:
        return build_spec(values, given)
    except RequestError:
        from unipelt_search import api

        api.check_stored_plugins(given.get(("name",), values["name"]), storage=output.storage)
        raise


def _ask_for_columns(
    missing: Sequence[str],
    values: Mapping[str, Any],
    given: Mapping[KeyPath, Any],
    output: options.Output,
) -> None:
    """List the columns of the data with the command to use, and end: nothing is guessed without the user."""
    from unipelt_search import api

    found = api.find_columns(data_name(values, given))
    command = complete_command(found, missing, [PROGRAM, *sys.argv[1:]])
    show_columns(PROGRAM, found, missing, without_password(command), as_json=output.as_json)
    raise typer.Exit(WRONG_REQUEST)


def _show_plan(spec: StudySpec, output: options.Output, view: _View) -> None:
    from unipelt_search import api

    plan = api.plan_study(spec, storage=output.storage, on_stage=view.on_stage)
    if output.as_json:
        typer.echo(plan.model_dump_json(indent=1))
    else:
        print_plan(plan, Console(), view.command)


def _search(spec: StudySpec, output: options.Output, view: _View) -> None:
    from unipelt_search import api

    resume_command = _resume_command(spec.name, output)
    out = output.out or Path("studies") / spec.name
    errors = view.console
    command = without_password(shlex.join([PROGRAM, *sys.argv[1:]]))
    study = None
    begun = False
    # SIGTERM announces that the machine is taken away; it ends a study as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with watch_study(errors, quiet=output.quiet, as_json=output.as_json) as show, suppress(KeyboardInterrupt):

        def watch(progress: StudyProgress) -> None:
            nonlocal begun
            begun = True
            show(progress)

        try:
            study = api.run_study(
                spec, storage=output.storage, out=out, command=command, watch=watch, on_stage=view.on_stage
            )
        except TransientError as error:
            if begun:
                raise TransientError(f"{error} Go on with: {resume_command}") from error
            raise
    if study is None or study.interrupted:
        # Before the first snapshot there is no study yet that could be resumed.
        again = f" Go on with: {resume_command}" if begun or study else ""
        errors.out(f"Interrupted.{again}", highlight=False)
        raise typer.Exit(INTERRUPTED)
    show_report(study.report, "json" if output.as_json else "terminal")
    if not (output.quiet or output.as_json):
        errors.out(f"Wrote {out / 'report.html'} and report.json", highlight=False)


def _resume_command(name: str, output: options.Output) -> str:
    """Return the command that continues a study; the stored study has all other options."""
    arguments = [PROGRAM, "resume", name]
    if output.storage:
        arguments += ["--storage", output.storage]
    if output.out:
        arguments += ["--out", str(output.out)]
    return without_password(shlex.join(arguments))

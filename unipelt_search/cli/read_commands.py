"""The commands that read the study database: `report`, `gates`, `studies` and `methods`."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from unipelt_search.cli import options
from unipelt_search.cli.report_output import ReportFormat, report_text, show_report, write_text
from unipelt_search.methods.catalogue import DEFAULT_METHODS, find_method, named_methods, trained_methods
from unipelt_search.methods.search_space import belongs_to, hyperparameters, learning_rates
from unipelt_search.settings import storage_url


def report(
    name: options.StudyName,
    form: Annotated[ReportFormat, typer.Option("--format", help="How the report is written.")] = "terminal",
    out: options.OutFile = None,
    storage: options.Storage = None,
) -> None:
    """Show a study's report: verdict, leaderboard, gates, costs. Works while the study runs.

    Examples:

        unipelt-search report demo

        unipelt-search report demo --format html --out demo.html
    """
    from unipelt_search import api

    found = api.open_study(name, storage=storage).report
    if out is None:
        show_report(found, form)
    else:
        write_text(report_text(found, form), out)


def gates(
    name: options.StudyName,
    trial: Annotated[
        int | None, typer.Option("--trial", metavar="N", help="Only this trial. Default: every trial with gates.")
    ] = None,
    by: Annotated[
        Literal["layer", "label", "epoch"],
        typer.Option("--by", help="One row per layer, per true label, or per epoch."),
    ] = "layer",
    form: Annotated[
        Literal["terminal", "csv", "json"], typer.Option("--format", help="How the table is written.")
    ] = "terminal",
    storage: options.Storage = None,
) -> None:
    """Show what the gates of the gated methods did.

    Examples:

        unipelt-search gates demo

        unipelt-search gates demo --trial 5 --by label --format csv
    """
    from unipelt_search import api
    from unipelt_search.reporting.frames import gates_frame
    from unipelt_search.reporting.terminal import render_gates

    frame = gates_frame(api.open_study(name, storage=storage).report, by=by, trial=trial)
    if form == "terminal":
        render_gates(frame, Console())
    else:
        write_text(frame.to_csv(index=False) if form == "csv" else frame.to_json(orient="records"), None)


def studies(storage: options.Storage = None) -> None:
    """List the studies of the database.

    Examples:

        unipelt-search studies

        unipelt-search studies --storage sqlite:///elsewhere.db
    """
    from unipelt_search import api

    lines = api.list_studies(storage=storage)
    if not lines:
        typer.echo(f"There is no study yet in {storage_url(storage)}; `unipelt-search demo` makes one.", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "state", "phase", "trials", "task", "backbone", "created"):
        table.add_column(column, justify="right" if column == "trials" else "left", overflow="fold")
    for line in lines:
        created = line.created.strftime("%Y-%m-%d %H:%M")
        table.add_row(line.name, line.state, line.phase, str(line.trials), line.task, line.backbone, created)
    Console().print(table)


def methods(
    form: Annotated[
        Literal["terminal", "json"], typer.Option("--format", help="How the list is written.")
    ] = "terminal",
) -> None:
    """List the methods that can be compared, and every hyperparameter: published, searched, and where it acts.

    Examples:

        unipelt-search methods

        unipelt-search methods --format json
    """
    if form == "json":
        write_text(json.dumps({"methods": _methods(), "hyperparameters": _hyperparameters()}, indent=1) + "\n", None)
        return
    console = Console()
    table = _table("method", "default", "attached", "gated", "what it is")
    for method in named_methods():
        default = "yes" if method.name in DEFAULT_METHODS else "always" if method.trains == "nothing" else ""
        attached = ", ".join(method.submodules)
        table.add_row(method.name, default, attached, "yes" if method.gated else "", method.sentence)
    console.print(table)
    console.print()
    table = _table("method", "learning rates of the screen phase")
    for name in trained_methods():
        table.add_row(name, ", ".join(f"{rate:g}" for rate in learning_rates(name)))
    console.print(table)
    console.print()
    table = _table("hyperparameter", "published", "searched", "acts in")
    for parameter in hyperparameters():
        table.add_row(parameter.name, parameter.published_text, parameter.searched_text, parameter.condition_text)
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == columns[0])
    return table


def _methods() -> list[dict[str, object]]:
    trained = trained_methods()
    return [
        method.model_dump(mode="json")
        | {
            "default": method.name in DEFAULT_METHODS,
            "learning_rates": learning_rates(method.name) if method.name in trained else (),
        }
        for method in named_methods()
    ]


def _hyperparameters() -> list[dict[str, object]]:
    """Say of each hyperparameter what is searched in numbers, and in the words that the documentation has."""
    return [
        parameter.model_dump(mode="json")
        | {
            "searched": parameter.searched_text,
            "condition": parameter.condition_text,
            "methods": [name for name in trained_methods() if belongs_to(parameter, find_method(name))],
        }
        for parameter in hyperparameters()
    ]

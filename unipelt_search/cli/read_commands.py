"""The commands that read the study database: `report`, `gates`, `studies` and `methods`."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unipelt_search.cli import options
from unipelt_search.cli.report_output import ReportFormat, report_text, show_report, write_text
from unipelt_search.methods.catalogue import DEFAULT_METHODS, find_method, named_methods, trained_methods
from unipelt_search.methods.search_space import belongs_to, hyperparameters, learning_rates
from unipelt_search.settings import storage_url
from unipelt_search.specs.option import Option


def report(
    name: options.StudyName,
    form: Annotated[ReportFormat, Option("--format", help="How the report is written.")] = "terminal",
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
        int | None, Option("--trial", metavar="N", help="Only this trial. Default: every trial with gates.")
    ] = None,
    by: Annotated[
        Literal["layer", "label", "epoch"],
        Option("--by", help="One row per layer, per true label, or per epoch."),
    ] = "layer",
    form: Annotated[
        Literal["terminal", "csv", "json"], Option("--format", help="How the table is written.")
    ] = "terminal",
    storage: options.Storage = None,
) -> None:
    """Show what the gates of the gated methods did.

    Examples:

        unipelt-search gates demo

        unipelt-search gates demo --trial 5 --by label --format csv
    """
    from unipelt_search import api
    from unipelt_search.reporting.frames import chosen_gates, gates_frame
    from unipelt_search.reporting.terminal import render_gates

    found = api.open_study(name, storage=storage).report
    if form == "terminal":
        render_gates(chosen_gates(found, by, trial), Console())
        return
    frame = gates_frame(found, by, trial)
    if form == "csv":
        write_text(frame.to_csv(index=False), None)
    else:
        write_text(frame.to_json(orient="records"), None)


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
        table.add_row(
            line.name,
            line.state,
            line.phase,
            str(line.trials),
            line.task,
            line.backbone,
            line.created.strftime("%Y-%m-%d %H:%M"),
        )
    Console().print(table)


def methods(
    form: Annotated[Literal["terminal", "json"], Option("--format", help="How the list is written.")] = "terminal",
) -> None:
    """List the methods that can be compared, and every hyperparameter: published, searched, and where it acts.

    Examples:

        unipelt-search methods

        unipelt-search methods --format json
    """
    if form == "json":
        catalogue = {"methods": _method_values(), "hyperparameters": _hyperparameter_values()}
        write_text(json.dumps(catalogue, indent=1), None)
        return
    console = Console()
    console.print(_method_table())
    console.print()
    console.print(_learning_rate_table())
    console.print()
    console.print(_hyperparameter_table())


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == columns[0])
    return table


def _method_table() -> Table:
    table = _table("method", "default", "attached", "gated", "what it is")
    for method in named_methods():
        default = "yes" if method.name in DEFAULT_METHODS else ""
        if method.trains == "nothing":
            default = "always"
        gated = "yes" if method.gated else ""
        table.add_row(method.name, default, ", ".join(method.submodules), gated, escape(method.sentence))
    return table


def _learning_rate_table() -> Table:
    table = _table("method", "learning rates of the screen phase")
    for name in trained_methods():
        table.add_row(name, ", ".join(f"{rate:g}" for rate in learning_rates(name)))
    return table


def _hyperparameter_table() -> Table:
    table = _table("hyperparameter", "published", "searched", "acts in")
    for parameter in hyperparameters():
        table.add_row(parameter.name, parameter.published_text, parameter.searched_text, parameter.condition_text)
    return table


def _method_values() -> list[dict[str, object]]:
    trained = trained_methods()
    rows = []
    for method in named_methods():
        values = method.model_dump(mode="json")
        values["default"] = method.name in DEFAULT_METHODS
        values["learning_rates"] = learning_rates(method.name) if method.name in trained else ()
        rows.append(values)
    return rows


def _hyperparameter_values() -> list[dict[str, object]]:
    """Give what is searched as numbers, and in the words of the documentation."""
    trained = [find_method(name) for name in trained_methods()]
    rows = []
    for parameter in hyperparameters():
        values = parameter.model_dump(mode="json")
        values["searched"] = parameter.searched_text
        values["condition"] = parameter.condition_text
        values["methods"] = [method.name for method in trained if belongs_to(parameter, method)]
        rows.append(values)
    return rows

"""A report on a terminal."""

from __future__ import annotations

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from unipelt_search.records.report import StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.frames import gates_frame
from unipelt_search.reporting.verdict_words import metric_name

_SHADES = ("on grey93", "on light_steel_blue1", "on sky_blue2", "on steel_blue1", "on dodger_blue2")


def render_terminal(report: StudyReport, console: Console) -> None:
    """Print a report: the verdict first, then leaderboard, gates, ablation and notices.

    Args:
        report: The report.
        console: Where to.
    """
    console.print()
    console.print(Text(report.verdict.title, style="bold"))
    if report.verdict.details:
        console.print(Text(report.verdict.details))
    if report.verdict.power:
        console.print(Text(report.verdict.power.sentence))
    console.print()
    console.print(_leaderboard(report))
    if report.upper_bound.of:
        console.print(escape(formats.upper_bound(report.upper_bound, report.task)), highlight=False)
    gates = gates_frame(report)
    if not gates.empty:
        console.print()
        render_gates(gates, console)
    _print_ablation(report, console)
    for drop in report.dropped:
        console.print(f"Dropped in {drop.phase}: {escape(drop.method)}. {escape(drop.reason)}", highlight=False)
    for notice in report.notices:
        console.print(f"Note: {escape(notice)}", highlight=False)
    cost = report.cost
    console.print(
        f"{report.trials.complete} trials complete, {report.trials.failed} failed; "
        f"{formats.duration(cost.wall_seconds)}, {cost.examples_trained:,} examples trained.",
        highlight=False,
    )


def render_gates(frame: pd.DataFrame, console: Console) -> None:
    """Print gate statistics as layer × gate tables, or as rows where there are labels or epochs.

    Args:
        frame: What `gates_frame` returns.
        console: Where to.
    """
    if frame.empty:
        console.print("No gate statistics: no gated method has finished.", highlight=False)
        return
    for (trial, method), rows in frame.groupby(["trial", "method"], sort=False):
        by_layer = not rows.duplicated(["layer", "gate"]).any()
        title = f"Gates of {escape(str(method))}, trial {trial}: " + ("mean (sd)" if by_layer else "mean of all layers")
        console.print(_layers(rows, title) if by_layer else _groups(rows, title))


def _leaderboard(report: StudyReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    # A set of submodules has a long name, which is folded before a number is cut.
    table.add_column("method", overflow="fold")
    for header in (report.task.metric, "test", "to the best", "runs", "stored", "ms/ex"):
        table.add_column(header, justify="right", no_wrap=True)
    marks: dict[str | None, str] = {report.verdict.name: "best"}
    marks.update(dict.fromkeys(report.verdict.ties, "tie"))
    for row in report.leaderboard:
        mark = marks.get(row.name)
        # A set of submodules has brackets, which are no markup.
        name = escape(row.name)
        table.add_row(
            f"[bold]{name}[/bold] [green]{mark}[/green]" if mark else name,
            formats.interval(row.validation) + formats.rows_used(row),
            formats.score(row.test.mean if row.test else None),
            formats.NONE if mark == "best" else formats.difference(row.difference_to_best),
            formats.NONE if row.trial is None else str(row.runs),
            formats.NONE if row.stored_parameters is None else formats.short_count(row.stored_parameters),
            formats.number(row.predict_ms_per_example),
        )
    return table


def _layers(rows: pd.DataFrame, title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    gates = list(dict.fromkeys(rows["gate"]))
    table.add_column("layer", justify="right")
    for gate in gates:
        table.add_column(gate, justify="right")
    for layer in sorted(rows["layer"].unique()):
        here = rows[rows["layer"] == layer].set_index("gate")
        cells = [_cell(here.loc[gate]) if gate in here.index else formats.NONE for gate in gates]
        table.add_row(str(layer), *cells)
    return table


def _cell(row: pd.Series) -> Text:
    # A gate of exactly 1 would be one shade too far.
    position = int(row["mean"] * len(_SHADES))
    shade = _SHADES[min(position, len(_SHADES) - 1)]
    text = Text(f" {row['mean']:.2f} ", style=f"black {shade}")
    return text + Text(f" ({row['sd']:.2f})")


def _groups(rows: pd.DataFrame, title: str) -> Table:
    by = "label" if rows["label"].notna().any() else "epoch"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    table.add_column(by)
    pivot = rows.pivot_table(index=by, columns="gate", values="mean", sort=False)
    for gate in pivot.columns:
        table.add_column(str(gate), justify="right")
    for key, values in pivot.iterrows():
        table.add_row(escape(str(key)), *(f"{value:.3f}" for value in values))
    return table


def _print_ablation(report: StudyReport, console: Console) -> None:
    complete = [row for row in report.ablation if row.layer is None]
    if not complete:
        return
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{metric_name(report.task.metric)} without a submodule",
        title_justify="left",
        pad_edge=False,
    )
    table.add_column("method", overflow="fold")
    table.add_column("without")
    table.add_column("score", justify="right")
    table.add_column("change", justify="right")
    table.add_column("")
    for row in complete:
        score, change = formats.score(row.value), formats.drop(row)
        table.add_row(escape(row.name), row.submodule, score, change, formats.role(row))
    console.print(table)

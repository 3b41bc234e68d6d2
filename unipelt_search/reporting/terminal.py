"""A report on a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from unipelt_search.records.report import ReportedGate, StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.frames import ablated, chosen_gates
from unipelt_search.reporting.gate_words import agreement, summarise
from unipelt_search.reporting.prediction_figures import calibration_figures, missed_table, threshold_figures
from unipelt_search.reporting.verdict_words import metric_name
from unipelt_search.units import format_duration

_MOST_MISSED = 5
"""Rows that every method misses, as a terminal lists them; the page has more."""
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
    if report.task.direction == "minimize":
        console.print(f"Lower {metric_name(report.task.metric)} is better.", highlight=False)
    if report.upper_bound.of:
        console.print(escape(formats.upper_bound(report.upper_bound, report.task)), highlight=False)
    gates = chosen_gates(report)
    if gates:
        console.print()
        render_gates(gates, console)
    _print_ablation(report, console)
    _print_predictions(report, console)
    for drop in report.dropped:
        console.print(f"Dropped in {drop.phase}: {escape(drop.method)}. {escape(drop.reason)}", highlight=False)
    for notice in report.notices:
        console.print(f"Note: {escape(notice)}", highlight=False)
    cost = report.cost
    console.print(
        f"{report.trials.complete} trials complete, {report.trials.failed} failed; "
        f"{format_duration(cost.wall_seconds)}, {cost.examples_trained:,} examples trained.",
        highlight=False,
    )


def render_gates(rows: Sequence[ReportedGate], console: Console) -> None:
    """Print gate statistics as layer × gate tables, or over all layers where there are labels or epochs.

    Args:
        rows: What `chosen_gates` returns.
        console: Where to.
    """
    if not rows:
        console.print("No gate statistics: no gated method has finished.", highlight=False)
        return
    by_trial: dict[int, list[ReportedGate]] = defaultdict(list)
    for row in rows:
        by_trial[row.trial].append(row)
    for trial, of_trial in by_trial.items():
        title = f"Gates of {escape(of_trial[0].name)}, trial {trial}: "
        if _is_by_layer(of_trial):
            console.print(_layers(of_trial, title + "mean (sd)"))
            console.print(escape(agreement(of_trial)), highlight=False)
        else:
            console.print(_groups(of_trial, title + "mean of all layers"))


def _is_by_layer(rows: Sequence[ReportedGate]) -> bool:
    """Tell whether rows of one trial are one per layer and gate."""
    return len({(row.layer, row.gate) for row in rows}) == len(rows)


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


def _layers(rows: Sequence[ReportedGate], title: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    gates = list(dict.fromkeys(row.gate for row in rows))
    table.add_column("layer", justify="right")
    for gate in gates:
        table.add_column(gate, justify="right")
    found = {(row.layer, row.gate): row for row in rows}
    for layer in sorted({row.layer for row in rows}):
        cells = [_cell(found.get((layer, gate))) for gate in gates]
        table.add_row(str(layer), *cells)
    return table


def _cell(row: ReportedGate | None) -> Text:
    if row is None:
        return Text(formats.NONE)
    summary = summarise([row])
    if summary.apart:
        # The shade of the mean would be that of a gate that is half open.
        return Text(f" {summary.text} ", style="bold")
    # A gate of exactly 1 would be one shade too far.
    position = int(row.mean * len(_SHADES))
    shade = _SHADES[min(position, len(_SHADES) - 1)]
    text = Text(f" {summary.text} ", style=f"black {shade}")
    return text + Text(f" ({row.sd:.2f})")


def _groups(rows: Sequence[ReportedGate], title: str) -> Table:
    by_label = any(row.label is not None for row in rows)
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    table.add_column("label" if by_label else "epoch")
    gates = list(dict.fromkeys(row.gate for row in rows))
    for gate in gates:
        table.add_column(gate, justify="right")
    groups: dict[object, dict[str, list[ReportedGate]]] = {}
    for row in rows:
        of_group = groups.setdefault(row.label if by_label else row.epoch, defaultdict(list))
        of_group[row.gate].append(row)
    for key, of_gates in groups.items():
        cells = [_over_layers(of_gates.get(gate, [])) for gate in gates]
        name = f"{key:.3g}" if isinstance(key, float) else str(key)
        table.add_row(escape(name), *cells)
    return table


def _over_layers(rows: Sequence[ReportedGate]) -> str:
    if not rows:
        return formats.NONE
    summary = summarise(rows)
    return summary.text if summary.apart else f"{summary.mean:.3f}"


def _print_ablation(report: StudyReport, console: Console) -> None:
    complete = ablated(report)
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
        score, change = formats.score(row.value), formats.score_change(row, report.task)
        table.add_row(escape(row.name), row.submodule, score, change, formats.role(row))
    console.print(table)


def _print_predictions(report: StudyReport, console: Console) -> None:
    """Print how good the probabilities are, and the rows whose labels may be wrong."""
    calibration = calibration_figures(report)
    if calibration is not None:
        best = calibration.best
        console.print(
            f"Calibration error (ECE) of {escape(best.name)} on the {calibration.split} rows: {best.ece:.3f}.",
            highlight=False,
        )
    thresholds = threshold_figures(report)
    if thresholds is not None:
        console.print(escape(thresholds.sentence), highlight=False)
    missed = missed_table(report)
    if missed is None:
        return
    console.print(f"{escape(missed.sentence)} Their labels may be wrong; the first of them:", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("row", "label", missed.predicted):
        table.add_column(header, overflow="fold")
    table.add_column("probability", justify="right")
    for row in missed.rows[:_MOST_MISSED]:
        table.add_row(escape(row.origin), escape(row.label), escape(row.predicted), row.probability)
    console.print(table)

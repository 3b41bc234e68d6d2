"""A report as one self-contained HTML page: no script, no font, no picture from anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from unipelt_search.records.report import ReportedGate, StudyReport
from unipelt_search.reporting import words
from unipelt_search.reporting.figures import Axis, Cell, gate_order, scatter, score_axis, shade
from unipelt_search.reporting.frames import final_gates

_AXIS_WIDTH = 220.0
HeatMap = tuple[str, tuple[str, ...], list[tuple[str, list[Cell | None]]]]
"""A title, the columns, and the rows: a name and its cells."""


def render_html(report: StudyReport) -> str:
    """Render a report as a page.

    Args:
        report: The report; every string in it is escaped.

    Returns:
        HTML that needs no network.
    """
    metric = report.task.metric
    largest = max((abs(row.drop) for row in report.ablation if row.layer is None), default=0.0)
    return _environment().get_template("page.html.j2").render(
        report=report,
        words=words,
        metric=metric,
        axis=score_axis(report.leaderboard, _AXIS_WIDTH),
        scatter=scatter(report),
        gated=_gated(report),
        ablation=[row for row in report.ablation if row.layer is None],
        ablation_axis=Axis(0.0, max(largest, 0.01), 160.0),
        layer_ablation=_layer_ablation(report),
    )  # fmt: skip


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("unipelt_search.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment


def _gated(report: StudyReport) -> list[tuple[str, int, int, list[HeatMap]]]:
    """Lay out the heat maps of every gated trial: (method, trial, runs, maps)."""
    trials = sorted({(gate_order(row.method), row.trial, row.method) for row in report.gates})
    found = []
    for _, trial, method in trials:
        rows = [row for row in report.gates if row.trial == trial]
        final = final_gates(rows)
        maps = [_by_layer(final, "Mean gate", "mean")]
        if all(row.contribution is not None for row in final):
            maps.append(_by_layer(final, "Contribution ‖with − without‖ / ‖with‖", "contribution"))
        labelled = [row for row in rows if row.label is not None]
        if labelled:
            maps.append(_by_label(labelled))
        found.append((method, trial, final[0].runs, maps))
    return found


def _by_layer(rows: Sequence[ReportedGate], title: str, field: str) -> HeatMap:
    gates = tuple(dict.fromkeys(row.gate for row in rows))
    cells = {(row.layer, row.gate): _cell(row, getattr(row, field)) for row in rows}
    layers = sorted({row.layer for row in rows}, reverse=True)
    return title, gates, [(f"layer {layer}", [cells.get((layer, gate)) for gate in gates]) for layer in layers]


def _by_label(rows: Sequence[ReportedGate]) -> HeatMap:
    gates = tuple(dict.fromkeys(row.gate for row in rows))
    labels = list(dict.fromkeys(row.label or "" for row in rows))
    body = []
    for label in labels:
        cells: list[Cell | None] = []
        for gate in gates:
            own = [row for row in rows if (row.label, row.gate) == (label, gate)]
            mean = sum(row.mean for row in own) / len(own) if own else 0.0
            cells.append(_shaded(mean, f"{gate}, {label}: mean over {len(own)} layers {mean:.3f}"))
        body.append((label, cells))
    return "Mean gate by true label, over all layers", gates, body


def _cell(row: ReportedGate, value: float) -> Cell:
    title = (
        f"{row.gate}, layer {row.layer}: mean {row.mean:.3f}, sd {row.sd:.3f}, above 0.5 in {row.share_active:.0%} of "
        f"{row.n} examples, began at {row.initial_mean:.3f}"
    )
    return _shaded(value, title)


def _shaded(value: float, title: str) -> Cell:
    colour, dark_text = shade(value)
    return Cell(f"{value:.2f}", colour, dark_text, title)


def _layer_ablation(report: StudyReport) -> list[HeatMap]:
    """Lay out the drop per layer × submodule, for each method with more than one submodule."""
    found = []
    rows = [row for row in report.ablation if row.layer is not None]
    largest = max((abs(row.drop) for row in rows), default=0.0) or 1.0
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        submodules = tuple(dict.fromkeys(row.submodule for row in own))
        if len(submodules) < 2:
            continue
        cells = {}
        for row in own:
            colour, dark_text = shade(max(row.drop, 0.0) / largest)
            title = f"without {row.submodule} in layer {row.layer}: {row.value:.3f}"
            cells[row.layer, row.submodule] = Cell(f"{row.drop:+.3f}", colour, dark_text, title)
        layers = sorted({row.layer for row in own if row.layer is not None}, reverse=True)
        body = [(f"layer {layer}", [cells.get((layer, name)) for name in submodules]) for layer in layers]
        found.append((method, submodules, body))
    return found

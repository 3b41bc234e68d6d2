"""Tables whose cells are shaded by their value: gates by layer and by label, ablation by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from unipelt_search.methods.catalogue import stored_method
from unipelt_search.records.report import ReportedAblation, ReportedGate, StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.frames import final_gates

MOST_LABELS = 20
"""Labels that a table shows at once."""


@dataclass(frozen=True)
class Cell:
    """One value of a heat map."""

    text: str
    shade: float
    """From 0 to 1; the style sheet makes the colour of it."""
    title: str


@dataclass(frozen=True)
class HeatMap:
    """A shaded table; a cell is None where there is no value."""

    title: str
    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    scale: tuple[str, str]
    """What the lightest and the deepest colour stand for."""
    empty: str = formats.NONE
    """What is written where there is no value."""
    tall: bool = False
    """Whether the columns' names are too long to stand side by side."""


@dataclass(frozen=True)
class GatedTrial:
    """The gates of one trial."""

    name: str
    trial: int
    runs: int
    epoch: float
    split: str
    """The rows that the gates were taken on."""
    maps: tuple[HeatMap, ...]


def gated_trials(report: StudyReport) -> list[GatedTrial]:
    """Lay out the gates of every gated method's trial on the leaderboard.

    Args:
        report: The report.

    Returns:
        One entry per gated method, those with more submodules first.
    """
    visible = {row.trial for row in report.leaderboard}
    by_trial: dict[int, list[ReportedGate]] = {}
    for row in report.gates:
        if row.trial in visible:
            by_trial.setdefault(row.trial, []).append(row)
    found = []
    for rows in sorted(by_trial.values(), key=_most_submodules_first):
        final = final_gates(rows)
        maps = [_gates_by_layer(final)]
        if any(row.null_mean is not None for row in final):
            maps.append(_beyond_null(final))
        if any(row.contribution is not None for row in final):
            maps.append(_contributions(final))
        labelled = [row for row in rows if row.label is not None]
        if labelled:
            maps.append(_gates_by_label(labelled))
        first = final[0]
        found.append(GatedTrial(first.name, first.trial, first.runs, first.epoch, first.split, tuple(maps)))
    return found


def ablation_maps(rows: Sequence[ReportedAblation]) -> list[HeatMap]:
    """Lay out the drop per layer × submodule for every method with more than one submodule.

    Args:
        rows: Ablation rows of any kind.

    Returns:
        One map per method, all on one scale; a gain counts as no drop.
    """
    layered = [row for row in rows if row.layer is not None and len(stored_method(row.method).submodules) > 1]
    largest = max((row.drop for row in layered), default=0.0)
    found = []
    for name in dict.fromkeys(row.name for row in layered):
        cells = {
            (row.layer or 0, row.submodule): Cell(
                formats.signed(-row.drop),
                max(row.drop, 0.0) / largest if largest > 0 else 0.0,
                f"{row.value:.3f} without {row.submodule} in layer {row.layer}",
            )
            for row in layered
            if row.name == name
        }
        found.append(_layer_map(name, cells, ("no loss", formats.signed(-largest))))
    return found


def _most_submodules_first(rows: Sequence[ReportedGate]) -> tuple[int, int]:
    first = rows[0]
    return -len(stored_method(first.method).submodules), first.trial


def _gates_by_layer(rows: Sequence[ReportedGate]) -> HeatMap:
    cells = {(row.layer, row.gate): Cell(f"{row.mean:.2f}", row.mean, _described(row)) for row in rows}
    return _layer_map("Mean gate by layer", cells, ("0 closed", "1 open"))


def _beyond_null(rows: Sequence[ReportedGate]) -> HeatMap:
    """Show how far gates are from where training on shuffled labels leaves them."""
    moved = {(row.layer, row.gate): row.mean - row.null_mean for row in rows if row.null_mean is not None}
    largest = max(map(abs, moved.values())) or 1.0
    cells = {
        key: Cell(
            formats.signed(value), abs(value) / largest, f"{key[1]}, layer {key[0]}: {value:+.3f} beyond the null"
        )
        for key, value in moved.items()
    }
    return _layer_map("Mean gate minus its value after training on shuffled labels", cells, ("0", f"±{largest:.2f}"))


def _contributions(rows: Sequence[ReportedGate]) -> HeatMap:
    values = {(row.layer, row.gate): row.contribution for row in rows if row.contribution is not None}
    largest = max(values.values()) or 1.0
    cells = {
        key: Cell(f"{value:.2f}", value / largest, f"{key[1]}, layer {key[0]}: changes the output by {value:.1%}")
        for key, value in values.items()
    }
    return _layer_map("Contribution ‖with − without‖ / ‖with‖", cells, ("0", f"{largest:.2f}"))


def _gates_by_label(rows: Sequence[ReportedGate]) -> HeatMap:
    gates = tuple(dict.fromkeys(row.gate for row in rows))
    labels = list(dict.fromkeys(row.label for row in rows if row.label is not None))
    own: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        own[row.label or "", row.gate].append(row.mean)
    means = {key: fmean(values) for key, values in own.items()}
    middle = {gate: fmean(means[label, gate] for label in labels if (label, gate) in means) for gate in gates}

    def oddness(label: str) -> float:
        return max(abs(means[label, gate] - middle[gate]) for gate in gates if (label, gate) in means)

    def cell(label: str, gate: str) -> Cell | None:
        mean = means.get((label, gate))
        if mean is None:
            return None
        title = f"{gate} on {label}: {mean:.3f}, mean of {len(own[label, gate])} layers"
        return Cell(f"{mean:.2f}", mean, title)

    visible = set(sorted(labels, key=oddness, reverse=True)[:MOST_LABELS])
    body = tuple((label, tuple(cell(label, gate) for gate in gates)) for label in labels if label in visible)
    title = "Mean gate by true label"
    if len(visible) < len(labels):
        title += f": the {len(visible)} of {len(labels)} farthest from the mean"
    return HeatMap(title, "label", gates, body, ("0 closed", "1 open"))


def _layer_map(title: str, cells: dict[tuple[int, str], Cell], scale: tuple[str, str]) -> HeatMap:
    """Put the layer nearest to the output on top."""
    columns = tuple(dict.fromkeys(column for _, column in cells))
    body = tuple(
        (str(layer), tuple(cells.get((layer, column)) for column in columns))
        for layer in sorted({layer for layer, _ in cells}, reverse=True)
    )
    return HeatMap(title, "layer", columns, body, scale)


def _described(row: ReportedGate) -> str:
    return (
        f"{row.gate}, layer {row.layer}: mean {row.mean:.3f}, sd {row.sd:.3f}, 5 % to 95 %: {row.q05:.2f} to "
        f"{row.q95:.2f}; above 0.5 in {row.share_active:.0%} of {row.n:,} examples; began at {row.initial_mean:.3f}"
        + ("" if row.null_mean is None else f"; {row.null_mean:.3f} when trained on shuffled labels")
    )

"""Tables whose cells are shaded by their value: gates by layer and by label, ablation by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from unipelt_search.methods.catalogue import stored_method
from unipelt_search.records.report import ReportedAblation, ReportedGate, StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.frames import final_gates

MOST_LABELS = 20
"""Labels that a table has at most before the rest is folded away."""


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
    """The rows on which the gates were recorded."""
    maps: tuple[HeatMap, ...]


def gated_trials(report: StudyReport) -> list[GatedTrial]:
    """Lay out the gates of every gated method's trial on the leaderboard.

    Args:
        report: The report.

    Returns:
        One entry per gated method, those with more submodules first.
    """
    on_leaderboard = {row.trial for row in report.leaderboard}
    by_trial: dict[int, list[ReportedGate]] = {}
    for row in report.gates:
        if row.trial in on_leaderboard:
            by_trial.setdefault(row.trial, []).append(row)
    return [_gated_trial(rows) for rows in sorted(by_trial.values(), key=_most_submodules_first)]


def _gated_trial(rows: Sequence[ReportedGate]) -> GatedTrial:
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
    return GatedTrial(
        name=first.name,
        trial=first.trial,
        runs=first.runs,
        epoch=first.epoch,
        split=first.split,
        maps=tuple(maps),
    )


def ablation_maps(rows: Sequence[ReportedAblation]) -> list[HeatMap]:
    """Lay out the drop per layer × submodule for every method with more than one submodule.

    Args:
        rows: Ablation rows of any kind.

    Returns:
        One map per method, all on one scale; a gain counts as no drop.
    """
    several = [row for row in rows if len(stored_method(row.method).submodules) > 1]
    layered = [(row.layer, row) for row in several if row.layer is not None]
    # One scale for all methods, so that their losses can be compared by colour.
    largest = max((row.drop for _, row in layered), default=0.0)
    cells: dict[str, dict[tuple[int, str], Cell]] = defaultdict(dict)
    for layer, row in layered:
        title = f"{row.value:.3f} without {row.submodule} in layer {layer}"
        shade = max(row.drop, 0.0) / largest if largest > 0 else 0.0
        cell = Cell(formats.signed(-row.drop), shade, title)
        cells[row.name][layer, row.submodule] = cell
    scale = ("no loss", formats.signed(-largest))
    return [_layer_map(name, of_method, scale) for name, of_method in cells.items()]


def _most_submodules_first(rows: Sequence[ReportedGate]) -> tuple[int, int]:
    first = rows[0]
    return -len(stored_method(first.method).submodules), first.trial


def _gates_by_layer(rows: Sequence[ReportedGate]) -> HeatMap:
    cells = {}
    for row in rows:
        cells[row.layer, row.gate] = Cell(f"{row.mean:.2f}", row.mean, _described(row))
    return _layer_map("Mean gate by layer", cells, ("0 closed", "1 open"))


def _beyond_null(rows: Sequence[ReportedGate]) -> HeatMap:
    """Show how far gates are from where training on shuffled labels leaves them."""
    moved = {}
    for row in rows:
        if row.null_mean is not None:
            moved[row.layer, row.gate] = row.mean - row.null_mean
    # The colours show what stands out within this method, so the largest value has the deepest one.
    largest = max(map(abs, moved.values())) or 1.0
    cells = {}
    for (layer, gate), value in moved.items():
        title = f"{gate}, layer {layer}: {value:+.3f} beyond the value after training on shuffled labels"
        cells[layer, gate] = Cell(formats.signed(value), abs(value) / largest, title)
    return _layer_map("Mean gate minus its value after training on shuffled labels", cells, ("0", f"±{largest:.2f}"))


def _contributions(rows: Sequence[ReportedGate]) -> HeatMap:
    values = {}
    for row in rows:
        if row.contribution is not None:
            values[row.layer, row.gate] = row.contribution
    largest = max(values.values()) or 1.0
    cells = {}
    for (layer, gate), value in values.items():
        title = f"{gate}, layer {layer}: changes the output by {value:.1%}"
        cells[layer, gate] = Cell(f"{value:.2f}", value / largest, title)
    return _layer_map("Contribution ‖with − without‖ / ‖with‖", cells, ("0", f"{largest:.2f}"))


def _gates_by_label(rows: Sequence[ReportedGate]) -> HeatMap:
    gates = tuple(dict.fromkeys(row.gate for row in rows))
    labels = list(dict.fromkeys(row.label for row in rows if row.label is not None))
    over_layers: dict[tuple[str | None, str], list[float]] = defaultdict(list)
    for row in rows:
        over_layers[row.label, row.gate].append(row.mean)
    cells: dict[tuple[str | None, str], Cell] = {}
    for (label, gate), values in over_layers.items():
        mean = fmean(values)
        title = f"{gate} on {label}: {mean:.3f}, mean of {len(values)} layers"
        cells[label, gate] = Cell(f"{mean:.2f}", mean, title)
    chosen = _farthest_labels(labels, cells, gates)
    body = []
    for label in labels:
        if label in chosen:
            row_cells = tuple(cells.get((label, gate)) for gate in gates)
            body.append((label, row_cells))
    title = "Mean gate by true label"
    if len(chosen) < len(labels):
        title += f": the {len(chosen)} of {len(labels)} farthest from the mean"
    return HeatMap(title, "label", gates, tuple(body), ("0 closed", "1 open"))


def _farthest_labels(
    labels: Sequence[str], cells: Mapping[tuple[str | None, str], Cell], gates: Sequence[str]
) -> set[str]:
    """Choose the labels with a gate that is farthest from the mean of all labels; the shade of a cell is its gate."""
    farthest = dict.fromkeys(labels, 0.0)
    # A label that lacks a gate is compared by the gates that it has.
    for gate in gates:
        found = {label: cells[label, gate].shade for label in labels if (label, gate) in cells}
        middle = fmean(found.values())
        for label, shade in found.items():
            farthest[label] = max(farthest[label], abs(shade - middle))
    return set(sorted(labels, key=lambda label: -farthest[label])[:MOST_LABELS])


def _layer_map(title: str, cells: dict[tuple[int, str], Cell], scale: tuple[str, str]) -> HeatMap:
    """Put the layer nearest to the output on top."""
    columns = tuple(dict.fromkeys(column for _, column in cells))
    body = []
    for layer in sorted({layer for layer, _ in cells}, reverse=True):
        row = tuple(cells.get((layer, column)) for column in columns)
        body.append((str(layer), row))
    return HeatMap(title, "layer", columns, tuple(body), scale)


def _described(row: ReportedGate) -> str:
    parts = [
        f"{row.gate}, layer {row.layer}: mean {row.mean:.3f}, sd {row.sd:.3f}, 5 % to 95 %: {row.q05:.2f} to "
        f"{row.q95:.2f}",
        f"above 0.5 in {row.share_active:.0%} of {row.n:,} examples",
        f"began at {row.initial_mean:.3f}",
    ]
    if row.null_mean is not None:
        parts.append(f"{row.null_mean:.3f} when trained on shuffled labels")
    return "; ".join(parts)

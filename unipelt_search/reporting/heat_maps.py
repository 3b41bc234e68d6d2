"""Tables whose cells are shaded by their value: gates by layer and by label, ablation by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from unipelt_search.methods.catalogue import stored_method
from unipelt_search.records.report import GatesOfRuns, ReportedAblation, ReportedGate, ReportedTask, StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.frames import final_gates
from unipelt_search.reporting.gate_words import DIFFER, agreement, farthest_apart, summarise

_BAR_HEIGHT = 16.0
_MOST_RUNS = 5
"""Runs that a tooltip lists."""
MOST_LABELS = 20
"""Labels that a table has at most before the rest is folded away."""


@dataclass(frozen=True)
class Cell:
    """One value of a heat map."""

    text: str
    shade: float
    """From 0 to 1; the style sheet makes the colour of it."""
    title: str
    other: tuple[str, float] | None = None
    """A second half, as text and shade, where one colour would stand for no run."""


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
class Apart:
    """A gate on which the runs disagree."""

    gate: str
    layer: int
    lowest: str
    """The run with the lowest median: the median, and the range of its examples."""
    highest: str
    between: str
    """The standard deviation of the runs' means."""
    bars: str
    """The gate over all examples of all runs as an SVG path in a box of `BINS` × 16; empty where it is not known."""


@dataclass(frozen=True)
class GatedTrial:
    """The gates of one trial."""

    name: str
    trial: int
    runs: int
    epoch: float
    split: str
    """The rows on which the gates were recorded."""
    agreement: str
    """Whether the runs say the same."""
    apart: tuple[Apart, ...]
    """The gates on which the runs disagree, the farthest apart first, `MOST_LABELS` at most."""
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
        agreement=agreement(final),
        apart=tuple(_apart(row) for row in farthest_apart(final)[:MOST_LABELS]),
        maps=tuple(maps),
    )


def _apart(row: ReportedGate) -> Apart:
    runs = row.per_run
    medians = runs.q50 if runs else ()
    order = sorted(range(len(medians)), key=medians.__getitem__)
    return Apart(
        gate=row.gate,
        layer=row.layer,
        lowest=_of_run(runs, order[0]) if runs else "",
        highest=_of_run(runs, order[-1]) if runs else "",
        between=f"{row.between_sd or 0.0:.2f}",
        bars=_bars(row.histogram or ()),
    )


def _of_run(runs: GatesOfRuns, position: int) -> str:
    """Describe one run of a gate: its number, the median, and, where they are known, the ends of its examples."""
    text = f"run {runs.run[position]}: {runs.q50[position]:.2f}"
    if runs.q05 is None or runs.q95 is None:
        return text
    return f"{text} ({runs.q05[position]:.2f} to {runs.q95[position]:.2f})"


def _bars(counts: Sequence[int]) -> str:
    """Draw a histogram as a path, from the lower left; the highest bar is as high as the box."""
    highest = max(counts, default=0)
    if not highest:
        return ""
    heights = [_BAR_HEIGHT - round(_BAR_HEIGHT * count / highest, 1) for count in counts]
    steps = " ".join(f"V{height:g}h1" for height in heights)
    return f"M0 {_BAR_HEIGHT:g}{steps}V{_BAR_HEIGHT:g}Z"


def ablation_maps(rows: Sequence[ReportedAblation], task: ReportedTask) -> list[HeatMap]:
    """Lay out the drop per layer × submodule for every gated method.

    Args:
        rows: Ablation rows of any kind.
        task: What the scores are of.

    Returns:
        One map per method, all on one scale; a gain counts as no drop.
    """
    gated = [row for row in rows if stored_method(row.method).gated]
    layered = [(row.layer, row) for row in gated if row.layer is not None]
    # A loss lowers a score, and raises an error.
    sign = 1 if task.direction == "minimize" else -1
    # One scale for all methods, so that their losses can be compared by colour.
    largest = max((row.drop for _, row in layered), default=0.0)
    cells: dict[str, dict[tuple[int, str], Cell]] = defaultdict(dict)
    for layer, row in layered:
        title = f"{row.value:.3f} without {row.submodule} in layer {layer}"
        shade = max(row.drop, 0.0) / largest if largest > 0 else 0.0
        cell = Cell(formats.signed(sign * row.drop), shade, title)
        cells[row.name][layer, row.submodule] = cell
    scale = ("no loss", formats.signed(sign * largest))
    return [_layer_map(name, of_method, scale) for name, of_method in cells.items()]


def _most_submodules_first(rows: Sequence[ReportedGate]) -> tuple[int, int]:
    first = rows[0]
    return -len(stored_method(first.method).submodules), first.trial


def _gates_by_layer(rows: Sequence[ReportedGate]) -> HeatMap:
    cells = {(row.layer, row.gate): _gate_cell([row], _described(row)) for row in rows}
    return _layer_map("Mean gate by layer", cells, ("0 closed", "1 open"))


def _gate_cell(rows: Sequence[ReportedGate], title: str) -> Cell:
    """Show a gate over layers: its mean, or the lowest and the highest run where the runs disagree."""
    found = summarise(rows)
    if not found.apart:
        return Cell(found.text, found.mean, title)
    return Cell(f"{found.low:.2f}", found.low, title, (f"{DIFFER} {found.high:.2f}", found.high))


def _beyond_null(rows: Sequence[ReportedGate]) -> HeatMap:
    """Show how far gates are from where training on shuffled labels leaves them, in the runs that had this control."""
    moved = {}
    for row in rows:
        if row.null_mean is not None:
            moved[row.layer, row.gate] = _own_mean(row) - row.null_mean
    # The colours show what stands out within this method, so the largest value has the deepest one.
    largest = max(map(abs, moved.values())) or 1.0
    cells = {}
    for (layer, gate), value in moved.items():
        title = f"{gate}, layer {layer}: {value:+.3f} beyond the value after training on shuffled labels"
        cells[layer, gate] = Cell(formats.signed(value), abs(value) / largest, title)
    return _layer_map("Mean gate minus its value after training on shuffled labels", cells, ("0", f"±{largest:.2f}"))


def _own_mean(row: ReportedGate) -> float:
    """Return the mean of the runs that had a control: the others may stand elsewhere, whatever the labels."""
    if row.per_run is None or row.per_run.null_mean is None:
        return row.mean
    pairs = zip(row.per_run.mean, row.per_run.null_mean, strict=True)
    return fmean(mean for mean, null in pairs if null is not None)


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
    over_layers: dict[tuple[str | None, str], list[ReportedGate]] = defaultdict(list)
    for row in rows:
        over_layers[row.label, row.gate].append(row)
    cells: dict[tuple[str | None, str], Cell] = {}
    means: dict[tuple[str | None, str], float] = {}
    for (label, gate), of_layers in over_layers.items():
        found = summarise(of_layers)
        title = f"{gate} on {label}: {found.mean:.3f}, mean of {found.layers} layers"
        if found.apart:
            title += f"; the runs disagree in {found.apart} of them, where the lowest and the highest run are shown"
        cells[label, gate] = _gate_cell(of_layers, title)
        means[label, gate] = found.mean
    chosen = _farthest_labels(labels, means, gates)
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
    labels: Sequence[str], means: Mapping[tuple[str | None, str], float], gates: Sequence[str]
) -> set[str]:
    """Choose the labels with a gate that is farthest from the mean of all labels."""
    farthest = dict.fromkeys(labels, 0.0)
    # A label that lacks a gate is compared by the gates that it has.
    for gate in gates:
        found = {label: means[label, gate] for label in labels if (label, gate) in means}
        middle = fmean(found.values())
        for label, mean in found.items():
            farthest[label] = max(farthest[label], abs(mean - middle))
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
    parts = [f"{row.gate}, layer {row.layer}: mean {row.mean:.3f}, sd {row.sd:.3f}"]
    if row.q05 is not None and row.q95 is not None:
        parts.append(f"5 % to 95 % of all examples: {row.q05:.2f} to {row.q95:.2f}")
    parts.append(f"above 0.5 in {row.share_active:.0%} of {row.n:,} examples")
    parts.append(f"began at {row.initial_mean:.3f}")
    if row.null_mean is not None:
        parts.append(f"{row.null_mean:.3f} when trained on shuffled labels")
    if row.per_run is not None:
        parts += _runs_described(row.per_run)
    if row.agrees is not None:
        parts.append("the runs agree" if row.agrees else "the runs disagree")
    return "; ".join(parts)


def _runs_described(runs: GatesOfRuns) -> list[str]:
    """Describe the runs by median and range; of many only the lowest and the highest."""
    order = sorted(range(len(runs.run)), key=runs.q50.__getitem__)
    chosen = range(len(runs.run)) if len(order) <= _MOST_RUNS else (order[0], order[-1])
    return [_of_run(runs, position) for position in chosen]

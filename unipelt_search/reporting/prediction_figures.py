"""What the predictions say, as figures and tables: calibration, thresholds, rows that every method misses, agreement.

Lengths are in the units of the SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import fmean
from typing import Literal

from unipelt_search.records.report import (
    CalibrationBin,
    MissedRow,
    ReportedAgreement,
    ReportedCalibration,
    ReportedThresholds,
    StudyReport,
)
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.figures import Axis, upward_ticks
from unipelt_search.reporting.heat_maps import Cell, HeatMap
from unipelt_search.reporting.line_charts import LineChart, line_chart

_DIAGRAMS = 6
"""Labels whose diagrams are shown, where every label has one."""
_ROOM = 72
"""Letters of column names that fit side by side."""


@dataclass(frozen=True)
class ReliabilityBar:
    """One bin: how high it is, and how high it would be if its probabilities came true."""

    x: float
    y: float
    width: float
    height: float
    said: float
    """The y of the mean probability."""
    title: str


@dataclass(frozen=True)
class ReliabilityDiagram:
    """Shares that came true against probabilities."""

    title: str
    size: float
    """Width and height between the axes' ends."""
    bars: tuple[ReliabilityBar, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    described: str
    """What the diagram shows, for those who cannot see it."""


@dataclass(frozen=True)
class CalibrationRow:
    """The calibration error of one method."""

    name: str
    ece: float
    """The mean over runs, and over labels where every label has one."""
    lowest: float
    """Of the runs."""
    highest: float
    runs: int


@dataclass(frozen=True)
class CalibrationFigures:
    """How well probabilities are calibrated."""

    split: Literal["select", "test"]
    best: CalibrationRow
    rows: tuple[CalibrationRow, ...]
    """Every confirmed method, in the leaderboard's order."""
    of_labels: bool
    """Whether every label has a probability for itself."""
    diagrams: tuple[ReliabilityDiagram, ...]
    """Of the best method; where every label has one, of those with the highest error."""


@dataclass(frozen=True)
class ThresholdFigures:
    """What another threshold would do."""

    method: str
    label: str | None
    chart: LineChart
    on_select: bool
    """Whether the curve is that of the deciding rows."""
    sentence: str
    """Which threshold is best there, and what it gives on the test rows."""


@dataclass(frozen=True)
class DoubtfulRow:
    """A row whose label may be wrong, as a report writes it."""

    origin: str
    label: str
    predicted: str
    share: str
    probability: str


@dataclass(frozen=True)
class MissedTable:
    """The rows that every confirmed method misses."""

    rows: tuple[DoubtfulRow, ...]
    predicted: str
    """What the column of predictions is called."""
    sentence: str
    """How many there are."""


def calibration_figures(report: StudyReport, size: float = 200) -> CalibrationFigures | None:
    """Lay out how well the probabilities of the confirmed methods are calibrated.

    Args:
        report: The report.
        size: Units between the ends of a diagram's axes.

    Returns:
        The figures, on the test rows if there are any; None where the best method has kept no probabilities.
    """
    entries = _on_one_split(report)
    of_best = [entry for entry in entries if entry.name == report.verdict.name]
    if not of_best:
        return None
    with_bins = [entry for entry in of_best if entry.bins]
    worst_first = sorted(with_bins, key=lambda entry: -entry.ece)[:_DIAGRAMS]
    names = dict.fromkeys(row.name for row in report.leaderboard)
    known = {entry.name for entry in entries}
    rows = [_calibration_row(name, entries) for name in names if name in known]
    return CalibrationFigures(
        split=of_best[0].split,
        best=_calibration_row(of_best[0].name, of_best),
        rows=tuple(rows),
        of_labels=of_best[0].label is not None,
        diagrams=tuple(_diagram(entry, size) for entry in worst_first),
    )


def _on_one_split(report: StudyReport) -> list[ReportedCalibration]:
    """Return the entries of the test rows, or those of the deciding rows where nothing is known of the former."""
    on_test = [entry for entry in report.calibration if entry.split == "test"]
    return on_test or list(report.calibration)


def _calibration_row(name: str, entries: Sequence[ReportedCalibration]) -> CalibrationRow:
    of_labels = [entry.ece_of_runs for entry in entries if entry.name == name]
    by_run = [fmean(errors) for errors in zip(*of_labels, strict=True)]
    return CalibrationRow(name, fmean(by_run), min(by_run), max(by_run), len(by_run))


def _diagram(entry: ReportedCalibration, size: float) -> ReliabilityDiagram:
    axis = Axis(0.0, 1.0, size)
    title = "The predicted label" if entry.label is None else entry.label
    bars = tuple(_bar(held, axis) for held in entry.bins)
    said = "; ".join(bar.title for bar in bars)
    return ReliabilityDiagram(
        title=title,
        size=size,
        bars=bars,
        x_ticks=tuple((axis.position(tick), formats.tick(tick)) for tick in axis.ticks),
        y_ticks=upward_ticks(axis),
        described=f"{title}: calibration error {entry.ece:.3f}. {said}",
    )


def _bar(held: CalibrationBin, axis: Axis) -> ReliabilityBar:
    left, right = axis.position(held.low), axis.position(held.high)
    height = axis.position(held.share)
    return ReliabilityBar(
        x=left,
        y=round(axis.width - height, 1),
        width=round(right - left, 1),
        height=height,
        said=round(axis.width - axis.position(held.probability), 1),
        title=(
            f"{formats.count(held.n)} with a probability of {held.low:.2f} to {held.high:.2f}, {held.probability:.2f} "
            f"in the mean: {formats.share(held.share)} came true"
        ),
    )


def threshold_figures(report: StudyReport, width: float = 300, height: float = 180) -> ThresholdFigures | None:
    """Lay out what the best method would score at other thresholds.

    Args:
        report: The report.
        width: Units between the ends of the axis.
        height: Units between the ends of the axis.

    Returns:
        The curve on the deciding rows, where a threshold may be chosen; None where the task has none, or no
        probabilities were kept.
    """
    by_split = {entry.split: entry for entry in report.thresholds}
    entry = by_split.get("select") or by_split.get("test")
    if entry is None:
        return None
    lines = {}
    for name, values in (("precision", entry.precision), ("recall", entry.recall), ("F1", entry.f1)):
        points = _points(entry.threshold, values)
        if points:
            lines[name] = points
    sentence = _threshold_sentence(entry, by_split.get("test"), report)
    axis = Axis(0.0, 1.0, width)
    chart = line_chart(
        "Precision, recall and F1 by threshold",
        lines,
        (axis, Axis(0.0, 1.0, height)),
        sentence,
        x_unit="threshold",
    )
    ticks = tuple((axis.position(tick), formats.tick(tick)) for tick in axis.ticks)
    return ThresholdFigures(
        method=entry.name,
        label=entry.label,
        chart=replace(chart, x_ticks=ticks),
        on_select=entry.split == "select",
        sentence=sentence,
    )


def _points(thresholds: Sequence[float], values: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(x, value) for x, value in zip(thresholds, values, strict=True) if value is not None]


def _threshold_sentence(entry: ReportedThresholds, on_test: ReportedThresholds | None, report: StudyReport) -> str:
    known = [(f1, number) for number, f1 in enumerate(entry.f1) if f1 is not None]
    if not known:
        return "No row has the label, so no threshold can be judged."
    # Of equally good thresholds the one next to a probability of one half.
    best, number = max(known, key=lambda pair: (pair[0], -abs(entry.threshold[pair[1]] - 0.5)))
    threshold = formats.tick(entry.threshold[number])
    where = formats.deciding_rows(report.task) if entry.split == "select" else "the test rows"
    sentence = f"On {where} F1 is highest at a threshold of {threshold}: {formats.score(best)}"
    if on_test is None or on_test is entry:
        return f"{sentence}."
    half = on_test.threshold.index(0.5)
    return (
        f"{sentence}. On the test rows it is {formats.score(on_test.f1[number])} there, and "
        f"{formats.score(on_test.f1[half])} at 0.5."
    )


def missed_table(report: StudyReport) -> MissedTable | None:
    """Lay out the rows that every confirmed method misses in most of its runs.

    Args:
        report: The report.

    Returns:
        The rows with what is doubtful about each; None where nobody has looked, or no row is missed by all.
    """
    missed = report.missed
    if missed is None or not missed.rows:
        return None
    counts = []
    if missed.select:
        rows = " rows" if report.task.folds else ""
        counts.append(f"{formats.count(missed.select)}{rows} of {formats.deciding_rows(report.task)}")
    if missed.test:
        counts.append(f"{formats.count(missed.test)} of the test rows")
    methods = len(missed.methods)
    who = f"most of their runs all {methods} confirmed methods miss"
    if methods == 1:
        who = f"most of its runs {missed.methods[0]} misses"
    far = "" if report.task.labels else ", by more than three standard deviations of a run's errors"
    found = (missed.select or 0) + (missed.test or 0)
    some = f" Here are the {len(missed.rows)} of which the runs are surest." if found > len(missed.rows) else ""
    return MissedTable(
        rows=tuple(map(_doubtful_row, missed.rows)),
        predicted="most runs predict" if report.task.labels else "mean prediction",
        sentence=f"In {who} {' and '.join(counts)}{far}.{some}",
    )


def _doubtful_row(row: MissedRow) -> DoubtfulRow:
    origin = f"row {row.row} of {row.split}"
    if row.file is not None:
        origin = f"{row.unit} {row.line} of {row.file}"
    return DoubtfulRow(
        origin=origin,
        label=_joined(row.label),
        predicted=_joined(row.predicted),
        share=formats.share(row.share),
        probability=formats.number(row.probability, 2),
    )


def _joined(label: str | tuple[str, ...]) -> str:
    if isinstance(label, str):
        return label
    return ", ".join(label) or formats.NONE


def agreement_maps(report: StudyReport) -> list[HeatMap]:
    """Lay out how far every two methods agree.

    Args:
        report: The report.

    Returns:
        The share of equal predictions and Cohen's kappa, on the test rows if there are any; nothing for one method.
    """
    entries = [entry for entry in report.agreement if entry.split == "test"] or list(report.agreement)
    if not entries:
        return []
    known = set(chain.from_iterable(entry.methods for entry in entries))
    names = tuple(dict.fromkeys(row.name for row in report.leaderboard if row.name in known))
    by_pair = {entry.methods: entry for entry in entries}
    return [_equal_map(names, by_pair), _kappa_map(names, by_pair)]


_Pairs = dict[tuple[str, str], ReportedAgreement]


def _equal_map(names: tuple[str, ...], by_pair: _Pairs) -> HeatMap:
    def cell(entry: ReportedAgreement) -> Cell:
        title = f"{' and '.join(entry.methods)}: {100 * entry.equal:.1f} % equal predictions"
        return Cell(f"{100 * entry.equal:.0f}", entry.equal, title)

    cells = {pair: cell(entry) for pair, entry in by_pair.items()}
    return _square("Equal predictions, in %", names, cells, ("0 %", "100 %"))


def _kappa_map(names: tuple[str, ...], by_pair: _Pairs) -> HeatMap:
    cells = {}
    for pair, entry in by_pair.items():
        if entry.kappa is not None:
            title = f"{' and '.join(pair)}: kappa {formats.score(entry.kappa)}"
            # Below 0 is less than by chance, for which there is no paler colour.
            cells[pair] = Cell(formats.number(entry.kappa, 2), max(entry.kappa, 0.0), title)
    return _square("Cohen's kappa: agreement beyond chance", names, cells, ("0", "1"))


def _square(title: str, names: tuple[str, ...], cells: dict[tuple[str, str], Cell], scale: tuple[str, str]) -> HeatMap:
    body = []
    for row in names:
        in_row = tuple(cells.get((row, column)) or cells.get((column, row)) for column in names)
        body.append((row, in_row))
    tall = sum(max(len(name), 5) for name in names) > _ROOM
    return HeatMap(title, "", names, tuple(body), scale, tall=tall)

"""Scores by label: the best method's, every confirmed method's, and which labels are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unipelt_search.records.report import LabelScore, ReportedOutcomes, StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.heat_maps import MOST_LABELS, Cell, HeatMap

_ROOM = 72
"""Letters of column names that fit side by side."""


@dataclass(frozen=True)
class ConfusedPair:
    """A true label, what it was taken for, and how often."""

    label: str
    predicted: str
    n: int
    share: float
    """Of the rows that have the true label."""


@dataclass(frozen=True)
class LabelTables:
    """How well the best method predicts each label on the test rows."""

    method: str
    runs: int
    several: bool
    """Whether a row may have any number of labels."""
    visible: tuple[LabelScore, ...]
    """The lowest F1 first; those without one last."""
    rest: tuple[LabelScore, ...]
    confusion: HeatMap | None
    """With few labels, each of them against each."""
    pairs: tuple[ConfusedPair, ...]
    """With many labels, the pairs that are confused most often."""
    confused: int
    """Pairs that are confused at all."""
    by_method: HeatMap | None
    """F1 of every confirmed method; None with a single one."""


def label_tables(report: StudyReport) -> LabelTables | None:
    """Lay out scores by label.

    Args:
        report: The report.

    Returns:
        The tables; None where no confirmed run has counted its predictions.
    """
    entries = {entry.name: entry for entry in report.outcomes if entry.split == "test"}
    best = entries.get(report.verdict.name or "")
    if best is None:
        return None
    # None sorts before no number in Python, so labels without an F1 are moved to the end by a flag.
    scores = sorted(best.labels, key=lambda score: (score.f1 is None, score.f1, -score.support))
    several = any(cell.label is None or cell.predicted is None for cell in best.confusion)
    pairs = [] if several else _confused(best)
    few = len(scores) <= MOST_LABELS
    return LabelTables(
        method=best.name,
        runs=best.runs,
        several=several,
        visible=tuple(scores[:MOST_LABELS]),
        rest=tuple(scores[MOST_LABELS:]),
        confusion=_confusion(best) if few and not several else None,
        pairs=() if few else tuple(pairs[:MOST_LABELS]),
        confused=len(pairs),
        by_method=_by_method(list(entries.values())) if len(entries) > 1 else None,
    )


def _confused(entry: ReportedOutcomes) -> list[ConfusedPair]:
    support = {score.label: score.support for score in entry.labels}
    pairs = []
    for cell in entry.confusion:
        if cell.label is not None and cell.predicted is not None and cell.label != cell.predicted:
            share = cell.n / support[cell.label]
            pairs.append(ConfusedPair(cell.label, cell.predicted, cell.n, share))
    return sorted(pairs, key=lambda pair: (-pair.n, -pair.share))


def _confusion(entry: ReportedOutcomes) -> HeatMap:
    names = tuple(score.label for score in entry.labels)
    counts = {(cell.label, cell.predicted): cell.n for cell in entry.confusion}

    def cell(score: LabelScore, predicted: str) -> Cell | None:
        n = counts.get((score.label, predicted), 0)
        if not n:
            return None
        taken = "found" if predicted == score.label else f"taken for {predicted}"
        title = f"{score.label} {taken}: {n:,} of {score.support:,} rows, {formats.share(n / score.support)}"
        return Cell(f"{100 * n / score.support:.0f}", n / score.support, title)

    body = []
    for score in entry.labels:
        row = tuple(cell(score, predicted) for predicted in names)
        body.append((score.label, row))
    title = "Where the rows of a label go, in %"
    return HeatMap(title, "true ↓ predicted →", names, tuple(body), ("0 %", "100 %"), empty="·", tall=_is_tall(names))


def _by_method(entries: Sequence[ReportedOutcomes]) -> HeatMap:
    found = {(entry.name, score.label): score for entry in entries for score in entry.labels}
    methods = tuple(entry.name for entry in entries)
    labels = [score.label for score in entries[0].labels]

    def spread(label: str) -> float:
        values = [found[method, label].f1 or 0.0 for method in methods]
        return max(values) - min(values)

    chosen = set(sorted(labels, key=lambda label: -spread(label))[:MOST_LABELS])

    def cell(method: str, label: str) -> Cell | None:
        score = found[method, label]
        if score.f1 is None:
            return None
        parts = f"precision {formats.score(score.precision)}, recall {formats.score(score.recall)}"
        return Cell(f"{score.f1:.2f}", score.f1, f"{method} on {label}: F1 {score.f1:.3f}, {parts}")

    body = []
    for label in labels:
        if label in chosen:
            row = tuple(cell(method, label) for method in methods)
            body.append((label, row))
    title = "F1 by method"
    if len(chosen) < len(labels):
        title += f": the {len(chosen)} labels of {len(labels)} that differ most"
    return HeatMap(title, "label", methods, tuple(body), ("0", "1"), tall=_is_tall(methods))


def _is_tall(columns: Sequence[str]) -> bool:
    return sum(max(len(column), 5) for column in columns) > _ROOM

"""What is written of a gate where there are several runs: one figure where they agree, else how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from unipelt_search.records.report import ReportedGate
from unipelt_search.verdict.gate_statistics import MIDDLE

DIFFER = "≠"
"""Between the lowest and the highest run, where the runs do not agree."""


@dataclass(frozen=True)
class GateSummary:
    """A gate in one layer, or over several."""

    mean: float
    """Over runs and layers."""
    low: float
    """Of the layers in which the runs disagree, the lowest run's mean; where there are none, the mean."""
    high: float
    """The highest run's."""
    layers: int
    apart: int
    """Layers in which the runs disagree."""

    @property
    def text(self) -> str:
        """The mean, or the lowest and the highest run."""
        if not self.apart:
            return f"{self.mean:.2f}"
        return f"{self.low:.2f} {DIFFER} {self.high:.2f}{self._where}"

    @property
    def _where(self) -> str:
        return f" in {self.apart} of {self.layers}" if self.layers > 1 else ""


def summarise(rows: Sequence[ReportedGate]) -> GateSummary:
    """Summarise a gate over layers.

    Args:
        rows: One row per layer, one at least.

    Returns:
        The summary. The lowest and the highest run are those of each layer, so that layers do not make up for one
        another.
    """
    mean = fmean(row.mean for row in rows)
    ranges = [(min(row.per_run.mean), max(row.per_run.mean)) for row in rows if row.per_run and row.agrees is False]
    if not ranges:
        return GateSummary(mean, mean, mean, len(rows), 0)
    low = fmean(lowest for lowest, _ in ranges)
    high = fmean(highest for _, highest in ranges)
    return GateSummary(mean, low, high, len(rows), len(ranges))


def farthest_apart(rows: Sequence[ReportedGate]) -> list[ReportedGate]:
    """Choose the gates on which the runs disagree.

    Args:
        rows: Rows of one trial over all labels, one per layer × gate.

    Returns:
        Those whose runs disagree: first those that are open in one run and closed in another, the farthest apart first.
    """
    apart = [row for row in rows if row.agrees is False and row.per_run is not None]
    return sorted(apart, key=lambda row: (not _is_opposite(row), -(row.between_sd or 0.0)))


def _is_opposite(row: ReportedGate) -> bool:
    return row.per_run is not None and min(row.per_run.q50) < MIDDLE < max(row.per_run.q50)


def agreement(rows: Sequence[ReportedGate]) -> str:
    """Say whether the runs of a trial agree on its gates.

    Args:
        rows: Rows of one trial over all labels, one per layer × gate, one at least.

    Returns:
        A sentence or two.
    """
    runs = max(row.runs for row in rows)
    if runs < 2:
        return "One run: whether other seeds open the same gates is not known."
    apart = farthest_apart(rows)
    if not apart:
        return f"The {runs} runs agree on all {len(rows)} gates."
    return f"{DIFFER}: the {runs} runs disagree on {len(apart)} of {len(rows)} gates. {_example(apart[0])}"


def _example(row: ReportedGate) -> str:
    medians = row.per_run.q50 if row.per_run else (row.mean,)
    low = min(medians)
    high = max(medians)
    where = f"{row.gate} in layer {row.layer}"
    if _is_opposite(row):
        return f"For example, {where} is open in one run (median {high:.2f}) and closed in another ({low:.2f})."
    return f"For example, the median of {where} is {low:.2f} in one run and {high:.2f} in another."

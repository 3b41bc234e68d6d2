"""Gate statistics pooled over the runs of a trial, and what each run has beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from unipelt_search.kinds.label_kind import Label
from unipelt_search.records.history import RunRecord, StudyRecord, TrialRecord
from unipelt_search.records.report import GatesOfRuns, ReportedGate
from unipelt_search.records.results import GateName, GateRow, RunResult
from unipelt_search.specs.seeds import run_number
from unipelt_search.verdict.gate_statistics import (
    QUANTILES,
    between_runs,
    gates_by_name,
    histogram,
    quantiles,
    runs_agree,
)

_SAME = ("stack", "layer", "gate", "split", "label")
_AVERAGED = ("mean", "share_active", "initial_mean")
_FEWEST = 20
"""Gates of a run from which quantiles are taken where not all of its rows have been kept."""
_DIGITS = 9
"""Decimals of a gate in a report: it was measured with seven."""
_RUN_DIGITS = 8
_SHORT_DIGITS = 4
"""Decimals of a run's gate on one label or at one epoch, of which there are many."""
_MOST_RUNS = 5
"""Runs that are listed for one label or one epoch; of more only the lowest and the highest."""


@dataclass(frozen=True)
class RunRow:
    """A run's row of a gate."""

    run: int
    """The run's number, as in the curves."""
    row: GateRow


class KeptGates:
    """The gates that the runs of a trial have kept, all runs together."""

    def __init__(self, results: Sequence[RunResult], labels: Sequence[str]) -> None:
        """Put the runs' gates one after another.

        Args:
            results: What the runs have measured.
            labels: The task's labels.
        """
        self._runs = len(results)
        self._gates = _pooled(results)
        self._labels = _rows_by_label(results, labels)

    def of(self, row: GateRow, n: int) -> np.ndarray | None:
        """Return the gates that a row is about, of all runs together.

        Args:
            row: The row of one of the runs.
            n: The examples of all runs that their rows are about.

        Returns:
            ``(m,)``; None where they were not kept, or so few of them that they do not show how all are spread.
        """
        values = self._gates.get(GateName(stack=row.stack, layer=row.layer, gate=row.gate))
        if row.split != "select" or values is None:
            return None
        if row.label is not None:
            if row.label not in self._labels:
                return None
            values = values[self._labels[row.label]]
        return values if len(values) >= min(n, _FEWEST * self._runs) else None


def pool_gates(record: StudyRecord) -> Iterator[ReportedGate]:
    """Pool every gated trial's rows over its confirmed runs; with none confirmed yet, over its search runs.

    Args:
        record: The study with its details.

    Yields:
        Rows by trial, in the order in which the runs recorded them.
    """
    runs = [run for trial in record.trials for run in trial.runs]
    confirmed = any(run.phase == "confirm" and run.result for run in runs)
    for trial in record.trials:
        chosen = [run for run in trial.runs if run.result is not None and (run.phase == "confirm") == confirmed]
        yield from _pool_trial(record, trial, chosen)


def _pool_trial(record: StudyRecord, trial: TrialRecord, runs: Sequence[RunRecord]) -> Iterator[ReportedGate]:
    groups: dict[tuple[object, ...], list[RunRow]] = {}
    results = []
    for run in runs:
        if run.result is None or not run.result.gates:
            continue
        results.append(run.result)
        number = run_number(run.seed_index, run.fold, record.task.folds)
        for row in run.result.gates:
            groups.setdefault(_key(row), []).append(RunRow(number, row))
    kept = KeptGates(results, record.task.labels)
    for rows in groups.values():
        yield pool_rows(trial, rows, kept)


def pool_rows(trial: TrialRecord, of_runs: Sequence[RunRow], kept: KeptGates) -> ReportedGate:
    """Pool the rows that different runs have for the same gate, layer, rows and label.

    Mean, sd, share, contribution and initial mean follow from those of the runs and are exactly those of all examples
    together (law of total variance). Quantiles do not: they come from the gates themselves.

    Args:
        trial: Whose rows they are.
        of_runs: One per run.
        kept: The gates of the trial's runs.

    Returns:
        The pooled row.
    """
    rows = [of_run.row for of_run in of_runs]
    first = rows[0]
    n = sum(row.n for row in rows)
    values = kept.of(first, n)
    shared = {name: getattr(first, name) for name in _SAME}
    averaged: dict[str, Any] = {name: _weighted_mean(rows, name) for name in _AVERAGED}
    recorded = all(row.contribution is not None for row in rows)
    # The label-shuffled control is trained for one run only.
    controlled = [row for row in rows if row.null_mean is not None]
    counts = histogram(values) if values is not None and first.label is None else None
    return ReportedGate(
        trial=trial.number,
        method=trial.method,
        variant=trial.variant,
        runs=len(rows),
        epoch=_epoch(rows),
        n=n,
        sd=_rounded(_pooled_sd(rows)),
        contribution=_weighted_mean(rows, "contribution") if recorded else None,
        null_mean=_weighted_mean(controlled, "null_mean") if controlled else None,
        histogram=counts,
        **shared,
        **averaged,
        **_quantiles(rows, values),
        **_compared(of_runs, pooled=values is not None),
    )


def row_of_run(row: ReportedGate, run: int) -> ReportedGate:
    """Return a row of the final weights with the mean of one of its runs.

    Args:
        row: The row, of all labels together.
        run: The run's number, as in the curves.

    Returns:
        The row; as it is where it is of one run.
    """
    if row.per_run is None or run not in row.per_run.run:
        return row
    return row.model_copy(update={"mean": row.per_run.mean[row.per_run.run.index(run)]})


def _quantiles(rows: Sequence[GateRow], values: np.ndarray | None) -> dict[str, Any]:
    """Return the quantiles of one run as it measured them, those of several from all of their gates."""
    found: dict[str, Any] = dict.fromkeys(QUANTILES)
    if len(rows) == 1:
        found = {name: getattr(rows[0], name) for name in QUANTILES}
    elif values is not None:
        found = quantiles(values)
    return {name: None if value is None else _rounded(value) for name, value in found.items()}


def _compared(of_runs: Sequence[RunRow], *, pooled: bool) -> dict[str, Any]:
    """Return what the runs have side by side, and whether they say the same; nothing for one run."""
    if len(of_runs) < 2:
        return {}
    rows = [of_run.row for of_run in of_runs]
    means = [row.mean for row in rows]
    agrees = runs_agree([row.q50 for row in rows], means, [row.sd for row in rows])
    found: dict[str, Any] = {"between_sd": _rounded(between_runs(means)), "agrees": agrees}
    # Labels are many: where their runs are pooled and say the same, they need not be shown one by one.
    if rows[0].label is None or not pooled or not agrees:
        found["per_run"] = _side_by_side(of_runs)
    return found


def _side_by_side(of_runs: Sequence[RunRow]) -> GatesOfRuns:
    first = of_runs[0].row
    if first.split == "tune" or first.label is not None:
        return _columns(_outermost(of_runs), ("mean", "q50"), _SHORT_DIGITS)
    names = ["mean", "q50", "q05", "q95", "share_active"]
    if any(of_run.row.null_mean is not None for of_run in of_runs):
        names.append("null_mean")
    return _columns(of_runs, names, _RUN_DIGITS)


def _outermost(of_runs: Sequence[RunRow]) -> Sequence[RunRow]:
    """Choose the runs with the lowest and the highest mean, if there are many, in their order."""
    if len(of_runs) <= _MOST_RUNS:
        return of_runs
    by_mean = sorted(of_runs, key=lambda of_run: of_run.row.mean)
    return [of_run for of_run in of_runs if of_run in (by_mean[0], by_mean[-1])]


def _columns(of_runs: Sequence[RunRow], names: Sequence[str], digits: int) -> GatesOfRuns:
    columns: dict[str, Any] = {}
    for name in names:
        values = [getattr(of_run.row, name) for of_run in of_runs]
        columns[name] = tuple(None if value is None else round(value, digits) for value in values)
    return GatesOfRuns(run=tuple(of_run.run for of_run in of_runs), **columns)


def _weighted_mean(rows: Sequence[GateRow], name: str) -> float:
    """Average a statistic over the runs, each weighted by its examples."""
    total = sum(row.n * getattr(row, name) for row in rows)
    return _rounded(total / sum(row.n for row in rows))


def _pooled_sd(rows: Sequence[GateRow]) -> float:
    n = sum(row.n for row in rows)
    if n < 2:
        return 0.0
    mean = sum(row.n * row.mean for row in rows) / n
    within = sum((row.n - 1) * row.sd**2 for row in rows)
    between = sum(row.n * (row.mean - mean) ** 2 for row in rows)
    return sqrt((within + between) / (n - 1))


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)


def _epoch(rows: Sequence[GateRow]) -> float:
    """Return the epoch that all rows share; an average could differ from it in the last digit."""
    epochs = {row.epoch for row in rows}
    return epochs.pop() if len(epochs) == 1 else _weighted_mean(rows, "epoch")


def _key(row: GateRow) -> tuple[object, ...]:
    # Rows on select are of a run's best weights, which stand at an epoch of their own in every run.
    epoch = row.epoch if row.split == "tune" else None
    return (epoch, *(getattr(row, name) for name in _SAME))


def _pooled(results: Sequence[RunResult]) -> dict[GateName, np.ndarray]:
    """Put the gates of runs ``(m,)`` one after another; none where a run has not kept its own."""
    kept = [result.gate_values for result in results if result.gate_values is not None]
    if not kept or len(kept) < len(results):
        return {}
    by_run = [gates_by_name(values) for values in kept]
    pooled = {}
    for name in kept[0].gates:
        parts = [gates[name] for gates in by_run if name in gates]
        if len(parts) == len(by_run):
            pooled[name] = np.concatenate(parts)
    return pooled


def _rows_by_label(results: Sequence[RunResult], labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Tell for each label which of the rows of `_pooled` have it, ``(m,)``; nothing where that is not known."""
    true = [_kept_labels(result) for result in results]
    if not all(true):
        return {}
    of_all = [label for of_run in true for label in of_run]
    found = {}
    for position, label in enumerate(labels):
        found[label] = np.array([_has(given, position) for given in of_all], dtype=bool)
    return found


def _kept_labels(result: RunResult) -> list[Label]:
    """Return the true label of each row whose gates a run has kept; none where its predictions were not."""
    select = [part for part in result.predictions if part.split == "select"]
    if result.gate_values is None or not select:
        return []
    return [select[0].labels[row] for row in result.gate_values.rows]


def _has(label: Label, position: int) -> bool:
    """Tell whether a row has the label of a position."""
    return position in label if isinstance(label, tuple) else label == position

"""Gate statistics pooled over the runs of a trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from statistics import fmean
from typing import Any

from unipelt_search.records.history import StudyRecord, TrialRecord
from unipelt_search.records.report import ReportedGate
from unipelt_search.records.results import GateRow

_SAME = ("stack", "layer", "gate", "split", "label")
_AVERAGED = ("q05", "q25", "q50", "q75", "q95", "share_active", "initial_mean")


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
        groups: dict[tuple[object, ...], list[GateRow]] = {}
        for run in trial.runs:
            if run.result is not None and (run.phase == "confirm") == confirmed:
                for row in run.result.gates:
                    groups.setdefault(_key(row), []).append(row)
        for rows in groups.values():
            yield pool_rows(trial, rows)


def pool_rows(trial: TrialRecord, rows: Sequence[GateRow]) -> ReportedGate:
    """Pool the rows that different runs have for the same gate, layer, rows and label.

    The mean and the sd are exactly those of all examples together (law of total variance); quantiles, shares and
    contributions are means over the runs, weighted by their examples.

    Args:
        trial: Whose rows they are.
        rows: One per run.

    Returns:
        The pooled row.
    """
    n = sum(row.n for row in rows)
    shared = {name: getattr(rows[0], name) for name in _SAME}
    averaged: dict[str, Any] = {name: _weighted_mean(rows, name) for name in _AVERAGED}
    # The label-shuffled control is trained for one run only.
    nulls = [row.null_mean for row in rows if row.null_mean is not None]
    recorded = all(row.contribution is not None for row in rows)
    return ReportedGate(
        trial=trial.number,
        method=trial.method,
        variant=trial.variant,
        runs=len(rows),
        epoch=_epoch(rows),
        n=n,
        mean=_weighted_mean(rows, "mean"),
        sd=_pooled_sd(rows),
        contribution=_weighted_mean(rows, "contribution") if recorded else None,
        null_mean=fmean(nulls) if nulls else None,
        **shared,
        **averaged,
    )


def _weighted_mean(rows: Sequence[GateRow], name: str) -> float:
    """Average a statistic over the runs, each weighted by its examples."""
    total = sum(row.n * getattr(row, name) for row in rows)
    return float(total / sum(row.n for row in rows))


def _pooled_sd(rows: Sequence[GateRow]) -> float:
    n = sum(row.n for row in rows)
    if n < 2:
        return 0.0
    mean = _weighted_mean(rows, "mean")
    within = sum((row.n - 1) * row.sd**2 for row in rows)
    between = sum(row.n * (row.mean - mean) ** 2 for row in rows)
    return sqrt((within + between) / (n - 1))


def _epoch(rows: Sequence[GateRow]) -> float:
    """Return the epoch that all rows share; an average could differ from it in the last digit."""
    epochs = {row.epoch for row in rows}
    return epochs.pop() if len(epochs) == 1 else _weighted_mean(rows, "epoch")


def _key(row: GateRow) -> tuple[object, ...]:
    # Rows on select are of a run's best weights, which stand at an epoch of their own in every run.
    epoch = row.epoch if row.split == "tune" else None
    return (epoch, *(getattr(row, name) for name in _SAME))

"""Gate statistics pooled over the runs of a trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from statistics import fmean

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
    confirmed = any(run.phase == "confirm" and run.result for trial in record.trials for run in trial.runs)
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
    mean = sum(row.n * row.mean for row in rows) / n
    within = sum((row.n - 1) * row.sd**2 for row in rows)
    between = sum(row.n * (row.mean - mean) ** 2 for row in rows)
    contributions = [row.n * row.contribution for row in rows if row.contribution is not None]
    epochs = {row.epoch for row in rows}
    # The null is trained for one run only.
    nulls = [row.null_mean for row in rows if row.null_mean is not None]
    averaged = {name: sum(row.n * getattr(row, name) for row in rows) / n for name in _AVERAGED}
    return ReportedGate(
        trial=trial.number,
        method=trial.method,
        variant=trial.variant,
        runs=len(rows),
        epoch=epochs.pop() if len(epochs) == 1 else sum(row.n * row.epoch for row in rows) / n,
        **{name: getattr(rows[0], name) for name in _SAME},
        n=n,
        mean=mean,
        sd=sqrt((within + between) / (n - 1)) if n > 1 else 0.0,
        contribution=sum(contributions) / n if len(contributions) == len(rows) else None,
        null_mean=fmean(nulls) if nulls else None,
        **averaged,
    )


def _key(row: GateRow) -> tuple[object, ...]:
    # Rows on select are of a run's best weights, which stand at an epoch of their own in every run.
    epoch = row.epoch if row.split == "tune" else None
    return (epoch, *(getattr(row, name) for name in _SAME))

"""A report's tables as pandas frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from unipelt_search.errors import RequestError
from unipelt_search.kinds.label_kind import Label
from unipelt_search.methods.catalogue import stored_method
from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import (
    CurvePoint,
    LabelScore,
    ReportedAblation,
    ReportedGate,
    ReportedOutcomes,
    StudyReport,
)
from unipelt_search.records.results import Predictions
from unipelt_search.records.row_origins import RowOrigins
from unipelt_search.specs.seeds import run_number
from unipelt_search.verdict.gate_statistics import gates_by_name
from unipelt_search.verdict.row_scores import probabilities_of

By = Literal["layer", "label", "epoch"]
_PREDICTION_COLUMNS = ["method", "variant", "trial", "run", "split", "row", "file", "line", "label", "predicted"]
_GATE_VALUE_COLUMNS = ["method", "variant", "trial", "run", "stack", "layer", "gate", "row", "value"]
_GATE_COLUMNS = [
    "method", "variant", "epoch", "layer", "gate", "label", "n", "mean", "sd", "q05", "q25", "q50", "q75", "q95",
    "share_active", "contribution", "initial_mean", "null_mean", "trial", "runs", "between_sd", "agrees", "run_mean",
    "run_q05", "run_q50", "run_q95",
]  # fmt: skip


def leaderboard_frame(report: StudyReport) -> pd.DataFrame:
    """Lay out the leaderboard.

    Args:
        report: The report.

    Returns:
        One row per method, best first; intervals as columns ``validation``, ``validation_low``, … and the
        configuration as columns ``config.…``.
    """
    rows = []
    for row in report.leaderboard:
        flat: dict[str, object] = row.model_dump(exclude={"config", "validation", "test", "difference_to_best"})
        for name in ("validation", "test", "difference_to_best"):
            interval = getattr(row, name)
            flat[name] = interval.mean if interval else None
            flat[f"{name}_low"] = interval.low if interval else None
            flat[f"{name}_high"] = interval.high if interval else None
        for name, value in row.config.items():
            flat[f"config.{name}"] = value
        rows.append(flat)
    return pd.DataFrame(rows)


def gates_frame(report: StudyReport, by: By = "layer", trial: int | None = None) -> pd.DataFrame:
    """Lay out gate statistics.

    Args:
        report: The report.
        by: As for `chosen_gates`.
        trial: Only this trial.

    Returns:
        One row per row of `chosen_gates`. A cell of ``run_…`` is a list with an entry per run, or empty where the
        report does not have the runs side by side.

    Raises:
        RequestError: The trial has no gate statistics.
    """
    rows = chosen_gates(report, by, trial)
    return pd.DataFrame([_gate_cells(row) for row in rows], columns=_GATE_COLUMNS)


def chosen_gates(report: StudyReport, by: By = "layer", trial: int | None = None) -> list[ReportedGate]:
    """Choose the gate rows of a table.

    Args:
        report: The report.
        by: `layer` and `label` are of the final weights on the deciding rows; `epoch` is how the gates moved on the
            tune rows while training. Where nothing was confirmed, `layer` is the last of these.
        trial: Only this trial.

    Returns:
        One row per layer × gate, × label or × epoch, for each gated trial; none where no trial has gates.

    Raises:
        RequestError: The trial has no gate statistics.
    """
    rows = list(report.gates) if trial is None else _gates_of_trial(report, trial)
    if by == "epoch":
        return [row for row in rows if row.split == "tune"]
    if by == "label":
        return [row for row in rows if row.split == "select" and row.label is not None]
    return final_gates(rows)


def _gate_cells(row: ReportedGate) -> dict[str, object]:
    cells: dict[str, object] = {name: getattr(row, name, None) for name in _GATE_COLUMNS}
    for name in ("mean", "q05", "q50", "q95"):
        of_runs = None if row.per_run is None else getattr(row.per_run, name)
        cells[f"run_{name}"] = None if of_runs is None else list(of_runs)
    return cells


def _gates_of_trial(report: StudyReport, trial: int) -> list[ReportedGate]:
    rows = [row for row in report.gates if row.trial == trial]
    if not rows:
        numbers = sorted({row.trial for row in report.gates})
        known = ", ".join(map(str, numbers)) or "none"
        raise RequestError(f"--trial must be a gated trial with statistics; got {trial}, there are: {known}.")
    return rows


def outcomes_frame(report: StudyReport) -> pd.DataFrame:
    """Lay out the scores by label.

    Args:
        report: The report.

    Returns:
        One row per confirmed method × split × label, with support, precision, recall and F1; empty where no confirmed
        run has counted its predictions.
    """
    rows = []
    for entry in report.outcomes:
        of_entry = entry.model_dump(exclude={"labels", "confusion"})
        rows += [of_entry | score.model_dump() for score in entry.labels]
    entry_columns = [name for name in ReportedOutcomes.model_fields if name not in {"labels", "confusion"}]
    return pd.DataFrame(rows, columns=[*entry_columns, *LabelScore.model_fields])


def curves_frame(report: StudyReport) -> pd.DataFrame:
    """Lay out the learning curves.

    Args:
        report: The report.

    Returns:
        One row per evaluation of every run, scored on the tune rows.
    """
    rows = [point.model_dump() for point in report.curves]
    return pd.DataFrame(rows, columns=list(CurvePoint.model_fields))


def ablation_frame(report: StudyReport) -> pd.DataFrame:
    """Lay out the scores without a submodule.

    Args:
        report: The report.

    Returns:
        One row per method × submodule, with ``layer`` missing where it was removed in all layers.
    """
    rows = [row.model_dump() for row in report.ablation]
    return pd.DataFrame(rows, columns=list(ReportedAblation.model_fields))


def ablated(report: StudyReport) -> list[ReportedAblation]:
    """Choose the ablation rows that reports show: submodules of gated methods, removed from all layers.

    A method with one submodule is left out: without it the head remains, which the leaderboard compares with it
    already, over all seeds and rows.

    Args:
        report: The report; those of older studies have rows of every method.

    Returns:
        The rows.
    """
    return [row for row in report.ablation if row.layer is None and stored_method(row.method).gated]


def predictions_frame(record: StudyRecord) -> pd.DataFrame:
    """Lay out the predictions of every confirmed run, row by row.

    Args:
        record: The study with its details.

    Returns:
        One row per confirmed run × split × row of it. ``row`` is counted from 0 in the split's order, with folds in
        that of train and then validation; ``file`` and ``line`` say where it stands in what the user gave, and are
        missing where nobody knows. ``label`` and ``predicted`` are names, numbers for regression, and tuples of names
        for sets of labels. ``probability.<name>`` is the probability of each label, missing where it was not kept.
    """
    tables = []
    for trial in record.trials:
        for run in trial.runs:
            # Runs of older versions kept no predictions and add no rows.
            for predictions in run.result.predictions if run.result is not None else ():
                of_run = {
                    "method": trial.method,
                    "variant": trial.variant,
                    "trial": trial.number,
                    "run": run_number(run.seed_index, run.fold, record.task.folds),
                }
                tables.append(_predictions_of_run(of_run, predictions, record))
    if tables:
        return pd.concat(tables, ignore_index=True)
    return pd.DataFrame(columns=[*_PREDICTION_COLUMNS, *map(_probability_column, record.task.labels)])


def _predictions_of_run(of_run: Mapping[str, object], predictions: Predictions, record: StudyRecord) -> pd.DataFrame:
    labels = record.task.labels
    numbers = range(len(predictions.labels)) if predictions.rows is None else predictions.rows
    columns: dict[str, object] = {**of_run, "split": predictions.split, "row": numbers}
    columns |= _origin_columns(predictions.split, numbers, record.origins)
    columns["label"] = [_named(label, labels) for label in predictions.labels]
    columns["predicted"] = [_named(label, labels) for label in predictions.predicted]
    frame = pd.DataFrame(columns)
    if not labels:
        return frame
    shares = probabilities_of(predictions)
    if shares is None:
        shares = np.full((len(frame), len(labels)), np.nan, dtype=np.float32)
    names = [_probability_column(label) for label in labels]
    return pd.concat([frame, pd.DataFrame(shares, columns=names)], axis=1)


def _origin_columns(split: str, numbers: Sequence[int], origins: Sequence[RowOrigins]) -> dict[str, object]:
    """Return the columns that lead back to the user's files, with one type whether they are known or not."""
    known = next((of_split for of_split in origins if of_split.split == split), None)
    files: list[str | None] = [None] * len(numbers)
    lines: list[int | None] = [None] * len(numbers)
    if known is not None:
        files = [known.sources[known.source_of[number]].name for number in numbers]
        lines = [known.numbers[number] for number in numbers]
    return {"file": pd.Series(files, dtype=object), "line": pd.array(lines, dtype="Int64")}


def _probability_column(label: str) -> str:
    return f"probability.{label}"


def gate_values_frame(record: StudyRecord) -> pd.DataFrame:
    """Lay out the gates that confirmed runs have kept, one by one.

    Args:
        record: The study with its details.

    Returns:
        One row per run × layer × gate × select row; ``row`` is counted from 0 in the order of the run's predictions on
        select. Empty where no run has kept its gates, as in studies of older versions.
    """
    tables = []
    for trial in record.trials:
        for run in trial.runs:
            kept = None if run.result is None else run.result.gate_values
            if kept is None:
                continue
            number = run_number(run.seed_index, run.fold, record.task.folds)
            of_run = {"method": trial.method, "variant": trial.variant, "trial": trial.number, "run": number}
            for name, values in gates_by_name(kept).items():
                columns = {**of_run, **name.model_dump(), "row": kept.rows, "value": values}
                tables.append(pd.DataFrame(columns)[_GATE_VALUE_COLUMNS])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_GATE_VALUE_COLUMNS)


def _named(label: Label, names: Sequence[str]) -> str | float | tuple[str, ...]:
    """Return a label by its name, a set of labels by their names, and a number as it is."""
    if isinstance(label, tuple):
        return tuple(names[position] for position in label)
    return names[label] if isinstance(label, int) else label


def final_gates(rows: Sequence[ReportedGate]) -> list[ReportedGate]:
    """Choose the overall rows of the final weights: on deciding rows, else each trial's last on tune rows.

    Args:
        rows: A report's gate rows; either every trial in them is confirmed or none is.

    Returns:
        One row per trial × layer × gate.
    """
    # Gates on the deciding rows are those of the weights that were kept.
    select = [row for row in rows if row.split == "select" and row.label is None]
    if select:
        return select
    last: dict[int, float] = {}
    for row in rows:
        last[row.trial] = max(row.epoch, last.get(row.trial, row.epoch))
    return [row for row in rows if row.epoch == last[row.trial]]

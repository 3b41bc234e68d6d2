"""What the predictions of confirmed runs say beyond their scores: calibration, thresholds, missed rows, agreement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from unipelt_search.kinds.label_kind import Label, Target
from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import (
    CalibrationBin,
    MissedRow,
    ReportedAgreement,
    ReportedCalibration,
    ReportedMisses,
    ReportedThresholds,
)
from unipelt_search.records.row_origins import RowOrigins
from unipelt_search.verdict.calibration import BINS, Bins, Calibration, calibrations
from unipelt_search.verdict.candidates import Candidate
from unipelt_search.verdict.method_agreement import method_agreement
from unipelt_search.verdict.missed_rows import MissedRows, missed_rows
from unipelt_search.verdict.predicted_rows import PredictedRows, Split, predicted_rows
from unipelt_search.verdict.threshold_curve import THRESHOLDS, threshold_curve

MOST_MISSED = 50
"""Missed rows that a report lists."""
_LAST_WITHOUT = 2
"""The last edition whose reports said nothing of missed rows."""

_OfSplit = Mapping[str, Sequence[PredictedRows]]
"""By name, what each method's runs predicted on one split."""


@dataclass(frozen=True)
class PooledPredictions:
    """What a report has of the predictions, in the order of its methods; nothing in studies of older versions."""

    calibration: tuple[ReportedCalibration, ...] = ()
    thresholds: tuple[ReportedThresholds, ...] = ()
    missed: ReportedMisses | None = None
    agreement: tuple[ReportedAgreement, ...] = ()


def pool_predictions(record: StudyRecord, confirmed: Sequence[Candidate], best: str | None) -> PooledPredictions:
    """Pool the predictions of the confirmed methods.

    Args:
        record: The study with its details.
        confirmed: Its confirmed methods.
        best: The name of the best one.

    Returns:
        What they say: of numbers only which rows are missed. Nothing where no run has kept its probabilities, and for
        numbers in studies of editions whose reports said nothing of it.
    """
    target = record.task.target
    by_split: dict[Split, _OfSplit] = {}
    for split in get_args(Split):
        by_split[split] = {candidate.name: predicted_rows(candidate, split, target) for candidate in confirmed}
    if not target.label_kind.has_labels and record.edition > _LAST_WITHOUT:
        return PooledPredictions(missed=_missed(by_split, target, record.origins))
    if not any(_has_probabilities(methods) for methods in by_split.values()):
        return PooledPredictions()
    candidates = {candidate.name: candidate for candidate in confirmed}
    calibration: list[ReportedCalibration] = []
    thresholds: list[ReportedThresholds] = []
    agreement: list[ReportedAgreement] = []
    for split, methods in by_split.items():
        for name, runs in methods.items():
            calibration += _calibration(candidates[name], split, runs, target, with_bins=name == best)
        if best is not None:
            thresholds += _thresholds(candidates[best], split, methods[best], target)
        agreement += _agreement(split, methods)
    return PooledPredictions(
        calibration=tuple(calibration),
        thresholds=tuple(thresholds),
        missed=_missed(by_split, target, record.origins),
        agreement=tuple(agreement),
    )


def _has_probabilities(methods: _OfSplit) -> bool:
    return any(run.probabilities is not None for runs in methods.values() for run in runs)


def _calibration(
    candidate: Candidate,
    split: Split,
    runs: Sequence[PredictedRows],
    target: Target,
    *,
    with_bins: bool,
) -> Iterator[ReportedCalibration]:
    for found in calibrations(runs):
        bins = _bins(found.pooled) if found.label is None or with_bins else ()
        yield ReportedCalibration(
            **_of_method(candidate),
            runs=len(found.errors),
            split=split,
            label=_label_name(found, target),
            ece=found.error,
            ece_of_runs=found.errors,
            bins=tuple(bins),
        )


def _label_name(found: Calibration, target: Target) -> str | None:
    return None if found.label is None else target.labels[found.label]


def _bins(pooled: Bins) -> Iterator[CalibrationBin]:
    for number in np.flatnonzero(pooled.counts).tolist():
        n = int(pooled.counts[number])
        yield CalibrationBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            n=n,
            probability=float(pooled.probabilities[number]) / n,
            share=float(pooled.hits[number]) / n,
        )


def _thresholds(
    candidate: Candidate, split: Split, runs: Sequence[PredictedRows], target: Target
) -> Iterator[ReportedThresholds]:
    curve = threshold_curve(runs, target)
    if curve is not None:
        yield ReportedThresholds(
            **_of_method(candidate),
            runs=sum(run.probabilities is not None for run in runs),
            split=split,
            label=None if target.positive is None else target.labels[target.positive],
            positives=curve.positives,
            threshold=tuple(THRESHOLDS.tolist()),
            precision=tuple(curve.precision),
            recall=tuple(curve.recall),
            f1=tuple(curve.f1),
        )


def _of_method(candidate: Candidate) -> dict[str, Any]:
    return {"method": candidate.method, "variant": candidate.trial.variant, "trial": candidate.trial.number}


def _agreement(split: Split, methods: _OfSplit) -> Iterator[ReportedAgreement]:
    for pair in method_agreement(methods):
        yield ReportedAgreement(split=split, methods=pair.methods, equal=pair.equal, kappa=pair.kappa)


def _missed(by_split: Mapping[Split, _OfSplit], target: Target, origins: Sequence[RowOrigins]) -> ReportedMisses | None:
    counts: dict[Split, int | None] = {}
    rows: list[tuple[float, MissedRow]] = []
    methods: list[str] = []
    by_name = {of_split.split: of_split for of_split in origins}
    for split, of_split in by_split.items():
        found = missed_rows(of_split)
        counts[split] = None if found is None else found.count
        if found is not None:
            first = found.first(MOST_MISSED)
            in_order = _missed_rows(split, first, target, by_name.get(split))
            rows += zip(first.sureness.tolist(), in_order, strict=True)
            methods += [name for name, runs in of_split.items() if runs and name not in methods]
    # A sort keeps the order of equals, so rows of one split stay as they were.
    rows.sort(key=_sureness, reverse=True)
    return ReportedMisses(
        methods=tuple(methods),
        select=counts["select"],
        test=counts["test"],
        rows=tuple(row for _, row in rows[:MOST_MISSED]),
    )


def _sureness(entry: tuple[float, MissedRow]) -> float:
    sureness, _ = entry
    return sureness


def _missed_rows(split: Split, found: MissedRows, target: Target, origins: RowOrigins | None) -> Iterator[MissedRow]:
    labels = target.from_array(found.labels)
    predicted = [_rounded(label) for label in target.from_array(found.predicted)]
    for position, row in enumerate(found.rows.tolist()):
        source = None if origins is None else origins.sources[origins.source_of[row]]
        yield MissedRow(
            split=split,
            row=row,
            file=None if source is None else source.name,
            line=None if origins is None else origins.numbers[row],
            unit=None if source is None else source.unit,
            label=_named(labels[position], target),
            predicted=_named(predicted[position], target),
            share=float(found.shares[position]),
            probability=None if found.probabilities is None else float(found.probabilities[position]),
        )


def _rounded(label: Label) -> Label:
    """Keep six digits of a predicted number, of which no more are known."""
    return float(f"{label:.6g}") if isinstance(label, float) else label


def _named(label: Label, target: Target) -> str | tuple[str, ...]:
    """Write a label; a number as the user has it."""
    if isinstance(label, tuple):
        return tuple(target.labels[position] for position in label)
    return target.decode(label)

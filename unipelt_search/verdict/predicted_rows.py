"""What confirmed runs predicted, as arrays over all rows of a split, so that runs can be compared row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from unipelt_search.kinds.label_kind import Target
from unipelt_search.records.results import Predictions
from unipelt_search.verdict.candidates import Candidate, ConfirmedRun
from unipelt_search.verdict.row_scores import probabilities_of

Split = Literal["select", "test"]
_FAR = 3.0
"""A number is far from the true one by more than so many standard deviations of the run's errors."""
_NORMAL_SD = 1.4826
"""The standard deviation of a normal variable in units of its median distance from 0, which outliers do not move."""


@dataclass(frozen=True, eq=False)
class PredictedRows:
    """One prediction for every row of a split, by one run or by the runs of all folds."""

    key: tuple[int, int]
    """The seed index, and which of the seed's runs it is: what two methods' predictions are paired by. With folds the
    select rows are predicted by all runs of a seed together, which are number 0."""
    labels: np.ndarray
    """``(n,)``, or ``(n, L)`` of 0 and 1 where a row has any number of labels: what is true."""
    predicted: np.ndarray
    """The same shape."""
    probabilities: np.ndarray | None
    """``(n, outputs)`` of float32; None where they were not kept."""

    @property
    def wrong(self) -> np.ndarray:
        """``(n,)``, whether the prediction is not what is true, in whole; of numbers, whether it is far from that."""
        if self.are_numbers:
            errors = np.abs(self.labels - self.predicted)
            return np.asarray(errors > _FAR * _NORMAL_SD * np.median(errors))
        differs = self.labels != self.predicted
        return differs.any(axis=1) if differs.ndim == 2 else differs

    @property
    def are_numbers(self) -> bool:
        """Whether predictions are numbers, of which no two are the same."""
        return self.predicted.dtype.kind == "f"


def predicted_rows(candidate: Candidate, split: Split, target: Target) -> tuple[PredictedRows, ...]:
    """Lay out what a method's confirmed runs predicted.

    Args:
        candidate: The method.
        split: Which rows.
        target: What is predicted.

    Returns:
        By seed index: one entry per run, and with folds for the select rows one per seed. Runs whose predictions were
        not kept have none.
    """
    found = []
    for seed_index, of_seed in groupby(candidate.confirmed, lambda run: run.seed_index):
        for number, parts in enumerate(_parts(list(of_seed), split)):
            if parts:
                found.append(_joined((seed_index, number), parts, target))
    return tuple(found)


def prediction_codes(predicted: np.ndarray) -> np.ndarray:
    """Return a number for every prediction, equal ones for equal predictions.

    Args:
        predicted: ``(n,)``, or ``(n, L)`` of 0 and 1, of which a row as a whole is a prediction.

    Returns:
        ``(n,)``, numbers from 0.
    """
    if predicted.ndim == 2:
        packed = np.packbits(predicted.astype(np.uint8), axis=1)
        # As one value per row, which is sorted far sooner than a row of a matrix.
        predicted = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    return np.unique(predicted, return_inverse=True)[1]


def _parts(runs: Sequence[ConfirmedRun], split: Split) -> list[list[Predictions]]:
    """Split the runs of a seed into what predicts every row once; one of which something is missing is empty."""
    predictions = [run.predictions(split) for run in runs]
    kept = [part for part in predictions if part is not None and part.labels]
    if split == "select" and any(part.rows is not None for part in kept):
        return [kept if len(kept) == len(runs) else []]
    return [[] if part is None or not part.labels else [part] for part in predictions]


def _joined(key: tuple[int, int], parts: Sequence[Predictions], target: Target) -> PredictedRows:
    labels = np.concatenate([target.to_array(part.labels) for part in parts])
    predicted = np.concatenate([target.to_array(part.predicted) for part in parts])
    arrays = [array for part in parts if (array := probabilities_of(part)) is not None]
    probabilities = np.concatenate(arrays) if len(arrays) == len(parts) else None
    order = _order(parts)
    return PredictedRows(
        key=key,
        labels=labels[order],
        predicted=predicted[order],
        probabilities=None if probabilities is None else probabilities[order],
    )


def _order(parts: Sequence[Predictions]) -> np.ndarray:
    """Return the positions that put the rows of several folds into the order of the split."""
    numbers = []
    for part in parts:
        numbers.append(np.arange(len(part.labels)) if part.rows is None else np.asarray(part.rows))
    return np.argsort(np.concatenate(numbers), kind="stable")

"""Rows that every confirmed method misses in most of its runs: their labels may be wrong, or their texts hard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from unipelt_search.verdict.predicted_rows import PredictedRows, prediction_codes

_MOST = 0.5
"""A method misses a row in most of its runs when it does so in more than this share of them."""


@dataclass(frozen=True, eq=False)
class MissedRows:
    """The rows that all methods miss, the one of which the runs are surest first."""

    rows: np.ndarray
    """``(k,)``, their numbers in the split."""
    labels: np.ndarray
    """``(k,)`` or ``(k, L)``: what is true."""
    predicted: np.ndarray
    """The same shape: what most runs predicted; of numbers the mean."""
    shares: np.ndarray
    """``(k,)``, the share of the runs that predicted it; of numbers, that predicted one far from what is true."""
    probabilities: np.ndarray | None
    """``(k,)``, the mean probability of what they predicted; where a row has any number of labels, of the label on
    which they differ most from what is true: that it is there, or that it is not. None where no run has kept any."""
    sureness: np.ndarray
    """``(k,)``, what they are ordered by: the probability, else the share; of numbers the error of the mean."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.rows)

    def first(self, count: int) -> MissedRows:
        """Return the first so many of them."""
        return _sorted(self, np.arange(min(count, self.count)))


def missed_rows(methods: Mapping[str, Sequence[PredictedRows]]) -> MissedRows | None:
    """Find the rows that every method misses in most of its runs.

    Args:
        methods: By name, each one's predictions on the same rows; a method without any is left out.

    Returns:
        The rows, those first whose runs are surest of what they predict; None where no method has predictions.
    """
    known = [runs for runs in methods.values() if runs]
    if not known:
        return None
    rows = _missed_by_all(known)
    every_run = list(chain.from_iterable(known))
    labels = every_run[0].labels[rows]
    if every_run[0].are_numbers:
        found = _missed_numbers(every_run, rows, labels)
    else:
        found = _missed_labels(every_run, rows, labels)
    return _sorted(found, np.argsort(-found.sureness, kind="stable"))


def _missed_numbers(runs: Sequence[PredictedRows], rows: np.ndarray, labels: np.ndarray) -> MissedRows:
    predicted = np.asarray(np.mean([run.predicted[rows] for run in runs], axis=0))
    shares = np.asarray(np.mean([run.wrong[rows] for run in runs], axis=0))
    return MissedRows(rows, labels, predicted, shares, None, np.abs(labels - predicted))


def _missed_labels(runs: Sequence[PredictedRows], rows: np.ndarray, labels: np.ndarray) -> MissedRows:
    predicted, shares = _most_frequent([run.predicted[rows] for run in runs])
    probabilities = _probability_of_error(runs, rows, labels, predicted)
    # Without probabilities the share of runs that agree is the best there is.
    return MissedRows(
        rows, labels, predicted, shares, probabilities, shares if probabilities is None else probabilities
    )


def _missed_by_all(methods: Sequence[Sequence[PredictedRows]]) -> np.ndarray:
    missed = np.ones(len(methods[0][0].labels), dtype=bool)
    for runs in methods:
        missed &= np.mean([run.wrong for run in runs], axis=0) > _MOST
    return np.flatnonzero(missed)


def _sorted(found: MissedRows, order: np.ndarray) -> MissedRows:
    return MissedRows(
        rows=found.rows[order],
        labels=found.labels[order],
        predicted=found.predicted[order],
        shares=found.shares[order],
        probabilities=None if found.probabilities is None else found.probabilities[order],
        sureness=found.sureness[order],
    )


def _most_frequent(predictions: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return what most runs predicted for every row, and their share; of several the one that a run predicted first."""
    codes = prediction_codes(np.concatenate(predictions)).reshape(len(predictions), -1)  # (R, k)
    votes = np.stack([(codes == of_run).sum(axis=0) for of_run in codes])  # how many runs predicted the same
    chosen = votes.argmax(axis=0)
    columns = np.arange(codes.shape[1])
    return np.stack(predictions)[chosen, columns], votes[chosen, columns] / len(predictions)


def _probability_of_error(
    runs: Sequence[PredictedRows], rows: np.ndarray, labels: np.ndarray, predicted: np.ndarray
) -> np.ndarray | None:
    """Return how probable it is in the mean that rows are not what they are labelled as."""
    kept = [run.probabilities for run in runs if run.probabilities is not None]
    if not kept:
        return None
    # One after another: those of all runs together may take more memory than there is.
    total = np.zeros((len(rows), kept[0].shape[1]))
    for probabilities in kept:
        total += probabilities[rows]
    mean = total / len(kept)
    if labels.ndim == 1:
        return np.asarray(mean[np.arange(len(labels)), predicted])
    return np.asarray(np.abs(labels - mean).max(axis=1, initial=0.0))

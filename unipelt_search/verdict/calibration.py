"""Whether probabilities mean what they say: bins of a reliability diagram, and the expected calibration error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from unipelt_search.verdict.predicted_rows import PredictedRows

BINS = 15
"""Of equal width, as in Guo et al. (ICML 2017)."""
_EDGES = np.linspace(0.0, 1.0, BINS + 1)


@dataclass(frozen=True, eq=False)
class Bins:
    """Sums over the predictions in each bin; a bin holds its upper edge, the first one its lower edge too."""

    counts: np.ndarray
    """``(BINS,)``, predictions."""
    probabilities: np.ndarray
    """``(BINS,)``, the sum of what they say."""
    hits: np.ndarray
    """``(BINS,)``, how many came true."""

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over predictions of the gap of their bin.

        Source:
            Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning (AAAI 2015).
        """
        return float(np.abs(self.probabilities - self.hits).sum() / self.counts.sum())

    def plus(self, others: Bins) -> Bins:
        """Return the bins of these predictions and others."""
        return Bins(
            self.counts + others.counts,
            self.probabilities + others.probabilities,
            self.hits + others.hits,
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """How well the probabilities of a method's runs are calibrated."""

    label: int | None
    """The label whose probability it is, where a row has any number of labels; None is the predicted class's."""
    errors: tuple[float, ...]
    """The expected calibration error of every run."""
    pooled: Bins
    """Of all runs together."""

    @property
    def error(self) -> float:
        """The mean error of a run."""
        return fmean(self.errors)


def bins_of(probabilities: np.ndarray, came_true: np.ndarray) -> Bins:
    """Sort predictions into bins by their probability.

    Args:
        probabilities: ``(n,)``, from 0 to 1.
        came_true: ``(n,)``, whether what has this probability is so.

    Returns:
        The sums in every bin.
    """
    exact = probabilities.astype(np.float64)
    bins = np.searchsorted(_EDGES[1:-1], exact, side="left")
    return Bins(
        counts=np.bincount(bins, minlength=BINS),
        probabilities=np.bincount(bins, weights=exact, minlength=BINS),
        hits=np.bincount(bins, weights=came_true.astype(np.float64), minlength=BINS),
    )


def calibrations(runs: Sequence[PredictedRows]) -> tuple[Calibration, ...]:
    """Measure how well probabilities are calibrated.

    Args:
        runs: A method's predictions on the same rows; those without probabilities are left out.

    Returns:
        One entry for the predicted class; where a row has any number of labels, one per label. None where no run has
        kept its probabilities.
    """
    found: dict[int | None, list[Bins]] = {}
    for run in runs:
        for label, bins in _bins_of_run(run):
            found.setdefault(label, []).append(bins)
    return tuple(_pooled(label, of_runs) for label, of_runs in found.items())


def _bins_of_run(run: PredictedRows) -> Iterator[tuple[int | None, Bins]]:
    if run.probabilities is None:
        return
    if run.labels.ndim == 1:
        yield None, bins_of(run.probabilities.max(axis=1), ~run.wrong)
        return
    for label in range(run.labels.shape[1]):
        yield label, bins_of(run.probabilities[:, label], run.labels[:, label])


def _pooled(label: int | None, of_runs: Sequence[Bins]) -> Calibration:
    pooled = of_runs[0]
    for bins in of_runs[1:]:
        pooled = pooled.plus(bins)
    return Calibration(label, tuple(bins.error for bins in of_runs), pooled)

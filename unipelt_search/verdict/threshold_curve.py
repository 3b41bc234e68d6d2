"""What precision, recall and F1 would be if a label were predicted from another probability on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unipelt_search.kinds.label_kind import Target
from unipelt_search.verdict.predicted_rows import PredictedRows

THRESHOLDS = np.round(np.linspace(0.0, 1.0, 101), 2)
"""Fine enough to choose one, and coarse enough that a few rows do not decide."""


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Counts of all runs together, at each of `THRESHOLDS`: a label is predicted where its probability is as high."""

    true_positives: np.ndarray
    predicted: np.ndarray
    """How often a label is predicted."""
    positives: int
    """How often it is true."""

    @property
    def precision(self) -> list[float | None]:
        """Share of the predicted ones that are true; None where none is predicted."""
        return _ratios(self.true_positives, self.predicted)

    @property
    def recall(self) -> list[float | None]:
        """Share of the true ones that are predicted; None where none is true."""
        return _ratios(self.true_positives, np.full_like(self.predicted, self.positives))

    @property
    def f1(self) -> list[float | None]:
        """Harmonic mean of the two; None where none is true and none predicted."""
        return _ratios(2 * self.true_positives, self.predicted + self.positives)


def threshold_curve(runs: Sequence[PredictedRows], target: Target) -> ThresholdCurve | None:
    """Count what would be predicted at other thresholds.

    Args:
        runs: A method's predictions on the same rows; those without probabilities are left out.
        target: What is predicted; of two classes it knows the positive one.

    Returns:
        Of two classes the curve of the positive one; where a row has any number of labels, of all labels together,
        which share one threshold. None for other tasks, and where no run has kept its probabilities.
    """
    scores, truths = [], []
    for run in runs:
        if run.probabilities is None:
            continue
        if run.labels.ndim == 2:
            scores.append(run.probabilities.ravel())
            truths.append(run.labels.ravel() == 1)
        elif target.positive is not None:
            scores.append(run.probabilities[:, target.positive])
            truths.append(run.labels == target.positive)
    if not scores:
        return None
    return _curve(np.concatenate(scores), np.concatenate(truths))


def _curve(scores: np.ndarray, truths: np.ndarray) -> ThresholdCurve:
    # Compared as they are stored: 0.3 as float32 is not below a threshold of 0.3.
    thresholds = THRESHOLDS.astype(scores.dtype)
    hits = np.sort(scores[truths])
    everything = np.sort(scores)
    return ThresholdCurve(
        true_positives=hits.size - np.searchsorted(hits, thresholds, side="left"),
        predicted=everything.size - np.searchsorted(everything, thresholds, side="left"),
        positives=int(truths.sum()),
    )


def _ratios(above: np.ndarray, below: np.ndarray) -> list[float | None]:
    pairs = zip(above.tolist(), below.tolist(), strict=True)
    return [part / of if of else None for part, of in pairs]

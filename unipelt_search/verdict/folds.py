"""Means and differences where repeated k-fold gave every example to one run per repeat: runs nested in folds.

The examples' spread is taken over their means over the repeats, so an example that was predicted five times is still
one example. Folds whose means differ by more than their examples explain show the variance of runs, which is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from unipelt_search.verdict.crossed import Estimate, satterthwaite_degrees, with_interval


@dataclass(frozen=True)
class FoldedSources:
    """Where the variance of a mean over repeated k-fold comes from, each as the variance of a single value."""

    mean: float
    rows: int
    folds: int
    repeats: int
    examples: float
    """Of the score on one example, over all runs; shrinks with more rows only."""
    residuals: float
    """What is left on one example in one repeat; 0 with one repeat, whose examples hold it. May be negative, as may
    `examples` and `seed_variance`: all are estimates."""
    seed_variance: float
    """Of one run on all examples of its fold."""
    residual_variance: float
    """What a fold's examples add to the variance of its mean."""

    def error(self, repeats: int) -> tuple[float, float]:
        """Return the standard error of the mean after so many repeats, and its degrees of freedom.

        Args:
            repeats: At least 1; those that there were give the error that was measured.

        Source:
            Nested random effects with the degrees of freedom of Satterthwaite (Biometrics 1946).
        """
        runs = repeats * self.folds
        examples = max(0.0, self.examples + self.residuals / repeats) / self.rows
        parts = [(examples, self.rows - 1.0)]
        if self.seed_variance > 0:
            of_runs = (self.seed_variance + self.residual_variance) / runs
            parts.append((of_runs, repeats * (self.folds - 1.0)))
        total = examples + max(0.0, self.seed_variance) / runs
        return sqrt(total), satterthwaite_degrees(total, parts, correction=0)


def folded_sources(scores: np.ndarray, folds: np.ndarray) -> FoldedSources:
    """Estimate the variance components of repeated k-fold; for a difference of two methods give its scores.

    Args:
        scores: ``(R, n)``, a row per repeat, a column per example, the score under the run whose fold held it out, or
            one method's such scores minus another's on the same folds. A repeat that is missing is a row of NaN.
        folds: ``(R, n)``, the fold that held the example out in that repeat, from 0; 2 examples or more.

    Returns:
        The components.

    Raises:
        ValueError: When the shapes differ, no repeat is there, a score is no finite number, there is only one fold, or
            a fold is too small.
    """
    scores, folds = np.asarray(scores, dtype=np.float64), np.asarray(folds)
    if scores.ndim == 2 and scores.shape == folds.shape:
        # A repeat of which a run is missing has no scores at all.
        there = ~np.isnan(scores).all(axis=1)
        scores, folds = scores[there], folds[there]
    alike = scores.ndim == 2 and scores.shape == folds.shape
    if not alike or not scores.size or not np.isfinite(scores).all():
        raise ValueError(
            f"Scores and folds must both be (repeats, examples), the scores finite; got {scores.shape} and "
            f"{folds.shape}."
        )
    by_repeat = [_by_fold(*repeat) for repeat in zip(scores, folds, strict=True)]
    means, within, sizes = (np.array(part) for part in zip(*by_repeat, strict=True))  # (R, K) each
    repeats, count = means.shape
    # With one repeat what varies between repeats cannot be told from the examples.
    residuals = float(scores.var(axis=0, ddof=1).mean()) if repeats > 1 else 0.0
    residual_variance = float((within / sizes).mean())
    return FoldedSources(
        mean=float(scores.mean()),
        rows=scores.shape[1],
        folds=count,
        repeats=repeats,
        examples=float(scores.mean(axis=0).var(ddof=1)) - residuals / repeats,
        residuals=residuals,
        seed_variance=float(means.var(axis=1, ddof=1).mean()) - residual_variance,
        residual_variance=residual_variance,
    )


def folded_estimate(scores: np.ndarray, folds: np.ndarray) -> Estimate:
    """Estimate a mean over runs and examples from repeated k-fold; for a difference of two methods give its scores.

    Args:
        scores: ``(R, n)``, as `folded_sources` takes them.
        folds: ``(R, n)``.

    Returns:
        The mean with its standard error and 95 % interval.

    Raises:
        ValueError: As `folded_sources`.

    Source:
        As `FoldedSources.error`. Nadeau and Bengio's corrected resampled t (Machine Learning 2003) is up to twice as
        wide here: see docs/verdict.md.
    """
    sources = folded_sources(scores, folds)
    return with_interval(sources.mean, *sources.error(sources.repeats))


def _by_fold(scores: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one repeat's mean, variance and size of every fold, each ``(K,)``."""
    sizes = np.bincount(folds)
    if sizes.size < 2 or sizes.min() < 2:
        raise ValueError(f"There must be at least 2 folds of at least 2 examples each; got the sizes {sizes.tolist()}.")
    groups = [scores[folds == fold] for fold in range(sizes.size)]
    means = np.array([group.mean() for group in groups])
    variances = np.array([group.var(ddof=1) for group in groups])
    return means, variances, sizes

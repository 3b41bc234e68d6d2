"""Means and differences where repeated k-fold gave every example to one run per repeat: runs nested in folds.

The examples' spread is taken over their means over the repeats, so an example that was predicted five times is still
one example. Folds whose means differ by more than their examples explain show the luck of single runs, which is added.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from unipelt_search.verdict.crossed import Estimate, degrees_of_freedom, with_interval


def folded_estimate(scores: np.ndarray, folds: np.ndarray) -> Estimate:
    """Estimate a mean over runs and examples from repeated k-fold; for a difference of two methods give its scores.

    Args:
        scores: ``(R, n)``, a row per repeat, a column per example, the score under the run whose fold held it out, or
            one method's such scores minus another's on the same folds.
        folds: ``(R, n)``, the fold that held the example out in that repeat, from 0; 2 examples or more.

    Returns:
        The mean with its standard error and 95 % interval.

    Raises:
        ValueError: When the shapes differ, a score is no finite number, there is only one fold, or a fold is too small.

    Source:
        Nested random effects with the degrees of freedom of Satterthwaite (Biometrics 1946). Nadeau and Bengio's
        corrected resampled t (Machine Learning 2003) is up to twice as wide here: see docs/verdict.md.
    """
    scores, folds = np.asarray(scores, dtype=np.float64), np.asarray(folds)
    if scores.ndim != 2 or not scores.size or scores.shape != folds.shape or not np.isfinite(scores).all():
        raise ValueError(
            f"Scores and folds must both be (repeats, examples), the scores finite; got {scores.shape} and "
            f"{folds.shape}."
        )
    means, within, sizes = (np.array(part) for part in zip(*map(_by_fold, scores, folds), strict=True))  # (R, K)
    repeats, count = means.shape
    examples = float(scores.mean(axis=0).var(ddof=1)) / scores.shape[1]
    between = float(means.var(axis=1, ddof=1).mean())
    luck = (between - float((within / sizes).mean())) / (repeats * count)
    parts = [(examples, scores.shape[1] - 1.0)]
    if luck > 0:
        parts.append((between / (repeats * count), repeats * (count - 1.0)))
    total = examples + max(0.0, luck)
    return with_interval(float(scores.mean()), sqrt(total), degrees_of_freedom(total, parts, correction=0))


def finished_estimate(scores: np.ndarray, folds: np.ndarray) -> Estimate:
    """Estimate a mean as `folded_estimate` does from those repeats that are there.

    Args:
        scores: ``(R, n)``, a repeat that is missing is a row of NaN.
        folds: ``(R, n)``.

    Returns:
        The mean with its standard error and 95 % interval.

    Raises:
        ValueError: When no repeat is there, or `folded_estimate` refuses.
    """
    there = ~np.isnan(scores).all(axis=1)
    return folded_estimate(scores[there], folds[there])


def _by_fold(scores: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one repeat's mean, variance and size of every fold, each ``(K,)``."""
    sizes = np.bincount(folds)
    if sizes.size < 2 or sizes.min() < 2:
        raise ValueError(f"There must be at least 2 folds of at least 2 examples each; got the sizes {sizes.tolist()}.")
    groups = [scores[folds == fold] for fold in range(sizes.size)]
    return np.array([g.mean() for g in groups]), np.array([g.var(ddof=1) for g in groups]), sizes

"""Repeated k-fold with learners that really train: how often each interval for a difference of two methods holds.

python benchmarks/fold_simulation.py     (about a minute on one core)

Two classes, normal in 20 dimensions, 6 useful. Two linear learners, a ridged discriminant and nearest means, are
trained on every fold's other examples; a run's luck is noise on its weights, a share of their length. A run's true
accuracy has a closed form, and the truth is its mean over all runs of all studies.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
from scipy import special, stats

from unipelt_search.verdict.folds import folded_estimate

DIMENSIONS = 20
MEANS = np.where(np.arange(DIMENSIONS) < 6, 0.45, 0.0)
RIDGE = 0.3


def trained(
    x: np.ndarray, y: np.ndarray, seed_variance: float, random: np.random.Generator
) -> list[tuple[np.ndarray, float]]:
    """Train both learners on ``x (n, d)``, ``y (n,)`` of -1 and 1; return each one's weights ``(d,)`` and bias."""
    up, down = x[y > 0].mean(axis=0), x[y < 0].mean(axis=0)
    inner = x - np.where(y[:, None] > 0, up, down)
    spread = inner.T @ inner / len(x) + RIDGE * np.eye(DIMENSIONS)
    found = []
    for weights in (np.linalg.solve(spread, up - down), up - down):
        noise = random.standard_normal(DIMENSIONS) * np.linalg.norm(weights) / np.sqrt(DIMENSIONS)
        lucky = weights + seed_variance * noise
        found.append((lucky, -float(lucky @ (up + down)) / 2))
    return found


def true_accuracy(weights: np.ndarray, bias: float) -> float:
    """Return a linear classifier's accuracy on the population."""
    reach, scale = weights @ MEANS, np.linalg.norm(weights)
    return float(special.ndtr((reach + bias) / scale) + special.ndtr((reach - bias) / scale)) / 2


def study(
    rows: int, folds: int, repeats: int, seed_variance: float, random: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Run one study: the difference of the scores ``(R, n)``, the folds ``(R, n)``, the true difference of its runs."""
    y = np.where(random.permutation(rows) % 2 > 0, 1, -1)
    x = random.standard_normal((rows, DIMENSIONS)) + y[:, None] * MEANS
    held = np.stack([random.permutation(rows) % folds for _ in range(repeats)])
    scores, truth = np.zeros((2, repeats, rows)), np.zeros(2)
    for repeat, fold in product(range(repeats), range(folds)):
        out = held[repeat] == fold
        for learner, (weights, bias) in enumerate(trained(x[~out], y[~out], seed_variance, random)):
            scores[learner, repeat, out] = (x[out] @ weights + bias) * y[out] > 0
            truth[learner] += true_accuracy(weights, bias) / (repeats * folds)
    return scores[0] - scores[1], held, truth[0] - truth[1]


def corrected_resampled_t(scores: np.ndarray, held: np.ndarray) -> tuple[float, float]:
    """Return bounds by Nadeau and Bengio (Machine Learning 2003)."""
    folds = int(held.max()) + 1
    means = np.array([row[fold == k].mean() for row, fold in zip(scores, held, strict=True) for k in range(folds)])
    half = stats.t.ppf(0.975, means.size - 1) * np.sqrt(means.var(ddof=1) * (1 / means.size + 1 / (folds - 1)))
    return means.mean() - half, means.mean() + half


def main() -> None:
    """Print coverage and mean width of both intervals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500, help="studies per cell")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print("| rows | folds | repeats | luck | nested: coverage | width | corrected t: coverage | width |")
    print("|---|---|---|---|---|---|---|---|")
    for rows, (folds, repeats), seed_variance in product((60, 150), ((5, 1), (5, 2), (5, 5)), (0.0, 0.8)):
        random = np.random.default_rng(asked.seed)
        found = [study(rows, folds, repeats, seed_variance, random) for _ in range(asked.studies)]
        truth = np.mean([true for _, _, true in found])
        nested = [(e.low, e.high) for e in (folded_estimate(scores, held) for scores, held, _ in found)]
        figures = []
        for bounds in (np.array(nested), np.array([corrected_resampled_t(s, h) for s, h, _ in found])):
            covered = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
            figures += [f"{covered.mean():.3f}", f"{100 * (bounds[:, 1] - bounds[:, 0]).mean():.1f}"]
        print(f"| {rows} | {folds} | {repeats} | {seed_variance:g} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()

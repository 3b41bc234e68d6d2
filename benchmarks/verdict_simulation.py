"""Studies whose truth is known, judged by `unipelt_search.verdict`: how often its intervals hold, and what they see.

python benchmarks/verdict_simulation.py                  (all tables; a few minutes on one core)
python benchmarks/verdict_simulation.py --studies 200    (a quick look)

A row has a difficulty that all methods share, and one of each method's own; a run is its method's accuracy plus a
shift of its own, with the given standard deviation in points of accuracy; what is left is drawn for every run and row.
A run is right where the sum of it all is above 0 (a probit model), so a method's true accuracy, over all seeds and all
rows, is known exactly. The best method is right on 85 % of the rows.

Bars: the oracle is the z-test that knows the true variance of the difference. The exact test is the verdict's own
statistic with the critical value that gives it a size of exactly 5 % in that cell, which only a simulation can know.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy import special, stats

from unipelt_search.kinds.label_kind import find_metric
from unipelt_search.kinds.pseudo_values import pseudo_values
from unipelt_search.verdict.comparisons import compare_with_best, familywise_critical
from unipelt_search.verdict.crossed import difference_estimate, method_scores, pool_seed_variance

# Variances on the probit scale, where what is drawn anew for every run and row has variance 1. With these two runs of a
# method disagree on about 7 % of the rows, runs of two equal methods on 11 %.
SHARED_DIFFICULTY = 12.0
OWN_DIFFICULTY = 1.5
BEST = 0.85
SMALLEST = 0.03
"""The true difference whose power is reported."""
ACCURACIES = {2: (0.85, 0.82), 7: (0.85, 0.85, 0.84, 0.83, 0.82, 0.80, 0.75)}
PRIORS = np.array([0.6, 0.3, 0.1])
"""Shares of the classes where the metric is no mean over examples."""
BATCH = 50


@dataclass(frozen=True)
class Cell:
    """One kind of study."""

    rows: int
    seeds: int
    seed_sds: tuple[float, ...]
    """Per method, the standard deviation of a run's accuracy over seeds, in points."""
    accuracies: tuple[float, ...]
    metric: str = "accuracy"
    shared_luck: float = 0.0
    """Correlation between the shifts of two methods' runs with the same seed."""


def draw_runs(cell: Cell, studies: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield each study's outcomes ``(methods, seeds, rows)``, True where right."""
    methods = len(cell.accuracies)
    scale = np.sqrt(1 + SHARED_DIFFICULTY + OWN_DIFFICULTY)
    for start in range(0, studies, BATCH):
        count = min(BATCH, studies - start)
        seed_variance = np.sqrt(cell.shared_luck) * random.standard_normal((count, 1, cell.seeds, 1))
        seed_variance = seed_variance + np.sqrt(1 - cell.shared_luck) * random.standard_normal(
            (count, methods, cell.seeds, 1)
        )
        accuracies, sds = (np.array(part)[:, None, None] for part in (cell.accuracies, cell.seed_sds))
        accuracy = np.clip(accuracies + sds / 100 * seed_variance, 0.001, 0.999)
        shared = random.standard_normal((count, 1, 1, cell.rows), dtype=np.float32)
        own = random.standard_normal((count, methods, 1, cell.rows), dtype=np.float32)
        latent = random.standard_normal((count, methods, cell.seeds, cell.rows), dtype=np.float32)
        latent += np.sqrt(np.float32(SHARED_DIFFICULTY)) * shared + np.sqrt(np.float32(OWN_DIFFICULTY)) * own
        yield from latent + (scale * special.ndtri(accuracy)).astype(np.float32) > 0


def scored(cell: Cell, right: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a study's per-example scores ``(methods, seeds, rows)`` under the cell's metric."""
    if cell.metric == "accuracy":
        return right.astype(np.float64)
    labels = random.choice(PRIORS.size, size=cell.rows, p=PRIORS)
    wrong = (labels + random.integers(1, PRIORS.size, size=right.shape)) % PRIORS.size
    predicted = np.where(right, labels, wrong)
    leave_one_out = find_metric(cell.metric).leave_one_out
    return np.stack([pseudo_values(leave_one_out, labels, runs) for runs in predicted])


def true_scores(cell: Cell) -> np.ndarray:
    """Return the methods' true scores ``(methods,)``: the expectation over seeds of a run's score on all rows."""
    if cell.metric == "accuracy":
        return np.array(cell.accuracies)
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    return np.array([sum(weight * population_score(cell.metric, accuracy + sd / 100 * node)
                         for node, weight in zip(nodes, weights / weights.sum(), strict=True))
                     for accuracy, sd in zip(cell.accuracies, cell.seed_sds, strict=True)])  # fmt: skip


def population_score(metric: str, accuracy: float) -> float:
    """Return a run's score on infinitely many rows, wrong answers spread evenly over the other classes."""
    confusion = PRIORS[:, None] * np.where(np.eye(PRIORS.size) > 0, accuracy, (1 - accuracy) / (PRIORS.size - 1))
    guessed = confusion.sum(axis=0)
    if metric == "macro_f1":
        return float(np.mean(2 * np.diag(confusion) / (PRIORS + guessed)))
    chance = (PRIORS * guessed).sum()
    return float((np.trace(confusion) - chance) / np.sqrt((1 - (PRIORS**2).sum()) * (1 - (guessed**2).sum())))


def simulate(cell: Cell, studies: int, seed: int) -> dict[str, float]:
    """Judge many studies of one kind.

    Args:
        cell: The kind.
        studies: How many.
        seed: Of all draws.

    Returns:
        Shares of the studies, by what happened in them.
    """
    random = np.random.default_rng(seed)
    truth = true_scores(cell)
    methods = len(truth)
    gaps = truth[0] - truth[1:]
    found = np.zeros((studies, 3, methods - 1))
    alone = np.zeros((studies, methods), dtype=bool)
    holds, kept = np.zeros(studies), np.zeros(studies)
    for study, right in enumerate(draw_runs(cell, studies, random)):
        scores = scored(cell, right, random)
        pooled = pool_seed_variance([method_scores(runs) for runs in scores])
        for other in range(1, methods):
            estimate = difference_estimate(pooled[0], pooled[other])
            found[study, :, other - 1] = estimate.mean, estimate.error, estimate.degrees_of_freedom
        ranking = compare_with_best({str(method): runs for method, runs in enumerate(scores)})
        alone[study] = [e.low <= truth[int(method)] <= e.high for method, e in ranking.means.items()]
        best = truth[int(ranking.best)]
        true = [truth[int(c.method)] - best for c in ranking.comparisons]
        holds[study] = all(c.low <= gap <= c.high for c, gap in zip(ranking.comparisons, true, strict=True))
        kept[study] = any(truth[int(method)] == truth.max() for method in (ranking.best, *ranking.ties))
    return {"mean": float(alone.mean()), "familywise": float(holds.mean()), "best_kept": float(kept.mean()),
            **pairwise_shares(found, gaps, methods, shown_method(cell) - 1)}  # fmt: skip


def shown_method(cell: Cell) -> int:
    """Return the method whose distance to the first is the one that power is reported for."""
    return int(np.argmin(abs(cell.accuracies[0] - np.array(cell.accuracies)[1:] - SMALLEST))) + 1


def pairwise_shares(found: np.ndarray, gaps: np.ndarray, methods: int, shown: int) -> dict[str, float]:
    """Compare with the oracle and the exact test.

    Args:
        found: ``(studies, 3, methods - 1)``: the first method's differences to the others, their standard errors and
            degrees of freedom.
        gaps: ``(methods - 1,)``, true differences.
        methods: How many.
        shown: The place of the pair whose power counts.

    Returns:
        Coverage over these pairs; of the shown pair the power of the interval, the exact test and the oracle, and the
        power of the familywise interval and its oracle.
    """
    difference, error, degrees_of_freedom = found[:, 0], found[:, 1], found[:, 2]
    half = stats.t.ppf(0.975, degrees_of_freedom) * error
    wide = error[:, shown] * [familywise_critical(methods, value) for value in degrees_of_freedom[:, shown]]
    size, known = abs(difference[:, shown]), difference[:, shown].std()
    # Two methods without any disagreement differ by 0 with no doubt: a pull of 0.
    pull, miss = (abs(part) / np.where(error > 0, error, 1) for part in (difference, difference - gaps))
    return {
        "pairwise": float((abs(difference - gaps) <= half).mean()),
        "pairwise_shown": float((abs(difference - gaps) <= half)[:, shown].mean()),
        "power": float((size > half[:, shown]).mean()),
        "power_exact": float((pull[:, shown] > np.quantile(miss[:, shown], 0.95)).mean()),
        "power_oracle": float((size > stats.norm.ppf(0.975) * known).mean()),
        "power_family": float((size > wide).mean()),
        "power_family_oracle": float((size > familywise_critical(methods, 1e6) * known).mean()),
        "half_width": float(100 * half[:, shown].mean()),
    }


def tables() -> dict[str, list[Cell]]:
    """List the kinds of study of every table."""
    two, seven = ACCURACIES[2], ACCURACIES[7]
    spread = list(product((0.5, 1.5, 3.0), (3, 5, 10)))
    return {
        **{
            f"{rows} rows": [
                Cell(rows, seeds, (sd,) * len(accuracies), accuracies)
                for (sd, seeds), accuracies in product(spread, (two, seven))
            ]
            for rows in (200, 1000, 1500)
        },
        "equal methods": [Cell(1000, seeds, (sd,) * 7, (BEST,) * 7) for sd, seeds in spread],
        "no mean over examples": [
            Cell(rows, seeds, (sd, sd), two, metric)
            for some in ((200, 1000), (2000,))
            for metric, rows, sd, seeds in product(("macro_f1", "matthews"), some, (0.5, 3.0), (3, 10))
        ],
        "more rows": [
            Cell(rows, seeds, (0.5, 0.5), two) for seeds, rows in product((3, 5, 10), (200, 500, 1000, 1500))
        ],
        "unequal luck": [Cell(1000, seeds, (0.5, 3.0), two) for seeds in (3, 5, 10)],
        "shared luck": [Cell(1000, seeds, (1.5, 1.5), two, shared_luck=0.5) for seeds in (3, 5, 10)],
    }


COLUMNS = ("pairwise", "familywise", "mean", "best_kept", "power", "power_exact", "power_oracle",
           "power_family", "power_family_oracle", "half_width")  # fmt: skip


def printed(name: str, cells: list[Cell], results: list[dict[str, float]]) -> str:
    """Return one table in Markdown."""
    lines = [f"### {name}", "", f"| metric | rows | seeds | seed sd | methods | {' | '.join(COLUMNS)} |",
             "|---" * (5 + len(COLUMNS)) + "|"]  # fmt: skip
    for cell, result in zip(cells, results, strict=True):
        sds = " and ".join(f"{sd:g}" for sd in dict.fromkeys(cell.seed_sds))
        figures = " | ".join(f"{result[column]:.3f}" for column in COLUMNS)
        lines.append(f"| {cell.metric} | {cell.rows} | {cell.seeds} | {sds} | {len(cell.accuracies)} | {figures} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate every table, print it, and write all figures to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="studies per cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tables", nargs="*", default=list(tables()), choices=list(tables()))
    parser.add_argument("--out", type=Path, default=Path("verdict_simulation.json"))
    asked = parser.parse_args()
    written = []
    for name in asked.tables:
        cells = tables()[name]
        results = [simulate(cell, asked.studies, asked.seed + index) for index, cell in enumerate(cells)]
        print(printed(name, cells, results), flush=True)
        written += [{"table": name, **asdict(cell), **result} for cell, result in zip(cells, results, strict=True)]
    asked.out.write_text(json.dumps({"studies": asked.studies, "seed": asked.seed, "cells": written}, indent=1))


if __name__ == "__main__":
    main()

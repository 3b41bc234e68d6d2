"""Studies whose truth is known, under every metric that can be chosen: how often the verdict's intervals hold.

python benchmarks/metric_coverage.py                  (all metrics; some minutes on one core)
python benchmarks/metric_coverage.py --studies 200    (a quick look)
python benchmarks/metric_coverage.py --weighted       (rows count by very unequal weights, as with --weight-metric)

A row has a true label and a difficulty that all runs share, of which a part is each method's own; a run sees the truth
with a strength of its own, which varies over seeds, and what is left is drawn for every run and row. The truth of a
method is its score on very many rows, in the mean over the strengths of its seeds. Of every metric there are two shares
of studies: those whose interval of a method's own mean holds, and those whose interval of the difference of two does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unipelt_search.kinds.label_kind import Metric, Target
from unipelt_search.kinds.pseudo_values import pseudo_values
from unipelt_search.verdict.crossed import difference_estimate, mean_estimate, method_scores, pool_seed_variance

STRENGTHS = (1.6, 1.4)
"""How strongly the better and the worse method see the truth."""
SEED_SD = 0.08
"""Standard deviation of a run's strength over seeds."""
TRUTH_ROWS = 200_000
NODES = 7
"""Strengths that the mean over seeds is taken at."""


@dataclass(frozen=True)
class World:
    """A kind of task, and how its rows are drawn."""

    name: str
    target: Target
    shares: tuple[float, ...]
    """Of the classes, or how many rows have each label; empty for numbers."""

    def draw_labels(self, rows: int, random: np.random.Generator) -> np.ndarray:
        """Draw true labels, as `Target.to_array` gives them."""
        if self.target.kind == "regression":
            return random.normal(size=rows)
        if self.target.kind == "multi_label":
            return (random.random((rows, len(self.shares))) < self.shares).astype(np.int64)
        return random.choice(len(self.shares), size=rows, p=self.shares)

    def signal(self, labels: np.ndarray) -> np.ndarray:
        """Return what runs see of the truth: ``(n, outputs)``."""
        if self.target.kind == "regression":
            return labels[:, None]
        if self.target.kind == "multi_label":
            return 2.0 * labels - 1.0
        return np.eye(len(self.shares))[labels]

    def logits(self, signal: np.ndarray, difficulty: np.ndarray, noise: np.ndarray, strength: float) -> np.ndarray:
        """Return a run's outputs ``(n, outputs)``; numbers are seen the more exactly the greater the strength is."""
        if self.target.kind == "regression":
            return signal + (difficulty + noise) / strength
        return strength * signal + difficulty + noise


WORLDS = (
    World("two classes", Target("classification", ("0", "1"), positive=1), (0.7, 0.3)),
    World("seven classes", Target("classification", tuple("0123456")), (0.25, 0.2, 0.15, 0.1, 0.1, 0.1, 0.1)),
    World("sets", Target("multi_label", tuple("abcd")), (0.5, 0.3, 0.2, 0.1)),
    World("numbers", Target("regression", ()), ()),
)


def cases() -> list[tuple[World, str]]:
    """List every world with every metric that fits it."""
    return [(world, metric.name) for world in WORLDS for metric in world.target.metrics()]


def inputs_of(world: World, metric: Metric, labels: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what a metric takes of a run."""
    target = world.target
    return metric.inputs(target.positive, labels, target.predict(logits), target.probabilities(logits))


def draw_difficulties(shape: tuple[int, ...], random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the rows' difficulty under one method after another, of which three quarters are shared."""
    shared = random.normal(size=shape)
    for _ in STRENGTHS:
        yield np.sqrt(0.75) * shared + np.sqrt(0.25) * random.normal(size=shape)


def true_scores(world: World, names: list[str], seed: int) -> dict[str, np.ndarray]:
    """Return the methods' true scores ``(methods,)`` under every metric."""
    random = np.random.default_rng([seed, 1])
    labels = world.draw_labels(TRUTH_ROWS, random)
    signal = world.signal(labels)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    found: dict[str, list[float]] = {name: [] for name in names}
    for strength, difficulty in zip(STRENGTHS, draw_difficulties(signal.shape, random), strict=True):
        noise = 0.5 * random.normal(size=signal.shape)
        logits = [world.logits(signal, difficulty, noise, strength + SEED_SD * node) for node in nodes]
        for name in names:
            metric = world.target.metric(name)
            values = [metric.score(*inputs_of(world, metric, labels, outputs), None) for outputs in logits]
            found[name].append(float(np.average(values, weights=weights)))
    return {name: np.array(values) for name, values in found.items()}


def simulate(
    world: World,
    names: list[str],
    rows: int,
    seeds: int,
    studies: int,
    seed: int,
    *,
    weighted: bool = False,
) -> dict[str, tuple[float, float]]:
    """Judge many studies.

    Args:
        world: Which.
        names: Metrics that fit it.
        rows: Deciding rows of a study.
        seeds: Runs of a method.
        studies: How many.
        seed: Of all draws.
        weighted: Whether rows count by weights that have nothing to do with them.

    Returns:
        For every metric the shares of intervals that hold: of a method's own mean, and of the difference of two.
    """
    truth = true_scores(world, names, seed)
    random = np.random.default_rng([seed, 2])
    held = {name: np.zeros(2) for name in names}
    for _ in range(studies):
        labels = world.draw_labels(rows, random)
        signal = world.signal(labels)
        runs = []
        for strength, difficulty in zip(STRENGTHS, draw_difficulties(signal.shape, random), strict=True):
            strengths = strength + SEED_SD * random.normal(size=seeds)
            noises = 0.5 * random.normal(size=(seeds, *signal.shape))
            runs.append([world.logits(signal, difficulty, *drawn) for drawn in zip(noises, strengths, strict=True)])
        weights = draw_weights(rows, random) if weighted else None
        for name in names:
            held[name] += holds(world, world.target.metric(name), labels, runs, truth[name], weights)
    return {name: (float(shares[0] / studies), float(shares[1] / studies)) for name, shares in held.items()}


def draw_weights(rows: int, random: np.random.Generator) -> np.ndarray:
    """Draw weights ``(n,)``: 0.2 and more, with an exponential tail; n rows are worth as much as 0.6 n equal ones."""
    return 0.2 + random.exponential(size=rows)


def holds(
    world: World,
    metric: Metric,
    labels: np.ndarray,
    runs: list[list[np.ndarray]],
    truth: np.ndarray,
    weights: np.ndarray | None,
) -> tuple[float, bool]:
    """Tell for one study which share of the own means' intervals holds, and whether that of the difference does."""
    condensed = []
    for of_method in runs:
        pairs = [inputs_of(world, metric, labels, logits) for logits in of_method]
        scores = pseudo_values(metric.leave_one_out, pairs[0][0], np.stack([found for _, found in pairs]), weights)
        condensed.append(method_scores(scores))
    own = [mean_estimate(scores) for scores in condensed]
    inside = [estimate.low <= value <= estimate.high for estimate, value in zip(own, truth, strict=True)]
    difference = difference_estimate(*pool_seed_variance(condensed))
    return float(np.mean(inside)), bool(difference.low <= truth[0] - truth[1] <= difference.high)


def main() -> None:
    """Simulate every metric, print a table, and write the figures to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worlds", nargs="*", default=[world.name for world in WORLDS])
    parser.add_argument("--out", type=Path, default=Path("metric_coverage.json"))
    parser.add_argument("--weighted", action="store_true")
    asked = parser.parse_args()
    print("| task | metric | own mean | difference |\n|---|---|---|---|", flush=True)
    written = []
    for world in WORLDS:
        if world.name not in asked.worlds:
            continue
        names = [name for of, name in cases() if of is world]
        shares = simulate(world, names, asked.rows, asked.seeds, asked.studies, asked.seed, weighted=asked.weighted)
        for name, (own, difference) in shares.items():
            print(f"| {world.name} | {name} | {own:.3f} | {difference:.3f} |", flush=True)
            written.append({"task": world.name, "metric": name, "own_mean": own, "difference": difference})
    settings = {
        "studies": asked.studies,
        "rows": asked.rows,
        "seeds": asked.seeds,
        "seed": asked.seed,
        "weighted": asked.weighted,
    }
    asked.out.write_text(json.dumps({**settings, "cells": written}, indent=1))


if __name__ == "__main__":
    main()

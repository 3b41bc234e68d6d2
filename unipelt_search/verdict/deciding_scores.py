"""Scores on the deciding rows, one by one: the one place that knows whether examples are crossed with seeds or folded.

With a select split every run predicts every row: examples are crossed with seeds. With few validation rows folds
decide: a repeat of the folds predicts every row once, each row by the run that did not train on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

import numpy as np

from unipelt_search.records.history import TaskSummary
from unipelt_search.records.results import Predictions
from unipelt_search.verdict.candidates import Candidate
from unipelt_search.verdict.comparisons import PairedComparisons, compare_folded, compare_with_best
from unipelt_search.verdict.crossed import Estimate, MethodScores, difference_estimate, mean_estimate, method_scores
from unipelt_search.verdict.folds import folded_estimate, folded_sources
from unipelt_search.verdict.power import RequiredSample, difference_sources, required_repeats, required_sample
from unipelt_search.verdict.row_scores import can_be_scored, row_scores

# Fewer do not have the spreads that an interval is made of.
_FEWEST_SEEDS = 2
_FEWEST_ROWS = 3


class DecidingScores(Protocol):
    """Scores of the confirmed methods on the deciding rows; a method whose predictions were not kept has none."""

    @property
    def repeats(self) -> int | None:
        """Repeats of the folds; None without folds."""

    def estimate(self, name: str) -> Estimate | None:
        """Return a method's mean with its interval; None where it has none."""

    def compare(self, names: Sequence[str]) -> PairedComparisons | None:
        """Compare methods with the first one; those without scores are left out, None where the first one has none."""

    def majority_difference(self, majority: np.ndarray, best: str, paired: PairedComparisons) -> Estimate:
        """Compare the majority prediction's row scores ``(n,)`` with the best method; only the best method varies."""

    def required_sample(self, paired: PairedComparisons) -> RequiredSample | None:
        """Find what would tell the best and the closest method apart; None where nothing affordable would."""


@dataclass(frozen=True, eq=False)
class CrossedScores:
    """Every run has predicted all deciding rows."""

    scores: Mapping[str, np.ndarray]
    """By name ``(S, n)``, a row per seed; absent where there are too few seeds or rows, or no predictions."""
    maximize: bool = True
    """False where a lower score is better."""

    @property
    def repeats(self) -> int | None:
        """None: there are no folds."""
        return None

    def estimate(self, name: str) -> Estimate | None:
        """Return a method's mean with its interval; None where it has none."""
        if name not in self.scores:
            return None
        return mean_estimate(method_scores(self.scores[name]))

    def compare(self, names: Sequence[str]) -> PairedComparisons | None:
        """Compare methods with the first one; those without scores are left out, None where the first one has none."""
        if not names or names[0] not in self.scores:
            return None
        known = {name: self.scores[name] for name in names if name in self.scores}
        return compare_with_best(known, maximize=self.maximize)

    def majority_difference(self, majority: np.ndarray, best: str, paired: PairedComparisons) -> Estimate:
        """Compare the majority prediction's row scores ``(n,)`` with the best method; only the best method varies."""
        # It is the same in every run. That is certain, so its variance of 0 has infinite degrees of freedom.
        constant = MethodScores(
            by_example=majority, seeds=1, residual_variance=0.0, seed_variance=0.0, degrees_of_freedom=inf
        )
        return difference_estimate(constant, paired.pooled[best])

    def required_sample(self, paired: PairedComparisons) -> RequiredSample | None:
        """Find the seeds and rows that would tell the best and the closest method apart; None where none would."""
        closest = paired.comparisons[0]
        best, other = paired.pooled[paired.best], paired.pooled[closest.method]
        return required_sample(
            difference_sources(best, other),
            closest.difference.mean,
            seeds=min(best.seeds, other.seeds),
            rows=best.by_example.size,
            methods=len(paired.comparisons) + 1,
        )


@dataclass(frozen=True, eq=False)
class FoldedScores:
    """The runs of a repeat have predicted the deciding rows together, each the rows of its fold."""

    scores: Mapping[str, np.ndarray]
    """By name ``(R, n)``, a row per repeat; a repeat that a method lacks is a row of NaN."""
    folds: np.ndarray
    """``(R, n)``, which fold held out which row in which repeat, from 0."""
    maximize: bool = True
    """False where a lower score is better."""

    @property
    def repeats(self) -> int | None:
        """Repeats of the folds."""
        return len(self.folds)

    def estimate(self, name: str) -> Estimate | None:
        """Return a method's mean with its interval; None where it has none."""
        return folded_estimate(self.scores[name], self.folds) if name in self.scores else None

    def compare(self, names: Sequence[str]) -> PairedComparisons | None:
        """Compare methods with the first one, over the repeats that both have."""
        if not names or names[0] not in self.scores:
            return None
        leading = self.scores[names[0]]
        known = {name: self.scores[name] for name in names if name in self.scores}
        shared = {name: scores for name, scores in known.items() if not np.isnan(scores - leading).all()}
        return compare_folded(shared, self.folds, maximize=self.maximize)

    def majority_difference(self, majority: np.ndarray, best: str, paired: PairedComparisons) -> Estimate:
        """Compare the majority prediction's row scores ``(n,)`` with the best method; only the best method varies."""
        return folded_estimate(majority - self.scores[best], self.folds)

    def required_sample(self, paired: PairedComparisons) -> RequiredSample | None:
        """Find the repeats that would tell the best and the closest method apart; None where none would."""
        difference = self.scores[paired.comparisons[0].method] - self.scores[paired.best]
        return required_repeats(folded_sources(difference, self.folds), methods=len(paired.comparisons) + 1)


def deciding_scores(confirmed: Sequence[Candidate], task: TaskSummary) -> DecidingScores:
    """Score the deciding rows under every confirmed run.

    Args:
        confirmed: The confirmed methods.
        task: What was asked, and the metric.

    Returns:
        The scores, row by row.
    """
    return _folded(confirmed, task) if task.folds else _crossed(confirmed, task)


def scores_of_runs(predictions: Sequence[Predictions | None], task: TaskSummary) -> np.ndarray | None:
    """Score rows that every run has predicted.

    Args:
        predictions: Of every run on the same rows; None where they were not kept.
        task: What was asked, and the metric.

    Returns:
        ``(S, n)``; None where predictions, or the probabilities that the metric needs, are missing, or there are too
        few seeds or rows for an interval.

    Raises:
        MachineError: The metric is that of a package that is not installed.
    """
    kept = [found for found in predictions if found is not None]
    if len(kept) < max(_FEWEST_SEEDS, len(predictions)) or len(kept[0].labels) < _FEWEST_ROWS:
        return None
    return row_scores(task, kept) if can_be_scored(task, kept) else None


def _crossed(confirmed: Sequence[Candidate], task: TaskSummary) -> CrossedScores:
    by_name = {}
    for candidate in confirmed:
        scores = scores_of_runs([seed.predictions for seed in candidate.seeds], task)
        if scores is not None:
            by_name[candidate.name] = scores
    return CrossedScores(by_name, maximize=task.direction == "maximize")


def _folded(confirmed: Sequence[Candidate], task: TaskSummary) -> FoldedScores:
    folds: dict[int, np.ndarray] = {}
    complete: dict[str, dict[int, Predictions]] = {}
    for candidate in confirmed:
        for seed in candidate.seeds:
            if seed.predictions is not None and seed.folds is not None:
                folds[seed.seed_index] = seed.folds
                complete.setdefault(candidate.name, {})[seed.seed_index] = seed.predictions
    repeats = sorted(folds)
    by_name = {}
    for name, predictions in complete.items():
        found = row_scores(task, list(predictions.values()))  # (S, n)
        # Missing repeats stay NaN, so that all methods have the same rows and repeats.
        scores = np.full((len(repeats), found.shape[1]), np.nan)
        scores[[repeats.index(seed_index) for seed_index in predictions]] = found
        by_name[name] = scores
    fold_of = np.array([folds[index] for index in repeats])
    return FoldedScores(by_name, fold_of, maximize=task.direction == "maximize")

"""The candidates of a study: every method's trial, its confirmed scores by seed, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf
from statistics import fmean, median
from typing import Literal

import numpy as np

from unipelt_search.records.history import RunRecord, StudyRecord, TaskSummary, TrialRecord, TrialState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import Predictions, RunResult
from unipelt_search.specs.adapter_input import reads_feed_forward
from unipelt_search.verdict.row_scores import can_be_scored, fold_of_rows, joined_folds, row_scores


@dataclass(frozen=True)
class ConfirmedRun:
    """A finished confirm run with the two things that a verdict needs of it."""

    seed_index: int
    select: float
    """The study's metric on the select rows, or on those of its fold."""
    test: float
    """The study's metric on the test rows."""
    result: RunResult

    def predictions(self, split: Literal["select", "test"]) -> Predictions | None:
        """Return the run's predictions on a split; None where they were not kept."""
        return next((predictions for predictions in self.result.predictions if predictions.split == split), None)


@dataclass(frozen=True, eq=False)
class SeedScores:
    """What a method scored with one seed: one run, or a run for each fold of a repeat."""

    seed_index: int
    mean: float
    """The study's metric on all deciding rows; the mean over the folds where predictions were not kept."""
    predictions: Predictions | None
    """For all deciding rows."""
    folds: np.ndarray | None
    """``(n,)``, which fold held out which row, from 0."""


@dataclass(frozen=True)
class Candidate:
    """One method or variant, by the trial that represents it."""

    trial: TrialRecord
    tune: float
    """The trial's tune score."""
    confirmed: tuple[ConfirmedRun, ...]
    """By seed index and fold; empty where the trial was not confirmed."""
    seeds: tuple[SeedScores, ...]
    """By seed index."""

    @property
    def method(self) -> str:
        """The method's name."""
        return self.trial.method

    @property
    def name(self) -> str:
        """What it competes as: its variant, else its method."""
        return self.trial.name

    @property
    def score(self) -> float:
        """Mean score on the deciding rows where confirmed, else the tune score."""
        return fmean(seed.mean for seed in self.seeds) if self.seeds else self.tune

    @property
    def results(self) -> tuple[RunResult, ...]:
        """The results that costs are averaged over: the confirmed ones, else the search run's."""
        if self.confirmed:
            return tuple(run.result for run in self.confirmed)
        return tuple(run.result for run in self.trial.runs if run.result is not None)

    @property
    def stored_parameters(self) -> int:
        """Numbers that must be kept to use the model."""
        return self.results[0].costs.stored_parameters

    @property
    def milliseconds(self) -> float:
        """Median time per select row over the runs, which a single slow run does not move; infinite without any."""
        measured = [result.costs.predict_ms_per_example for result in self.results]
        times = [time for time in measured if time is not None]
        return median(times) if times else inf


def confirmed_runs(trial: TrialRecord, task: TaskSummary) -> tuple[ConfirmedRun, ...]:
    """List a trial's finished confirm runs, by seed index and fold.

    Args:
        trial: The trial.
        task: The study's task.

    Returns:
        The runs that have select and test scores; with folds, those of repeats of which all runs have.
    """
    in_order = sorted(trial.runs, key=lambda run: (run.seed_index, run.fold))
    found = [confirmed for run in in_order if (confirmed := _confirmed_run(run, task.metric)) is not None]
    finished = Counter(run.seed_index for run in found)
    # A repeat of the folds predicts every row only where all its runs have finished.
    return tuple(run for run in found if finished[run.seed_index] >= task.folds)


def _confirmed_run(run: RunRecord, metric: str) -> ConfirmedRun | None:
    result = run.result
    if run.phase != "confirm" or result is None or result.select is None or result.test is None:
        return None
    return ConfirmedRun(run.seed_index, result.select[metric], result.test[metric], result)


def seed_scores(runs: Sequence[ConfirmedRun], task: TaskSummary) -> tuple[SeedScores, ...]:
    """Put runs of the same seed together.

    Args:
        runs: What `confirmed_runs` returns.
        task: The study's task.

    Returns:
        One entry per seed, by seed index.
    """
    found = []
    for seed_index, of_seed in groupby(runs, lambda run: run.seed_index):
        found.append(_seed_scores(seed_index, list(of_seed), task))
    return tuple(found)


def _seed_scores(seed_index: int, runs: list[ConfirmedRun], task: TaskSummary) -> SeedScores:
    mean = fmean(run.select for run in runs)
    if not task.folds:
        return SeedScores(seed_index, mean, predictions=runs[0].predictions("select"), folds=None)
    predictions = [found for run in runs if (found := run.predictions("select")) is not None]
    if len(predictions) < len(runs) or not can_be_scored(task, predictions):
        return SeedScores(seed_index, mean, predictions=None, folds=None)
    complete = joined_folds(predictions)
    # Not the mean over the folds: they differ in size, and a metric need not be a mean over rows.
    score = float(row_scores(task, [complete]).mean())
    return SeedScores(seed_index, score, predictions=complete, folds=fold_of_rows(predictions))


def find_candidates(record: StudyRecord) -> tuple[Candidate, ...]:
    """Choose the trial that represents each method and each variant, and order them.

    A method is represented by its trial with the most confirmed runs, then the best score. Confirmed methods come
    first, best mean on the deciding rows first; the others follow by tune score. Fewer stored parameters, then the
    name, break ties.

    Args:
        record: The study.

    Returns:
        One candidate per method, and per variant, that has a complete trial.
    """
    sign = 1 if record.task.direction == "minimize" else -1
    chosen: dict[str, Candidate] = {}
    for trial in record.trials:
        if trial.state is not TrialState.COMPLETE or trial.value is None:
            continue
        confirmed = confirmed_runs(trial, record.task)
        candidate = Candidate(trial, trial.value, confirmed, seed_scores(confirmed, record.task))
        held = chosen.get(trial.name)
        if held is None or _sort_key(candidate, sign) < _sort_key(held, sign):
            chosen[trial.name] = candidate

    def rank(candidate: Candidate) -> tuple[bool, float, int, str]:
        return not candidate.confirmed, sign * candidate.score, candidate.stored_parameters, candidate.name

    return tuple(sorted(chosen.values(), key=rank))


def _sort_key(candidate: Candidate, sign: int) -> tuple[float, ...]:
    runs = len(candidate.confirmed)
    return -runs, sign * candidate.score, candidate.stored_parameters, candidate.trial.number


def adapter_notices(record: StudyRecord, candidates: Iterable[Candidate]) -> tuple[Notice, ...]:
    """Say which figures of a study are not those of the published adapter.

    Args:
        record: The study.
        candidates: Whatever its report shows.

    Returns:
        One notice with the names, or none: where each adapter is the published one, and where the study has already
        said why it cannot be.
    """
    names = [candidate.name for candidate in candidates if reads_feed_forward(candidate.trial.spec)]
    if not names or not record.task.block_output:
        return ()
    return (Notice(code="feed_forward_adapter", values={"names": tuple(names)}),)

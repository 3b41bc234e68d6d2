"""Every method's standing in a study: its trial, its confirmed scores by seed, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from statistics import fmean

from unipelt_search.records.history import RunRecord, StudyRecord, TrialRecord, TrialState
from unipelt_search.records.results import RunResult


@dataclass(frozen=True)
class ConfirmedRun:
    """A finished confirm run with the two things that a verdict needs of it."""

    seed_index: int
    select: float
    """The study's metric on the select rows."""
    test: float
    """The study's metric on the test rows."""
    result: RunResult


@dataclass(frozen=True)
class MethodStanding:
    """One method or variant, by the trial that stands for it."""

    trial: TrialRecord
    tune: float
    """The trial's tune score."""
    confirmed: tuple[ConfirmedRun, ...]
    """By seed index; empty where the trial was not confirmed."""

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
        """Mean select score where confirmed, else the tune score."""
        return fmean(run.select for run in self.confirmed) if self.confirmed else self.tune

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
        """Mean time per select row; infinite where it was not measured."""
        measured = [result.costs.predict_ms_per_example for result in self.results]
        times = [time for time in measured if time is not None]
        return fmean(times) if times else inf


def confirmed_runs(trial: TrialRecord, metric: str) -> tuple[ConfirmedRun, ...]:
    """List a trial's finished confirm runs, by seed index.

    Args:
        trial: The trial.
        metric: The study's metric.

    Returns:
        The runs that have select and test scores.
    """

    def read(run: RunRecord) -> ConfirmedRun | None:
        if run.phase != "confirm" or run.result is None or run.result.select is None or run.result.test is None:
            return None
        return ConfirmedRun(run.seed_index, run.result.select[metric], run.result.test[metric], run.result)

    found = [confirmed for confirmed in map(read, trial.runs) if confirmed is not None]
    return tuple(sorted(found, key=lambda run: run.seed_index))


def method_standings(record: StudyRecord) -> tuple[MethodStanding, ...]:
    """Choose the trial that stands for each method and for each variant, and order them.

    A method is represented by its trial with the most confirmed runs, then the best score. Confirmed methods come
    first, best mean on the select rows first; the others follow by tune score. Fewer stored parameters, then the
    name, break ties.

    Args:
        record: The study.

    Returns:
        One standing per method, and per variant, that has a complete trial.
    """
    sign = 1 if record.task.direction == "minimize" else -1
    chosen: dict[str, MethodStanding] = {}
    for trial in record.trials:
        if trial.state is not TrialState.COMPLETE or trial.value is None:
            continue
        standing = MethodStanding(trial, trial.value, confirmed_runs(trial, record.task.metric))
        held = chosen.get(trial.name)
        if held is None or _merit(standing, sign) < _merit(held, sign):
            chosen[trial.name] = standing
    return tuple(
        sorted(
            chosen.values(),
            key=lambda s: (not s.confirmed, sign * s.score, s.stored_parameters, s.name),
        )
    )


def _merit(standing: MethodStanding, sign: int) -> tuple[float, ...]:
    return (-len(standing.confirmed), sign * standing.score, standing.stored_parameters, standing.trial.number)

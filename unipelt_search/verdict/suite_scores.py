"""What a suite's studies found, side by side: test scores, upper bounds and averages. Pure functions of records.

A score is a mean over confirm runs. Averages over tasks are taken run by run: the first runs of all tasks, the second
ones, and so on; their spread is that of the published averages. Only test scores are shown; what chooses among methods
is their score on the select rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from statistics import fmean, stdev

import numpy as np
from scipy.stats import rankdata

from unipelt_search.errors import StudyExistsError
from unipelt_search.kinds.label_kind import AUTO, Metric, find_metric
from unipelt_search.methods.catalogue import stored_method
from unipelt_search.records.history import StudyRecord, StudyState
from unipelt_search.specs.adapter_input import reads_feed_forward
from unipelt_search.specs.study_identity import as_begun, spec_differences
from unipelt_search.specs.suite import SuiteSpec, SuiteTask
from unipelt_search.verdict.candidates import Candidate
from unipelt_search.verdict.ranking import rank_methods
from unipelt_search.verdict.recommend import Recommendation, recommend

_HUNDRED = 100.0


@dataclass(frozen=True)
class Scores:
    """Test scores of confirm runs, by seed index; at least one."""

    by_seed: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return fmean(self.by_seed.values())

    @property
    def sd(self) -> float | None:
        """Standard deviation over the runs; None with one."""
        return stdev(self.by_seed.values()) if len(self.by_seed) > 1 else None


@dataclass(frozen=True)
class StudyScores:
    """What the tables need of one study."""

    name: str
    state: StudyState
    backbone: str
    metric: str
    copy_note: str | None
    """How its rows differ from the original ones, where they are from a local copy; None where they are the hub's."""
    test: Mapping[str, Scores]
    """By method, or configuration of the user's; those that were confirmed."""
    select: Mapping[str, float]
    """Mean on the select rows, of the same ones."""
    majority: float
    """Test score of the majority prediction."""
    verdict: Recommendation
    unpublished: tuple[str, ...] = ()
    """Of the confirmed ones, those whose adapter does not read the published input, as in studies of edition 1."""

    def confirmed_runs(self, method: str) -> int:
        """Return how many confirm runs of a method have finished."""
        return len(self.test[method].by_seed) if method in self.test else 0


@dataclass(frozen=True)
class Bound:
    """The best of some methods on a task, chosen on the select rows."""

    method: str
    test: Scores


@dataclass(frozen=True)
class Measure:
    """How the scores of tasks are to be read."""

    sign: int
    """What a score is multiplied by so that higher is better."""
    factor: float
    """What a table multiplies it by: 100, or 1 where it has no highest value, as an error in the user's units has."""


@dataclass(frozen=True)
class SuiteScores:
    """What there is of a suite so far."""

    suite: SuiteSpec
    studies: Mapping[tuple[str, int], StudyScores]
    """By task and number of training rows; those that the database has."""

    @cached_property
    def runs_asked(self) -> int:
        """Confirm runs of the whole suite."""
        suite = self.suite
        studies = len(suite.tasks) * len(suite.sizes)
        return studies * len(suite.eligible) * suite.budget.seeds

    @cached_property
    def runs_confirmed(self) -> int:
        """Confirm runs that have finished, of those."""
        confirmed = 0
        for study in self.studies.values():
            confirmed += sum(study.confirmed_runs(method) for method in self.suite.eligible)
        return confirmed

    def scores(self, size: int, method: str, task: str) -> Scores | None:
        """Return the test scores of a method on a task; None while it is not confirmed."""
        study = self.studies.get((task, size))
        return study.test.get(method) if study else None

    def is_unpublished(self, size: int, method: str, task: str | None = None) -> bool:
        """Tell whether a published score is of another adapter than a method has here, on a task or on any."""
        if self.suite.published is None:
            return False
        tasks = [known.name for known in self.suite.tasks] if task is None else [task]
        studies = [self.studies.get((name, size)) for name in tasks]
        return any(method in study.unpublished for study in studies if study is not None)

    def measure(self, task: str) -> Measure:
        """Tell how the scores of a task are to be read.

        Raises:
            MachineError: Its metric is that of a package that cannot be loaded.
        """
        asked = next(known.metric for known in self.suite.tasks if known.name == task)
        used = [study.metric for (name, _), study in self.studies.items() if name == task]
        # What `auto` chooses is always a share or a correlation.
        name = next(iter(used), asked)
        return Measure(1, _HUNDRED) if name == AUTO else measure_of(find_metric(name))

    def average_measure(self, size: int) -> Measure | None:
        """Tell how averages are to be read; None where the tasks' scores are of several kinds, which have no average.

        Raises:
            MachineError: The metric of a task is that of a package that cannot be loaded.
        """
        measures = {self.measure(task) for task in self.averaged_tasks(size)}
        return measures.pop() if len(measures) == 1 else None

    def averaged_tasks(self, size: int) -> tuple[str, ...]:
        """Return the tasks that published averages are taken over: the shared ones, or all where none is shared yet."""
        return self.shared_tasks(size) or tuple(task.name for task in self.suite.tasks)

    def shared_tasks(self, size: int) -> tuple[str, ...]:
        """Return the tasks on which every method is confirmed, over which averages are taken."""
        return tuple(task.name for task in self.suite.tasks if self._is_complete(size, task.name))

    def _is_complete(self, size: int, task: str) -> bool:
        return all(self.scores(size, method, task) for method in self.suite.eligible)

    def average(self, size: int, method: str) -> Scores | None:
        """Average a method's test scores over the shared tasks, run by run; None without such tasks, or an average."""
        if self.average_measure(size) is None:
            return None
        return mean_scores([self.scores(size, method, task) for task in self.shared_tasks(size)])

    def published_average(self, size: int, method: str) -> float | None:
        """Average a method's published scores over the shared tasks, or all of them where none is shared yet."""
        if self.average_measure(size) is None:
            return None
        tasks = self.averaged_tasks(size)
        return _mean([self.suite.published_score(size, method, task) for task in tasks])

    def bound(self, size: int, methods: Iterable[str], task: str) -> Bound | None:
        """Choose the best of some methods on the select rows; None while none of them is confirmed."""
        study = self.studies.get((task, size))
        if study is None:
            return None
        known = [method for method in methods if method in study.select]
        if not known:
            return None
        sign = self.measure(task).sign
        best = max(known, key=lambda method: sign * study.select[method])  # the first of equal ones
        return Bound(best, study.test[best])

    def average_bound(self, size: int, methods: Iterable[str]) -> Scores | None:
        """Average the test scores of the bounds over the shared tasks, run by run."""
        if self.average_measure(size) is None:
            return None
        chosen = tuple(methods)
        bounds = [self.bound(size, chosen, task) for task in self.shared_tasks(size)]
        return mean_scores([bound.test if bound else None for bound in bounds])

    def published_bound(self, size: int, methods: Iterable[str], task: str) -> float | None:
        """Return the best published score of some methods: chosen on the test rows, as the paper's Table 2 does."""
        scores = [self.suite.published_score(size, method, task) for method in methods]
        sign = self.measure(task).sign
        return max((score for score in scores if score is not None), key=lambda score: sign * score, default=None)

    def published_average_bound(self, size: int, methods: Iterable[str]) -> float | None:
        """Average the published bounds over the same tasks as `published_average`."""
        if self.average_measure(size) is None:
            return None
        chosen = tuple(methods)
        tasks = self.averaged_tasks(size)
        return _mean([self.published_bound(size, chosen, task) for task in tasks])

    def rank_correlation(self, size: int) -> tuple[float, int] | None:
        """Compare the order of our averages with that of the published ones.

        Args:
            size: Training rows.

        Returns:
            Spearman's rank correlation, and the number of methods that both have, those with another adapter than the
            published one left out; None with fewer than three of them,
            or where all averages of one side are equal.
        """
        ours, published = [], []
        for method in self.suite.eligible:
            average = self.average(size, method)
            published_average = self.published_average(size, method)
            if self.is_unpublished(size, method):
                continue
            if average is not None and published_average is not None:
                # Rounded, since sums of floats differ in the last digits where the averages are equal.
                ours.append(round(average.mean, 9))
                published.append(published_average)
        if len(ours) < 3 or len(set(ours)) == 1 or len(set(published)) == 1:
            return None
        ranks = np.array([rankdata(ours), rankdata(published)])
        return float(np.corrcoef(ranks)[0, 1]), len(ours)


def measure_of(metric: Metric) -> Measure:
    """Tell how the scores of a metric are to be read."""
    return Measure(metric.sign, _HUNDRED if isfinite(metric.high) else 1.0)


def suite_scores(suite: SuiteSpec, records: Iterable[StudyRecord]) -> SuiteScores:
    """Read the scores of a suite's studies.

    Args:
        suite: What is asked.
        records: The studies of these names that there are, with their details; each is looked at once.

    Returns:
        The scores.

    Raises:
        StudyExistsError: A study of that name asks something else than the suite.
    """
    asked = {}
    for task in suite.tasks:
        for size in suite.sizes:
            asked[suite.study_name(task.name, size)] = (task, size)
    found = {}
    for record in records:
        task, size = asked[record.spec.name]
        _check_same_identity(suite, task, size, record)
        found[task.name, size] = _study_scores(record, task)
    return SuiteScores(suite, found)


def gated_methods(suite: SuiteSpec) -> dict[str, tuple[str, ...]]:
    """List the suite's gated methods, each with those single methods of the suite that it unites."""
    united = {}
    for method in suite.space.methods:
        known = stored_method(method)
        singles = tuple(name for name in known.submodules if name in suite.space.methods)
        if known.gated and singles:
            united[method] = singles
    return united


def mean_scores(parts: Iterable[Scores | None]) -> Scores | None:
    """Average scores run by run, over the runs that all have; None where one is missing or no run is shared."""
    known = list(parts)
    complete = [part for part in known if part is not None]
    if not known or len(complete) < len(known):
        return None
    shared = set.intersection(*(set(part.by_seed) for part in complete))
    if not shared:
        return None
    means = {}
    for seed in sorted(shared):
        means[seed] = fmean(part.by_seed[seed] for part in complete)
    return Scores(means)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _check_same_identity(suite: SuiteSpec, task: SuiteTask, size: int, record: StudyRecord) -> None:
    asked = suite.study(task, size, record.spec.task.data)
    asked = as_begun(record.spec, asked, record.edition)
    differences = spec_differences(record.spec.completed(record.basis), asked.completed(record.basis))
    if differences:
        name = record.spec.name
        raise StudyExistsError(
            f"A suite's studies must ask what the suite asks; {name!r} exists and differs in {'; '.join(differences)}. "
            f"Choose another --storage, or delete it: unipelt-search delete {name}."
        )


def _study_scores(record: StudyRecord, task: SuiteTask) -> StudyScores:
    ranking = rank_methods(record)
    source = task.source_of(record.spec.task.data)
    return StudyScores(
        name=record.spec.name,
        state=record.state,
        backbone=record.spec.backbone.model,
        metric=record.task.metric,
        copy_note=None if source is task.hub else source.note,
        test={candidate.name: _test_scores(candidate) for candidate in ranking.confirmed},
        select={candidate.name: candidate.score for candidate in ranking.confirmed},
        majority=record.task.majority["test"][record.task.metric],
        verdict=recommend(ranking),
        unpublished=tuple(
            candidate.name for candidate in ranking.confirmed if reads_feed_forward(candidate.trial.spec)
        ),
    )


def _test_scores(candidate: Candidate) -> Scores:
    by_seed: dict[int, list[float]] = {}
    for run in candidate.confirmed:  # with folds a seed has several runs
        by_seed.setdefault(run.seed_index, []).append(run.test)
    return Scores({seed_index: fmean(scores) for seed_index, scores in by_seed.items()})

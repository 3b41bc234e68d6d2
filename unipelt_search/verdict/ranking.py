"""A study's confirmed runs compared row by row: means with intervals, differences to the best, ties and power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unipelt_search.kinds.label_kind import Label
from unipelt_search.records.history import StudyRecord, TaskSummary
from unipelt_search.records.report import Difference, Disagreement, Interval
from unipelt_search.records.results import Predictions
from unipelt_search.verdict.candidates import Candidate, find_candidates
from unipelt_search.verdict.comparisons import PairedComparisons
from unipelt_search.verdict.crossed import mean_estimate, method_scores
from unipelt_search.verdict.deciding_scores import DecidingScores, deciding_scores, scores_of_runs
from unipelt_search.verdict.disagreement import find_disagreement
from unipelt_search.verdict.intervals import interval_of
from unipelt_search.verdict.power import RequiredSample, StudyPower, detectable_difference
from unipelt_search.verdict.row_scores import row_scores


@dataclass(frozen=True)
class Ranking:
    """What a study's confirmed runs say."""

    record: StudyRecord
    candidates: tuple[Candidate, ...]
    """Of every method and variant that has a complete trial: confirmed ones first, best first."""
    validation: dict[str, Interval]
    """By name of the confirmed ones, on the deciding rows: the select rows, or all folds."""
    test: dict[str, Interval]
    differences: dict[str, Difference]
    """To the best one, on the deciding rows; the intervals hold all at once. Without bounds where the predictions were
    not kept, a method has one seed, or with folds no repeat that the best has too. `majority` is among them, alone with
    its interval."""
    ties: tuple[str, ...]
    """Confirmed ones that cannot be told apart from the best, best first."""
    too_slow: tuple[str, ...]
    """Confirmed ones that take longer than the study allows; they are never best and never tie, unless all are."""
    power: StudyPower | None
    """None where nothing can be compared."""
    disagreement: Disagreement | None = None
    """Where the best one's scores on the deciding rows and on test are further apart than their intervals allow."""

    @property
    def confirmed(self) -> tuple[Candidate, ...]:
        """The confirmed ones, the one with the best score first."""
        return tuple(candidate for candidate in self.candidates if candidate.confirmed)

    @property
    def eligible(self) -> tuple[Candidate, ...]:
        """The confirmed ones that may win, the best first."""
        return _eligible(self.confirmed, self.too_slow)


def rank_methods(record: StudyRecord) -> Ranking:
    """Rank a study's methods by their confirmed runs on the deciding rows.

    Args:
        record: The study with its details.

    Returns:
        The ranking.
    """
    task = record.task
    candidates = find_candidates(record)
    confirmed = [candidate for candidate in candidates if candidate.confirmed]
    too_slow = _too_slow(confirmed, record.spec.space.max_latency_ms)
    eligible = _eligible(confirmed, too_slow)
    deciding = deciding_scores(confirmed, task)
    paired = deciding.compare([candidate.name for candidate in eligible])
    validation = {candidate.name: _validation_interval(candidate, task, deciding) for candidate in confirmed}
    test = {candidate.name: _test_interval(candidate, task) for candidate in confirmed}
    disagreement = None
    if eligible:
        best = eligible[0]
        disagreement = find_disagreement(best, task, validation[best.name], test[best.name])
    return Ranking(
        record=record,
        candidates=candidates,
        validation=validation,
        test=test,
        differences=_differences(confirmed, eligible, task, deciding, paired),
        ties=_ties(eligible, paired),
        too_slow=too_slow,
        power=_power(paired, deciding),
        disagreement=disagreement,
    )


def _too_slow(confirmed: Sequence[Candidate], limit: float | None) -> tuple[str, ...]:
    if limit is None:
        return ()
    return tuple(candidate.name for candidate in confirmed if candidate.milliseconds > limit)


def _eligible(confirmed: Sequence[Candidate], too_slow: Sequence[str]) -> tuple[Candidate, ...]:
    return tuple(candidate for candidate in confirmed if candidate.name not in too_slow) or tuple(confirmed)


def _ties(eligible: Sequence[Candidate], paired: PairedComparisons | None) -> tuple[str, ...]:
    """List what the comparisons do not tell apart from the best: a method that was not compared ties."""
    # Only an interval that excludes 0 rules a method out.
    worse: set[str] = set()
    if paired is not None:
        worse = {comparison.method for comparison in paired.comparisons if not comparison.tie}
    return tuple(candidate.name for candidate in eligible[1:] if candidate.name not in worse)


def _validation_interval(candidate: Candidate, task: TaskSummary, deciding: DecidingScores) -> Interval:
    means = [seed.mean for seed in candidate.seeds]
    return interval_of(means, task, deciding.estimate(candidate.name))


def _test_interval(candidate: Candidate, task: TaskSummary) -> Interval:
    """Describe a method's test score; every confirmed run has predicted all test rows, with folds or without."""
    scores = scores_of_runs([run.predictions("test") for run in candidate.confirmed], task)
    estimate = None if scores is None else mean_estimate(method_scores(scores))
    return interval_of([run.test for run in candidate.confirmed], task, estimate)


def _differences(
    confirmed: Sequence[Candidate],
    eligible: Sequence[Candidate],
    task: TaskSummary,
    deciding: DecidingScores,
    paired: PairedComparisons | None,
) -> dict[str, Difference]:
    if not confirmed:
        return {}
    best = eligible[0]
    differences = {candidate.name: _difference(candidate, best, paired) for candidate in confirmed}
    differences["majority"] = _majority_difference(task, best, deciding, paired)
    return differences


def _difference(candidate: Candidate, best: Candidate, paired: PairedComparisons | None) -> Difference:
    # The best is compared with itself, without error.
    if paired is not None and candidate is best:
        return Difference(mean=0.0, low=0.0, high=0.0)
    for comparison in paired.comparisons if paired else ():
        if comparison.method == candidate.name:
            return Difference(mean=comparison.difference.mean, low=comparison.low, high=comparison.high)
    return Difference(mean=candidate.score - best.score, low=None, high=None)


def _majority_difference(
    task: TaskSummary, best: Candidate, deciding: DecidingScores, paired: PairedComparisons | None
) -> Difference:
    """Compare the majority prediction with the best method: it has no seeds, so only those of the best count."""
    constant, predictions = task.majority_answer, best.seeds[0].predictions
    mean = task.majority["select"][task.metric] - best.score
    if paired is None or constant is None or predictions is None:
        return Difference(mean=mean, low=None, high=None)
    always = _always(task, constant, predictions)
    (majority,) = row_scores(task, [always])  # (1, n)
    estimate = deciding.majority_difference(majority, best.name, paired)
    return Difference(mean=mean, low=estimate.low, high=estimate.high)


def _always(task: TaskSummary, constant: Label, predictions: Predictions) -> Predictions:
    """Return the constant prediction, with the same probabilities everywhere, for the rows of other predictions."""
    rows = len(predictions.labels)
    probabilities = None
    if task.majority_probabilities is not None:
        shares = np.asarray(task.majority_probabilities, dtype="<f4")
        probabilities = np.tile(shares, rows).tobytes()
    return predictions.model_copy(update={"predicted": (constant,) * rows, "probabilities": probabilities})


def _power(paired: PairedComparisons | None, deciding: DecidingScores) -> StudyPower | None:
    if paired is None or not paired.comparisons:
        return None
    closest = paired.comparisons[0]
    found = closest.difference
    methods = len(paired.comparisons) + 1
    return StudyPower(
        detectable=detectable_difference(found.error, found.degrees_of_freedom, methods=methods),
        best=paired.best,
        closest=closest.method,
        tie=closest.tie,
        needed=deciding.required_sample(paired) if closest.tie else RequiredSample(seeds=0, rows=0),
        repeats=deciding.repeats,
    )

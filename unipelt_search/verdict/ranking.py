"""A study's confirmed runs, judged row by row: means with intervals, differences to the best, ties and power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from unipelt_search.records.history import StudyRecord, TaskSummary
from unipelt_search.records.report import Difference, Interval, Power
from unipelt_search.records.results import Predictions
from unipelt_search.verdict.candidates import Candidate, find_candidates
from unipelt_search.verdict.comparisons import Comparison, PairedComparisons, compare_with_best
from unipelt_search.verdict.crossed import Estimate, MethodScores, difference_estimate, mean_estimate, method_scores
from unipelt_search.verdict.folds import folded_estimate, folded_sources
from unipelt_search.verdict.intervals import interval_of
from unipelt_search.verdict.power import (
    RequiredSample,
    detectable_difference,
    difference_sources,
    required_repeats,
    required_sample,
)
from unipelt_search.verdict.row_scores import row_scores

_FEWEST_SEEDS, _FEWEST_ROWS = 2, 3


@dataclass(frozen=True, eq=False)
class _Deciding:
    """Scores on the deciding rows, one by one."""

    scores: dict[str, np.ndarray]
    """By name of the confirmed ones ``(S, n)``; with folds a repeat that a method lacks is a row of NaN. Absent where
    there are too few seeds or rows, or answers were not kept."""
    folds: np.ndarray | None
    """``(S, n)``, which fold held out which row in which repeat; None where all runs answered all rows."""

    def estimate(self, name: str) -> Estimate | None:
        """Return a method's mean with its interval, where there is one."""
        if name not in self.scores:
            return None
        if self.folds is None:
            return mean_estimate(method_scores(self.scores[name]))
        return folded_estimate(self.scores[name], self.folds)

    def compared(self, names: Sequence[str]) -> PairedComparisons | None:
        """Compare those of these, the best first, that can be compared with it."""
        if not names or names[0] not in self.scores:
            return None
        known = {name: self.scores[name] for name in names if name in self.scores}
        if self.folds is None:
            return compare_with_best(known)
        leading = known[names[0]]
        shared = {name: rows for name, rows in known.items() if not np.isnan(rows - leading).all()}
        return compare_with_best(shared, folds=self.folds)


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
    """To the best one, on the deciding rows; the intervals hold all at once. Without bounds where the answers to the
    rows were not kept, a method has one seed, or with folds no repeat that the best has too. `majority` is among them,
    alone with its interval."""
    ties: tuple[str, ...]
    """Confirmed ones that cannot be told apart from the best, best first."""
    too_slow: tuple[str, ...]
    """Confirmed ones that take longer than the study allows; they are never best and never tie, unless all are."""
    power: Power | None
    """None where nothing can be compared."""

    @property
    def confirmed(self) -> tuple[Candidate, ...]:
        """The confirmed ones, the one with the best score first."""
        return tuple(candidate for candidate in self.candidates if candidate.confirmed)

    @property
    def eligible(self) -> tuple[Candidate, ...]:
        """The confirmed ones that may win, the best first."""
        return _eligible(self.confirmed, self.too_slow)


def rank_methods(record: StudyRecord) -> Ranking:
    """Judge a study by its confirmed runs on the deciding rows.

    Args:
        record: The study with its details.

    Returns:
        The judgement.
    """
    candidates, task = find_candidates(record), record.task
    confirmed = [candidate for candidate in candidates if candidate.confirmed]
    limit = record.spec.space.max_latency_ms
    too_slow = tuple(s.name for s in confirmed if limit is not None and s.milliseconds > limit)
    eligible = _eligible(confirmed, too_slow)
    deciding = _folded(confirmed, task) if task.folds else _crossed(confirmed, task)
    paired = deciding.compared([candidate.name for candidate in eligible])
    differences = {s.name: _difference(s, eligible[0], paired) for s in confirmed}
    told_apart = {c.method for c in paired.comparisons if not c.tie} if paired else set()
    if confirmed:
        differences["majority"] = _majority_difference(task, eligible[0], deciding, paired)
    return Ranking(
        record=record,
        candidates=candidates,
        validation={
            s.name: interval_of([seed.mean for seed in s.seeds], task.metric, deciding.estimate(s.name))
            for s in confirmed
        },
        test={s.name: _test_interval(s, task) for s in confirmed},
        differences=differences,
        ties=tuple(s.name for s in eligible[1:] if s.name not in told_apart),
        too_slow=too_slow,
        power=_power(paired, deciding) if paired else None,
    )


def _eligible(confirmed: Sequence[Candidate], too_slow: Sequence[str]) -> tuple[Candidate, ...]:
    return tuple(candidate for candidate in confirmed if candidate.name not in too_slow) or tuple(confirmed)


def _crossed(confirmed: Sequence[Candidate], task: TaskSummary) -> _Deciding:
    """Score the select rows, which every run has answered."""
    found = {s.name: _all_runs([seed.predictions for seed in s.seeds], task) for s in confirmed}
    return _Deciding({name: scores for name, scores in found.items() if scores is not None}, None)


def _folded(confirmed: Sequence[Candidate], task: TaskSummary) -> _Deciding:
    """Score the rows of train and validation, which the runs of a repeat have answered together."""
    complete = [(s, [seed for seed in s.seeds if seed.predictions is not None]) for s in confirmed]
    folds = {seed.seed_index: seed.folds for _, seeds in complete for seed in seeds}
    positions = {index: position for position, index in enumerate(sorted(folds))}
    by_name = {}
    for candidate, seeds in complete:
        if seeds:
            scores = row_scores(task, [seed.predictions for seed in seeds if seed.predictions is not None])
            by_name[candidate.name] = np.full((len(folds), scores.shape[1]), np.nan)
            by_name[candidate.name][[positions[seed.seed_index] for seed in seeds]] = scores
    return _Deciding(by_name, np.array([folds[index] for index in positions]))


def _all_runs(predictions: Sequence[Predictions | None], task: TaskSummary) -> np.ndarray | None:
    """Return the scores ``(S, n)`` of all runs; None where answers are missing, or there are too few seeds or rows."""
    kept = [found for found in predictions if found is not None]
    if len(kept) < max(_FEWEST_SEEDS, len(predictions)) or len(kept[0].labels) < _FEWEST_ROWS:
        return None
    return row_scores(task, kept)


def _test_interval(candidate: Candidate, task: TaskSummary) -> Interval:
    """Describe a method's test score; every confirmed run has answered all test rows, with folds or without."""
    scores = _all_runs([run.predictions("test") for run in candidate.confirmed], task)
    estimate = None if scores is None else mean_estimate(method_scores(scores))
    return interval_of([run.test for run in candidate.confirmed], task.metric, estimate)


def _difference(candidate: Candidate, best: Candidate, paired: PairedComparisons | None) -> Difference:
    if paired is not None and candidate is best:
        return Difference(mean=0.0, low=0.0, high=0.0)
    compared = _comparison(paired, candidate.name)
    if compared is None:
        return Difference(mean=candidate.score - best.score, low=None, high=None)
    return Difference(mean=compared.difference.mean, low=compared.low, high=compared.high)


def _comparison(paired: PairedComparisons | None, name: str) -> Comparison | None:
    return next((c for c in paired.comparisons if c.method == name), None) if paired else None


def _majority_difference(
    task: TaskSummary, best: Candidate, deciding: _Deciding, paired: PairedComparisons | None
) -> Difference:
    """Compare the answer that needs no text with the best method: it has no luck, so only rows and seeds of that."""
    prediction, predictions = task.majority_answer, best.seeds[0].predictions
    mean = task.majority["select"][task.metric] - best.score
    if paired is None or prediction is None or predictions is None:
        return Difference(mean=mean, low=None, high=None)
    row = row_scores(task, [predictions.model_copy(update={"predicted": (prediction,) * len(predictions.labels)})])[0]
    if deciding.folds is None:
        constant = MethodScores(
            by_example=row, seeds=1, residual_variance=0.0, seed_variance=0.0, degrees_of_freedom=inf
        )
        estimate = difference_estimate(constant, paired.pooled[best.name])
    else:
        estimate = folded_estimate(row - deciding.scores[best.name], deciding.folds)
    return Difference(mean=mean, low=estimate.low, high=estimate.high)


def _power(paired: PairedComparisons, deciding: _Deciding) -> Power | None:
    if not paired.comparisons:
        return None
    closest, methods = paired.comparisons[0], len(paired.comparisons) + 1
    found = closest.difference
    detectable = detectable_difference(found.error, found.degrees_of_freedom, methods=methods)
    sentence = f"A true difference of {detectable:.3f} would be seen in four studies of five like this one."
    needed: RequiredSample | None = RequiredSample(0, 0)
    if closest.tie:
        needed = _needed(paired, deciding)
        words = (
            _required_sample_words(needed)
            if deciding.folds is None
            else _required_repeats_words(needed, len(deciding.folds))
        )
        sentence += f" {words} {paired.best} against {closest.method}."
    return Power(
        detectable=detectable,
        closest=closest.method,
        more_seeds=needed.seeds if needed else None,
        more_rows=needed.rows if needed else None,
        sentence=sentence,
    )


def _needed(paired: PairedComparisons, deciding: _Deciding) -> RequiredSample | None:
    """Find what would settle the best against the closest."""
    best, closest, methods = paired.best, paired.comparisons[0], len(paired.comparisons) + 1
    if deciding.folds is not None:
        difference = deciding.scores[closest.method] - deciding.scores[best]
        return required_repeats(folded_sources(difference, deciding.folds), methods=methods)
    scores, other = paired.pooled[best], paired.pooled[closest.method]
    seeds, rows = min(scores.seeds, other.seeds), scores.by_example.size
    return required_sample(difference_sources(scores, other), closest.difference.mean, seeds, rows, methods=methods)


def _required_sample_words(needed: RequiredSample | None) -> str:
    if needed is None:
        return "No affordable number of seeds or rows would settle"
    counts = ((needed.seeds, "seeds"), (needed.rows, "select rows"))
    more = " and ".join(f"{count:,} more {what}" for count, what in counts if count) or "one more seed"
    return f"About {more} would settle"


def _required_repeats_words(needed: RequiredSample | None, repeats: int) -> str:
    if needed is None and repeats == 1:
        return "A second repeat of the folds would tell what settles"
    if needed is None:
        return "No affordable number of repeats, only more labelled rows, would settle"
    more = f"{needed.seeds} more repeats" if needed.seeds > 1 else "one more repeat"
    return f"About {more} of the folds would settle"

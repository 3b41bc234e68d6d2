"""A study's confirmed runs, judged row by row: means with intervals, differences to the best, ties and power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from unipelt_search.records.history import StudyRecord, TaskSummary
from unipelt_search.records.report import Difference, Interval, Power
from unipelt_search.records.results import Answers
from unipelt_search.verdict.comparisons import Comparison, Ranking, compare_with_best
from unipelt_search.verdict.crossed import Estimate, MethodScores, difference_estimate, mean_estimate, method_scores
from unipelt_search.verdict.folds import folded_estimate, folded_sources
from unipelt_search.verdict.intervals import shown_interval
from unipelt_search.verdict.power import Remedy, detectable_difference, difference_sources, remedy, repeats_remedy
from unipelt_search.verdict.row_scores import row_scores
from unipelt_search.verdict.standings import MethodStanding, method_standings

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

    def compared(self, names: Sequence[str]) -> Ranking | None:
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
class Judgement:
    """What a study's confirmed runs say."""

    record: StudyRecord
    standings: tuple[MethodStanding, ...]
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
    def confirmed(self) -> tuple[MethodStanding, ...]:
        """The confirmed ones, the one with the best score first."""
        return tuple(standing for standing in self.standings if standing.confirmed)

    @property
    def contestants(self) -> tuple[MethodStanding, ...]:
        """The confirmed ones that may win, the best first."""
        return _contestants(self.confirmed, self.too_slow)


def judge(record: StudyRecord) -> Judgement:
    """Judge a study by its confirmed runs on the deciding rows.

    Args:
        record: The study with its details.

    Returns:
        The judgement.
    """
    standings, task = method_standings(record), record.task
    confirmed = [standing for standing in standings if standing.confirmed]
    limit = record.spec.space.max_latency_ms
    too_slow = tuple(s.name for s in confirmed if limit is not None and s.milliseconds > limit)
    contestants = _contestants(confirmed, too_slow)
    deciding = _folded(confirmed, task) if task.folds else _crossed(confirmed, task)
    ranking = deciding.compared([standing.name for standing in contestants])
    differences = {s.name: _difference(s, contestants[0], ranking) for s in confirmed}
    told_apart = {c.method for c in ranking.comparisons if not c.tie} if ranking else set()
    if confirmed:
        differences["majority"] = _majority_difference(task, contestants[0], deciding, ranking)
    return Judgement(
        record=record,
        standings=standings,
        validation={
            s.name: shown_interval([seed.mean for seed in s.seeds], task.metric, deciding.estimate(s.name))
            for s in confirmed
        },
        test={s.name: _test_interval(s, task) for s in confirmed},
        differences=differences,
        ties=tuple(s.name for s in contestants[1:] if s.name not in told_apart),
        too_slow=too_slow,
        power=_power(ranking, deciding) if ranking else None,
    )


def _contestants(confirmed: Sequence[MethodStanding], too_slow: Sequence[str]) -> tuple[MethodStanding, ...]:
    return tuple(standing for standing in confirmed if standing.name not in too_slow) or tuple(confirmed)


def _crossed(confirmed: Sequence[MethodStanding], task: TaskSummary) -> _Deciding:
    """Score the select rows, which every run has answered."""
    found = {s.name: _all_runs([seed.answers for seed in s.seeds], task) for s in confirmed}
    return _Deciding({name: scores for name, scores in found.items() if scores is not None}, None)


def _folded(confirmed: Sequence[MethodStanding], task: TaskSummary) -> _Deciding:
    """Score the rows of train and validation, which the runs of a repeat have answered together."""
    whole = [(s, [seed for seed in s.seeds if seed.answers is not None]) for s in confirmed]
    folds = {seed.seed_index: seed.folds for _, seeds in whole for seed in seeds}
    places = {index: place for place, index in enumerate(sorted(folds))}
    by_name = {}
    for standing, seeds in whole:
        if seeds:
            scores = row_scores(task, [seed.answers for seed in seeds if seed.answers is not None])
            by_name[standing.name] = np.full((len(folds), scores.shape[1]), np.nan)
            by_name[standing.name][[places[seed.seed_index] for seed in seeds]] = scores
    return _Deciding(by_name, np.array([folds[index] for index in places]))


def _all_runs(answers: Sequence[Answers | None], task: TaskSummary) -> np.ndarray | None:
    """Return the scores ``(S, n)`` of all runs; None where answers are missing, or there are too few seeds or rows."""
    kept = [found for found in answers if found is not None]
    if len(kept) < max(_FEWEST_SEEDS, len(answers)) or len(kept[0].labels) < _FEWEST_ROWS:
        return None
    return row_scores(task, kept)


def _test_interval(standing: MethodStanding, task: TaskSummary) -> Interval:
    """Describe a method's test score; every confirmed run has answered all test rows, with folds or without."""
    scores = _all_runs([run.answers("test") for run in standing.confirmed], task)
    estimate = None if scores is None else mean_estimate(method_scores(scores))
    return shown_interval([run.test for run in standing.confirmed], task.metric, estimate)


def _difference(standing: MethodStanding, best: MethodStanding, ranking: Ranking | None) -> Difference:
    if ranking is not None and standing is best:
        return Difference(mean=0.0, low=0.0, high=0.0)
    compared = _comparison(ranking, standing.name)
    if compared is None:
        return Difference(mean=standing.score - best.score, low=None, high=None)
    return Difference(mean=compared.difference.mean, low=compared.low, high=compared.high)


def _comparison(ranking: Ranking | None, name: str) -> Comparison | None:
    return next((c for c in ranking.comparisons if c.method == name), None) if ranking else None


def _majority_difference(
    task: TaskSummary, best: MethodStanding, deciding: _Deciding, ranking: Ranking | None
) -> Difference:
    """Compare the answer that needs no text with the best method: it has no luck, so only rows and seeds of that."""
    answer, answers = task.majority_answer, best.seeds[0].answers
    mean = task.majority["select"][task.metric] - best.score
    if ranking is None or answer is None or answers is None:
        return Difference(mean=mean, low=None, high=None)
    row = row_scores(task, [answers.model_copy(update={"predicted": (answer,) * len(answers.labels)})])[0]
    if deciding.folds is None:
        constant = MethodScores(by_example=row, seeds=1, noise=0.0, luck=0.0, freedom=inf)
        estimate = difference_estimate(constant, ranking.pooled[best.name])
    else:
        estimate = folded_estimate(row - deciding.scores[best.name], deciding.folds)
    return Difference(mean=mean, low=estimate.low, high=estimate.high)


def _power(ranking: Ranking, deciding: _Deciding) -> Power | None:
    if not ranking.comparisons:
        return None
    closest, methods = ranking.comparisons[0], len(ranking.comparisons) + 1
    found = closest.difference
    detectable = detectable_difference(found.error, found.freedom, methods=methods)
    sentence = f"A true difference of {detectable:.3f} would be seen in four studies of five like this one."
    needed: Remedy | None = Remedy(0, 0)
    if closest.tie:
        needed = _needed(ranking, deciding)
        words = _remedied(needed) if deciding.folds is None else _repeated(needed, len(deciding.folds))
        sentence += f" {words} {ranking.best} against {closest.method}."
    return Power(
        detectable=detectable,
        closest=closest.method,
        more_seeds=needed.seeds if needed else None,
        more_rows=needed.rows if needed else None,
        sentence=sentence,
    )


def _needed(ranking: Ranking, deciding: _Deciding) -> Remedy | None:
    """Find what would settle the best against the closest."""
    best, closest, methods = ranking.best, ranking.comparisons[0], len(ranking.comparisons) + 1
    if deciding.folds is not None:
        difference = deciding.scores[closest.method] - deciding.scores[best]
        return repeats_remedy(folded_sources(difference, deciding.folds), methods=methods)
    scores, other = ranking.pooled[best], ranking.pooled[closest.method]
    seeds, rows = min(scores.seeds, other.seeds), scores.by_example.size
    return remedy(difference_sources(scores, other), closest.difference.mean, seeds, rows, methods=methods)


def _remedied(needed: Remedy | None) -> str:
    if needed is None:
        return "No affordable number of seeds or rows would settle"
    counts = ((needed.seeds, "seeds"), (needed.rows, "select rows"))
    more = " and ".join(f"{count:,} more {what}" for count, what in counts if count) or "one more seed"
    return f"About {more} would settle"


def _repeated(needed: Remedy | None, repeats: int) -> str:
    if needed is None and repeats == 1:
        return "A second repeat of the folds would tell what settles"
    if needed is None:
        return "No affordable number of repeats, only more labelled rows, would settle"
    more = f"{needed.seeds} more repeats" if needed.seeds > 1 else "one more repeat"
    return f"About {more} of the folds would settle"

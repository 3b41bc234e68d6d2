"""A study's confirmed runs, judged row by row: means with intervals, differences to the best, ties and power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import Difference, Interval, Power
from unipelt_search.records.results import Answers, Label
from unipelt_search.tasks.target import positive_label
from unipelt_search.verdict.comparisons import Comparison, Ranking, compare_with_best
from unipelt_search.verdict.crossed import MethodScores, difference_estimate, mean_estimate, method_scores
from unipelt_search.verdict.intervals import shown_interval
from unipelt_search.verdict.power import Remedy, detectable_difference, difference_sources, remedy
from unipelt_search.verdict.pseudo_values import pseudo_values
from unipelt_search.verdict.standings import MethodStanding, method_standings

_FEWEST_SEEDS, _FEWEST_ROWS = 2, 3


@dataclass(frozen=True)
class Judgement:
    """What a study's confirmed runs say."""

    record: StudyRecord
    standings: tuple[MethodStanding, ...]
    """Of every method and variant that has a complete trial: confirmed ones first, best first."""
    validation: dict[str, Interval]
    """By name of the confirmed ones, on the select rows."""
    test: dict[str, Interval]
    differences: dict[str, Difference]
    """To the best one, on the select rows; the intervals hold all at once. Without bounds where the answers to the rows
    were not kept or a method has one seed. `majority` is among them, alone with its interval."""
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
    """Judge a study by its confirmed runs on the select rows.

    Args:
        record: The study with its details.

    Returns:
        The judgement.
    """
    standings = method_standings(record)
    confirmed = [standing for standing in standings if standing.confirmed]
    limit = record.spec.space.max_latency_ms
    too_slow = tuple(s.name for s in confirmed if limit is not None and s.milliseconds > limit)
    contestants = _contestants(confirmed, too_slow)
    select, test = ({s.name: _row_scores(record, s, split) for s in confirmed} for split in ("select", "test"))
    comparable = {s.name: scores for s in contestants if (scores := select[s.name]) is not None}
    ranking = compare_with_best(comparable) if contestants and contestants[0].name in comparable else None
    metric = record.task.metric
    differences = {s.name: _difference(s, contestants[0], ranking) for s in confirmed}
    told_apart = {c.method for c in ranking.comparisons if not c.tie} if ranking else set()
    if confirmed:
        differences["majority"] = _majority_difference(record, contestants[0], ranking)
    return Judgement(
        record=record,
        standings=standings,
        validation={s.name: _interval([run.select for run in s.confirmed], metric, select[s.name]) for s in confirmed},
        test={s.name: _interval([run.test for run in s.confirmed], metric, test[s.name]) for s in confirmed},
        differences=differences,
        ties=tuple(s.name for s in contestants[1:] if s.name not in told_apart),
        too_slow=too_slow,
        power=_power(ranking) if ranking else None,
    )


def _contestants(confirmed: Sequence[MethodStanding], too_slow: Sequence[str]) -> tuple[MethodStanding, ...]:
    return tuple(standing for standing in confirmed if standing.name not in too_slow) or tuple(confirmed)


def _row_scores(record: StudyRecord, standing: MethodStanding, split: Literal["select", "test"]) -> np.ndarray | None:
    """Return a method's scores ``(S, n)``; None where answers are missing, or there are too few seeds or rows."""
    found = [answers for run in standing.confirmed for answers in run.result.answers if answers.split == split]
    if len(found) < max(_FEWEST_SEEDS, len(standing.confirmed)) or len(found[0].labels) < _FEWEST_ROWS:
        return None
    return pseudo_values(record.task.metric, _labels(record, found[0]), _arrays(record, [a.predicted for a in found]))


def _labels(record: StudyRecord, answers: Answers) -> np.ndarray:
    array: np.ndarray = _arrays(record, [answers.labels])[0]
    return array


def _arrays(record: StudyRecord, rows: list[tuple[Label, ...]]) -> np.ndarray:
    """Turn labels, run by run, into what `pseudo_values` takes: ``(S, n)``, or ``(S, n, L)`` for sets of labels."""
    if record.task.kind.endswith("multi_label"):
        count = len(record.task.labels)
        return np.stack([np.isin(np.arange(count), sets).astype(np.int64) for row in rows for sets in row]).reshape(
            len(rows), -1, count
        )
    array = np.array(rows)
    if record.task.metric != "f1":
        return array
    return (array == positive_label(record.task.labels)).astype(np.int64)


def _interval(values: list[float], metric: str, scores: np.ndarray | None) -> Interval:
    return shown_interval(values, metric, None if scores is None else mean_estimate(method_scores(scores)))


def _difference(standing: MethodStanding, best: MethodStanding, ranking: Ranking | None) -> Difference:
    if ranking is not None and standing is best:
        return Difference(mean=0.0, low=0.0, high=0.0)
    compared = _comparison(ranking, standing.name)
    if compared is None:
        return Difference(mean=standing.score - best.score, low=None, high=None)
    return Difference(mean=compared.difference.mean, low=compared.low, high=compared.high)


def _comparison(ranking: Ranking | None, name: str) -> Comparison | None:
    return next((c for c in ranking.comparisons if c.method == name), None) if ranking else None


def _majority_difference(record: StudyRecord, best: MethodStanding, ranking: Ranking | None) -> Difference:
    """Compare the answer that needs no text with the best method: it has no luck, so only rows and seeds of that."""
    answer = record.task.majority_answer
    mean = record.task.majority["select"][record.task.metric] - best.score
    if ranking is None or answer is None:
        return Difference(mean=mean, low=None, high=None)
    answers = next(answers for answers in best.confirmed[0].result.answers if answers.split == "select")
    always = _arrays(record, [(answer,) * len(answers.labels)])
    row = pseudo_values(record.task.metric, _labels(record, answers), always)[0]
    constant = MethodScores(by_example=row, seeds=1, noise=0.0, luck=0.0, freedom=0.0)
    estimate = difference_estimate(constant, ranking.pooled[best.name])
    return Difference(mean=mean, low=estimate.low, high=estimate.high)


def _power(ranking: Ranking) -> Power | None:
    if not ranking.comparisons:
        return None
    closest, methods = ranking.comparisons[0], len(ranking.comparisons) + 1
    scores, other = ranking.pooled[ranking.best], ranking.pooled[closest.method]
    found = closest.difference
    needed: Remedy | None = Remedy(0, 0)
    if closest.tie:
        sources, rows = difference_sources(scores, other), scores.by_example.size
        needed = remedy(sources, found.mean, min(scores.seeds, other.seeds), rows, methods=methods)
    detectable = detectable_difference(found.error, found.freedom, methods=methods)
    sentence = f"A true difference of {detectable:.3f} would be seen in four studies of five like this one."
    if closest.tie:
        sentence += f" {_remedied(needed)} would settle {ranking.best} against {closest.method}."
    return Power(
        detectable=detectable,
        closest=closest.method,
        more_seeds=needed.seeds if needed else None,
        more_rows=needed.rows if needed else None,
        sentence=sentence,
    )


def _remedied(needed: Remedy | None) -> str:
    if needed is None:
        return "No affordable number of seeds or rows"
    counts = ((needed.seeds, "seeds"), (needed.rows, "select rows"))
    return "About " + (" and ".join(f"{count:,} more {what}" for count, what in counts if count) or "one more seed")

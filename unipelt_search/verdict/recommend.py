"""Which method is best, which cannot be told apart from it, and which are still worth tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from unipelt_search.records.history import StudyRecord, TrialState
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.verdict.candidates import Candidate
from unipelt_search.verdict.ranking import Ranking

_STANDARD_ERRORS = 2.0
_AS_FAST = 1.1
"""The cheapest tie counts as the fastest too where it takes at most so many times the least time: timings vary."""

WhyUntested = Literal["one_seed", "no_predictions", "few_rows"]


@dataclass(frozen=True)
class Recommendation:
    """The best method, the methods that tie with it, and what a user needs to choose among them."""

    best: Candidate | None
    """None while no method is confirmed."""
    ties: tuple[str, ...] = ()
    """The methods, and variants by their names, that tie with the best; the best itself is not among them."""
    cheapest: Candidate | None = None
    """Of the best and its ties, the one with the fewest stored parameters."""
    fastest: Candidate | None = None
    """Of the best and its ties, the one that takes the least time; the cheapest where that is nearly as fast."""
    possible_loss: float | None = None
    """How much worse than the best the cheapest may be, by the interval of its difference; None where it is the best,
    or has no interval."""
    why_untested: WhyUntested | None = None
    """Why the best has no interval and nothing can be compared with it; None where it has one."""
    beats_majority: bool = True
    """Whether the best scores better than the majority prediction."""

    @property
    def name(self) -> str | None:
        """What the best competes as: its variant, else its method."""
        return self.best.name if self.best else None

    @property
    def cheapest_tie(self) -> str | None:
        """The name of the cheapest."""
        return self.cheapest.name if self.cheapest else None


def recommend(ranking: Ranking) -> Recommendation:
    """Find the best method, those that tie with it, and which of these is cheapest and which is fastest.

    Args:
        ranking: What the study's confirmed runs say.

    Returns:
        The best method by its mean, the methods that tie with it (0 is in the interval of the difference, or nothing
        could be compared), and what a user needs to choose among them.
    """
    eligible = ranking.eligible
    if not eligible:
        return Recommendation(best=None)
    best = eligible[0]
    choice = [best, *(candidate for candidate in eligible if candidate.name in ranking.ties)]
    # The name decides between equal sizes, so that the recommendation never depends on the order of trials.
    cheapest = min(choice, key=lambda candidate: (candidate.stored_parameters, candidate.name))
    return Recommendation(
        best=best,
        ties=ranking.ties,
        cheapest=cheapest,
        fastest=_fastest(choice, cheapest),
        possible_loss=_possible_loss(ranking, cheapest),
        why_untested=_why_untested(ranking),
        beats_majority=_beats_majority(ranking),
    )


def plausible_methods(record: StudyRecord) -> tuple[set[str], dict[str, Notice]]:
    """Tell which methods are still worth tuning.

    A method is not when its best tune score lies more than two standard errors of a difference of two proportions
    below the leader's: on that many rows such a gap is hardly chance.

    Args:
        record: The study.

    Returns:
        The plausible methods, those without a score among them, and for each other one the reason.
    """
    best = _best_tune(record)
    if not best:
        return set(record.spec.space.methods), {}
    sign = 1 if record.task.direction == "minimize" else -1

    def rank(method: str) -> tuple[float, int, str]:
        score, stored = best[method]
        return sign * score, stored, method

    leader = min(best, key=rank)
    top, _ = best[leader]
    rows = min(record.task.rows["tune"], record.spec.space.tune_rows)
    plausible = {leader, *(method for method in record.spec.space.methods if method not in best)}
    metric = record.task.find_metric()
    reasons: dict[str, Notice] = {}
    for method, (value, _) in best.items():
        gap = abs(top - value)
        error = sqrt((metric.row_variance(top) + metric.row_variance(value)) / rows)
        if gap <= _STANDARD_ERRORS * error:
            plausible.add(method)
        elif method != leader:
            values: dict[str, NoticeValue] = {
                "score": value,
                "gap": gap,
                "leader": leader,
                "top": top,
                "standard_errors": _STANDARD_ERRORS,
                "error": error,
                "rows": rows,
            }
            reasons[method] = Notice(code="less_plausible", values=values)
    return plausible, reasons


def _best_tune(record: StudyRecord) -> dict[str, tuple[float, int]]:
    """Find every method's best tune score, with what that trial stores."""
    sign = 1 if record.task.direction == "minimize" else -1
    best: dict[str, tuple[float, int]] = {}
    for trial in record.trials:
        if trial.state is not TrialState.COMPLETE or trial.value is None:
            continue
        stored = min(run.result.costs.stored_parameters for run in trial.runs if run.result is not None)
        held = best.get(trial.method)
        if held is None or (sign * trial.value, stored) < (sign * held[0], held[1]):
            best[trial.method] = (trial.value, stored)
    return best


def _fastest(choice: Sequence[Candidate], cheapest: Candidate) -> Candidate:
    fastest = min(choice, key=lambda candidate: (candidate.milliseconds, candidate.name))
    return cheapest if cheapest.milliseconds <= _AS_FAST * fastest.milliseconds else fastest


def _possible_loss(ranking: Ranking, tie: Candidate) -> float | None:
    difference = ranking.differences[tie.name]
    # The end of the interval at which it would be worse than the best.
    bound = difference.high if ranking.record.task.direction == "minimize" else difference.low
    return None if bound is None or tie is ranking.eligible[0] else abs(bound)


def _why_untested(ranking: Ranking) -> WhyUntested | None:
    best = ranking.eligible[0]
    if ranking.validation[best.name].low is not None:
        return None
    if len(best.confirmed) == 1:
        return "one_seed"
    kept = any(run.result.predictions for run in best.confirmed)
    return "few_rows" if kept else "no_predictions"


def _beats_majority(ranking: Ranking) -> bool:
    task = ranking.record.task
    best, majority = ranking.eligible[0].score, task.majority["select"][task.metric]
    return best > majority if task.direction == "maximize" else best < majority

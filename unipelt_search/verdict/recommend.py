"""Which method is best, which cannot be told apart from it, and which are still worth tuning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Literal

from unipelt_search.kinds.label_kind import find_kind, find_metric
from unipelt_search.records.history import StudyRecord, TrialState
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.records.report import Verdict
from unipelt_search.verdict.candidates import Candidate
from unipelt_search.verdict.ranking import Ranking

_STANDARD_ERRORS = 2.0
_AS_FAST = 1.1
"""The cheapest tie is the fastest too where it takes at most so many times the least time: less is noise."""


def recommend(ranking: Ranking) -> Verdict:
    """Say which method is best, which tie with it, and which of these is cheapest.

    Args:
        ranking: What the study's confirmed runs say.

    Returns:
        The best method by its mean, the methods that tie with it (0 is in the interval of the difference, or nothing
        can be told), and the cheapest of all of these.
    """
    eligible = ranking.eligible
    decided_on: Literal["select", "folds"] = "folds" if ranking.record.task.folds else "select"
    if not eligible:
        return Verdict(
            method=None, trial=None, ties=(), cheapest_tie=None, sentence=_unconfirmed(ranking),
            decided_on=decided_on,
        )  # fmt: skip
    best = eligible[0]
    candidates = [best, *(candidate for candidate in eligible if candidate.name in ranking.ties)]
    cheapest = min(candidates, key=lambda s: (s.stored_parameters, s.name))
    fastest = _fastest(candidates, cheapest)
    return Verdict(
        method=best.method,
        variant=best.trial.variant,
        trial=best.trial.number,
        ties=ranking.ties,
        cheapest_tie=cheapest.name,
        fastest_tie=fastest.name,
        sentence=_sentence(ranking, cheapest, fastest),
        decided_on=decided_on,
        power=ranking.power,
    )


def plausible_methods(record: StudyRecord) -> tuple[set[str], dict[str, Notice]]:
    """Tell which methods are still worth tuning.

    A method is not when its best tune score lies more than two standard errors of a difference of two proportions
    behind the leader's: on that many rows such a gap is hardly luck.

    Args:
        record: The study.

    Returns:
        The plausible methods, those without a score among them, and for each other one the reason.
    """
    best = _best_tune(record)
    if not best:
        return set(record.spec.space.methods), {}
    sign = 1 if record.task.direction == "minimize" else -1
    leader = min(best, key=lambda method: (sign * best[method][0], best[method][1], method))
    top = best[leader][0]
    rows = min(record.task.rows["tune"], record.spec.space.tune_rows)
    plausible = {leader, *(method for method in record.spec.space.methods if method not in best)}
    reasons: dict[str, Notice] = {}
    for method, (value, _) in best.items():
        gap = abs(top - value)
        error = sqrt(sum(find_metric(record.task.metric).row_variance(score) for score in (top, value)) / rows)
        if gap <= _STANDARD_ERRORS * error:
            plausible.add(method)
        elif method != leader:
            values: dict[str, NoticeValue] = {
                "score": value,
                "gap": gap,
                "leader": leader,
                "top": top,
                "error": error,
                "rows": rows,
            }
            values["standard_errors"] = _STANDARD_ERRORS
            reasons[method] = Notice(code="less_plausible", values=values)
    return plausible, reasons


def metric_name(metric: str) -> str:
    """Return how a metric is called in a sentence."""
    return find_metric(metric).title or metric


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


def _fastest(candidates: list[Candidate], cheapest: Candidate) -> Candidate:
    fastest = min(candidates, key=lambda s: (s.milliseconds, s.name))
    return cheapest if cheapest.milliseconds <= _AS_FAST * fastest.milliseconds else fastest


def _sentence(ranking: Ranking, cheapest: Candidate, fastest: Candidate) -> str:
    record, best = ranking.record, ranking.eligible[0]
    others = len(ranking.eligible) > 1
    score, name, where = ranking.validation[best.name], metric_name(record.task.metric), _deciding_rows(ranking)
    if score.low is None or score.high is None:
        parts = [f"{best.name} leads {where} with {name} {score.mean:.3f}."]
        if others:
            parts.append(_why_not(best))
    else:
        spread = (
            f"95 % interval {score.low:.3f} to {score.high:.3f} over {len(best.confirmed)} "
            f"{'runs' if record.task.folds else 'seeds'} and {record.task.rows['select']} rows"
        )
        leads = f"{best.name} is best {where}: {name} {score.mean:.3f} ({spread})"
        if ranking.ties:
            fast = "" if fastest is cheapest else f", or the fastest, {fastest.name}"
            parts = [
                f"{leads}, but cannot be told apart from {_join_names(ranking.ties)}; take the cheapest of these, "
                f"{_priced(cheapest)}{_possible_loss(ranking, cheapest)}{fast}."
            ]
        else:
            parts = [f"{leads}."]
            if others:
                parts.append(
                    f"Every other confirmed method is behind by more than seeds and rows can explain; {_priced(best)}."
                )
    if len(ranking.confirmed) == 1:
        parts.append("No other method was confirmed.")
    parts.extend(_slow_methods(ranking))
    majority = record.task.majority["select"][record.task.metric]
    if (best.score <= majority) if record.task.direction == "maximize" else (best.score >= majority):
        constant = find_kind(record.task.kind).constant
        parts.append(f"It does not beat always answering {constant} ({majority:.3f}).")
    if record.task.folds:
        parts.append("The validation rows in these folds had chosen the hyperparameters.")
    return " ".join(parts)


def _possible_loss(ranking: Ranking, tie: Candidate) -> str:
    """Say how far behind the best a tie may be, by the interval of its difference."""
    bound = ranking.differences[tie.name].low
    if bound is None or tie is ranking.eligible[0]:
        return ""
    return f" (at most {abs(bound):.3f} worse than the best)"


def _deciding_rows(ranking: Ranking) -> str:
    folds, repeats = ranking.record.task.folds, len(ranking.eligible[0].seeds)
    if not folds:
        return "on the select rows"
    return f"on {folds} folds of train and validation" + (f", repeated {repeats} times" if repeats > 1 else "")


def _slow_methods(ranking: Ranking) -> Iterator[str]:
    limit = ranking.record.spec.space.max_latency_ms
    if ranking.too_slow and limit is not None:
        if len(ranking.too_slow) == len(ranking.confirmed):
            yield f"No confirmed method answers within {limit:g} ms per example, so the limit was left aside."
        else:
            yield f"Too slow for {limit:g} ms per example: {_join_names(ranking.too_slow)}."


def _why_not(best: Candidate) -> str:
    if len(best.confirmed) == 1:
        return "One seed cannot tell methods apart: confirm with three or more."
    if not any(run.result.predictions for run in best.confirmed):
        return "Methods cannot be told apart, since an older version ran this study and kept no answers row by row."
    return "Methods cannot be told apart on so few rows."


def _priced(candidate: Candidate) -> str:
    return f"{candidate.name} with {candidate.stored_parameters:,} stored parameters"


def _unconfirmed(ranking: Ranking) -> str:
    if not ranking.candidates:
        return "No verdict yet: no trial is complete."
    leader = ranking.candidates[0]
    return (
        f"No verdict yet: no method was confirmed with fresh seeds. On the tune rows {leader.name} (trial "
        f"{leader.trial.number}) leads with {metric_name(ranking.record.task.metric)} {leader.score:.3f}, a score "
        f"that chose its own settings."
    )


def _join_names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

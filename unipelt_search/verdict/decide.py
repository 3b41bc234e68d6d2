"""Which method is best, which cannot be told apart from it, and which are still worth tuning."""

from __future__ import annotations

from math import sqrt

from unipelt_search.records.history import StudyRecord, TrialState
from unipelt_search.records.report import Difference, Verdict
from unipelt_search.verdict.intervals import paired_difference, t_interval
from unipelt_search.verdict.standings import MethodStanding, method_standings

_STANDARD_ERRORS = 2.0
_METRIC_NAMES = {
    "f1": "F1",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "subset_accuracy": "subset accuracy",
    "matthews": "Matthews correlation",
    "spearman": "Spearman correlation",
    "pearson": "Pearson correlation",
    "r2": "R²",
}
_MAJORITY = {
    "classification": "the most frequent label",
    "regression": "the mean of the training rows",
    "multi_label": "the most frequent labels",
}


def decide(record: StudyRecord) -> Verdict:
    """Judge a study by its confirmed runs on the select rows.

    Args:
        record: The study.

    Returns:
        The best method by its mean, the methods that tie with it (the 95 % interval of the difference, paired over
        seeds, contains 0, or there are too few seeds to tell), and the cheapest of all of these.
    """
    standings = method_standings(record)
    confirmed = [standing for standing in standings if standing.confirmed]
    if not confirmed:
        return Verdict(
            method=None, trial=None, ties=(), cheapest_tie=None, sentence=_unconfirmed(record, standings),
            decided_on="select",
        )  # fmt: skip
    best, others = confirmed[0], confirmed[1:]
    ties = [other for other in others if _ties(paired_difference(other.scores, best.scores))]
    cheapest = min([best, *ties], key=lambda s: (s.stored_parameters, s.name))
    return Verdict(
        method=best.method,
        variant=best.trial.variant,
        trial=best.trial.number,
        ties=tuple(tie.name for tie in ties),
        cheapest_tie=cheapest.name,
        sentence=_sentence(record, best, others, ties, cheapest),
        decided_on="select",
    )


def plausible_methods(record: StudyRecord) -> tuple[set[str], dict[str, str]]:
    """Tell which methods are still worth tuning.

    A method is not when its best tune score lies more than two standard errors of a difference of two proportions
    behind the leader's: on that many rows such a gap is hardly luck.

    Args:
        record: The study.

    Returns:
        The plausible methods, those without a score among them, and for each other one the reason in a sentence.
    """
    best = _best_tune(record)
    if not best:
        return set(record.spec.space.methods), {}
    sign = 1 if record.task.direction == "minimize" else -1
    leader = min(best, key=lambda method: (sign * best[method][0], best[method][1], method))
    top = best[leader][0]
    rows = min(record.task.rows["tune"], record.spec.space.tune_rows)
    plausible = {leader, *(method for method in record.spec.space.methods if method not in best)}
    reasons = {}
    for method, (value, _) in best.items():
        gap = abs(top - value)
        error = sqrt(sum(_variance(record.task.metric, score) for score in (top, value)) / rows)
        if gap <= _STANDARD_ERRORS * error:
            plausible.add(method)
        elif method != leader:
            reasons[method] = (
                f"Its best tune score, {value:.3f}, lies {gap:.3f} behind {leader}'s {top:.3f}, more than "
                f"{_STANDARD_ERRORS:g} standard errors ({error:.3f} each, {rows} tune rows)."
            )
    return plausible, reasons


def metric_name(metric: str) -> str:
    """Return how a metric is called in a sentence."""
    return _METRIC_NAMES.get(metric, metric)


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


def _variance(metric: str, score: float) -> float:
    """Return the variance of a score of one row, as it would be divided by the rows.

    Shares of right answers, and what is like one, are binomial. A Matthews correlation of s is treated as an accuracy
    of (1 + s) / 2, doubled. Correlations have their asymptotic variance; R² is 1 minus a mean of squares whose
    relative variance is 2 where errors are normal.

    Source:
        Stuart and Ord, "Kendall's Advanced Theory of Statistics", volume 1, for correlations.
    """
    match metric:
        case "matthews":
            return 1 - score**2
        case "spearman" | "pearson":
            return (1 - score**2) ** 2
        case "r2":
            return 2 * (1 - score) ** 2
    return score * (1 - score)


def _ties(difference: Difference | None) -> bool:
    if difference is None or difference.low is None or difference.high is None:
        return True
    return difference.low <= 0 <= difference.high


def _sentence(
    record: StudyRecord,
    best: MethodStanding,
    others: list[MethodStanding],
    ties: list[MethodStanding],
    cheapest: MethodStanding,
) -> str:
    interval = t_interval([run.select for run in best.confirmed], record.task.metric)
    name = metric_name(record.task.metric)
    if interval.low is None or interval.high is None:
        parts = [f"{best.name} leads on the select rows with {name} {interval.mean:.3f}."]
        if others:
            parts.append("One seed cannot tell methods apart: confirm with three or more.")
    else:
        spread = f"95 % interval {interval.low:.3f} to {interval.high:.3f} over {len(best.confirmed)} seeds"
        parts = [f"{best.name} is best on the select rows: {name} {interval.mean:.3f} ({spread})."]
        if ties:
            tied = _listed([tie.name for tie in ties])
            parts.append(f"It cannot be told apart from {tied}; the cheapest of these is {_priced(cheapest)}.")
        elif others:
            parts.append(f"Every other confirmed method is behind by more than the seeds can explain; {_priced(best)}.")
    if not others:
        parts.append("No other method was confirmed.")
    majority = record.task.majority["select"][record.task.metric]
    if (best.score <= majority) if record.task.direction == "maximize" else (best.score >= majority):
        constant = _MAJORITY[record.task.kind.removeprefix("pair_")]
        parts.append(f"It does not beat always answering {constant} ({majority:.3f}).")
    if interval.low is not None:
        parts.append("Intervals cover the spread over seeds, not the choice of rows.")
    return " ".join(parts)


def _priced(standing: MethodStanding) -> str:
    return f"{standing.name} with {standing.stored_parameters:,} stored parameters"


def _unconfirmed(record: StudyRecord, standings: tuple[MethodStanding, ...]) -> str:
    if not standings:
        return "No verdict yet: no trial is complete."
    leader = standings[0]
    return (
        f"No verdict yet: no method was confirmed with fresh seeds. On the tune rows {leader.name} (trial "
        f"{leader.trial.number}) leads with {metric_name(record.task.metric)} {leader.score:.3f}, a score that chose "
        f"its own settings."
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

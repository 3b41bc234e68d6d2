"""The verdict in English: a headline, what it stands on, how sure it is, what it costs, and what would change it.

`verdict` finds out what is to be said; every sentence about it is made here. Sentences are short, the subject first, so
that they can be read aloud.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from unipelt_search.kinds.label_kind import find_kind, find_metric
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.report import Power, Verdict
from unipelt_search.verdict.candidates import Candidate
from unipelt_search.verdict.power import FEW_DECIDING_ROWS, RequiredSample, StudyPower
from unipelt_search.verdict.ranking import Ranking
from unipelt_search.verdict.recommend import Recommendation, WhyUntested, recommend

_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_UNTESTED: dict[WhyUntested, tuple[str, str]] = {
    "one_seed": (
        "one seed cannot rank methods",
        "One seed cannot tell methods apart. Confirm with three seeds or more.",
    ),
    "no_predictions": (
        "no predictions were kept to compare methods",
        "An older version ran this study and kept no predictions. Without them methods cannot be told apart.",
    ),
    "few_rows": (
        "there are too few rows to compare methods",
        "So few rows cannot tell methods apart.",
    ),
}
"""For the headline and for the text."""


def make_verdict(ranking: Ranking) -> Verdict:
    """Put a study's verdict into words.

    Args:
        ranking: What the study's confirmed runs say.

    Returns:
        The verdict as report.json has it. Its sentence begins with the headline, of at most 12 words.
    """
    found = recommend(ranking)
    decided_on: Literal["select", "folds"] = "folds" if ranking.record.task.folds else "select"
    headline = _headline(ranking, found)
    sentence = " ".join((headline, *_details(ranking, found)))
    if found.best is None:
        return Verdict(
            method=None,
            trial=None,
            ties=(),
            cheapest_tie=None,
            headline=headline,
            sentence=sentence,
            decided_on=decided_on,
        )
    return Verdict(
        method=found.best.method,
        variant=found.best.trial.variant,
        trial=found.best.trial.number,
        ties=found.ties,
        cheapest_tie=found.cheapest_tie,
        fastest_tie=found.fastest.name if found.fastest else None,
        power=_power(ranking.power) if ranking.power else None,
        headline=headline,
        sentence=sentence,
        decided_on=decided_on,
        disagreement=ranking.disagreement,
    )


def metric_name(metric: str) -> str:
    """Return how a metric is called in a sentence."""
    return find_metric(metric).title or metric


def join_names(names: Sequence[str]) -> str:
    """Join names with commas, and the last one with "and"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _headline(ranking: Ranking, found: Recommendation) -> str:
    if found.best is None:
        missing = "no method was confirmed" if ranking.candidates else "no trial is complete"
        return f"No verdict yet: {missing}."
    name = found.best.name
    if not found.beats_majority:
        return f"{name} leads, but does not beat a constant prediction."
    # Neither a winner nor a tie: there was nothing to compare with.
    if len(ranking.confirmed) == 1:
        return f"{name} is the only confirmed method."
    if len(ranking.eligible) == 1:
        return f"{name} is best; all others are too slow."
    if found.why_untested:
        return f"{name} leads, but {_UNTESTED[found.why_untested][0]}."
    if not found.ties:
        return f"{name} is best; no other method ties with it."
    if len(found.ties) == 1:
        return f"{name} is best; {found.ties[0]} ties with it."
    return f"{name} is best; {_count(len(found.ties))} methods tie with it."


def _count(number: int) -> str:
    return _COUNTS[number] if number < len(_COUNTS) else str(number)


def _details(ranking: Ranking, found: Recommendation) -> Iterator[str]:
    """Yield what stands after the headline: what, how sure, at what cost, and what to be careful about."""
    if found.best is None:
        yield from _leader_so_far(ranking)
        return
    yield from _disagreement(ranking)
    yield from _score(ranking, found.best)
    yield from _certainty(ranking, found)
    yield from _cost(found)
    yield from _cautions(ranking, found)


def _leader_so_far(ranking: Ranking) -> Iterator[str]:
    if ranking.candidates:
        leader, metric = ranking.candidates[0], metric_name(ranking.record.task.metric)
        yield f"On the tune rows {leader.name} (trial {leader.trial.number}) leads with {metric} {leader.score:.3f}."
        yield "That score chose its own settings, so it is too high."


def _disagreement(ranking: Ranking) -> Iterator[str]:
    found = ranking.disagreement
    if found is not None:
        metric = metric_name(ranking.record.task.metric)
        yield (
            f"Selection and test disagree by more than their intervals allow: {metric} is {found.deciding:.3f} where "
            f"it was selected and {found.test:.3f} on test."
        )


def _score(ranking: Ranking, best: Candidate) -> Iterator[str]:
    task, score = ranking.record.task, ranking.validation[best.name]
    yield f"Its {metric_name(task.metric)} is {score.mean:.3f} {_deciding_rows(ranking)}."
    if score.low is not None and score.high is not None:
        runs = f"{len(best.confirmed)} {'runs' if task.folds else 'seeds'}"
        yield (f"The 95 % interval is {score.low:.3f} to {score.high:.3f}, over {runs} and {task.rows['select']} rows.")


def _deciding_rows(ranking: Ranking) -> str:
    folds, repeats = ranking.record.task.folds, len(ranking.eligible[0].seeds)
    if not folds:
        return "on the validation rows" if ranking.record.task.validation_decides else "on the select rows"
    return f"on {folds} folds of train and validation" + (f", repeated {repeats} times" if repeats > 1 else "")


def _certainty(ranking: Ranking, found: Recommendation) -> Iterator[str]:
    if len(ranking.eligible) == 1:
        return
    if found.why_untested:
        yield _UNTESTED[found.why_untested][1]
    elif found.ties:
        yield f"This study cannot tell it apart from {join_names(found.ties)}."
    else:
        # A method that is too slow may well score better.
        others = "method that is fast enough" if ranking.too_slow else "confirmed method"
        yield f"Every other {others} is worse by more than seeds and rows can explain."


def _cost(found: Recommendation) -> Iterator[str]:
    cheapest = found.cheapest
    if cheapest is None or found.why_untested:
        return
    stored = f"{cheapest.stored_parameters:,}"
    if not found.ties:
        yield f"It stores {stored} parameters."
    elif cheapest is found.best:
        yield f"It is also the cheapest of them, with {stored} stored parameters."
    else:
        yield f"The cheapest of them is {cheapest.name}, with {stored} stored parameters."
        if found.possible_loss is not None:
            yield f"It is at most {found.possible_loss:.3f} worse than the best."
    if found.fastest and found.fastest is not cheapest:
        yield f"The fastest of them is {found.fastest.name}."


def _always(task: TaskSummary) -> str:
    """Say what the majority baseline does with every row; a score of probabilities is that of the shares of labels."""
    if find_metric(task.metric).needs_probabilities:
        return "Always giving each label its share of the training rows as probability"
    return f"Always predicting {find_kind(task.kind).constant}"


def _cautions(ranking: Ranking, found: Recommendation) -> Iterator[str]:
    record = ranking.record
    yield from _slow_methods(ranking)
    if not found.beats_majority:
        majority = record.task.majority["select"][record.task.metric]
        yield f"{_always(record.task)} scores {majority:.3f}."
    if record.task.folds:
        yield "The validation rows in these folds were also used to choose the hyperparameters."
    if record.spec.task.folds == "always":
        yield "Training and validation rows were assigned to folds together, as --folds always asks."
    yield from _few_rows(ranking)


def _few_rows(ranking: Ranking) -> Iterator[str]:
    """Say how little a small validation split shows, where it decides alone."""
    task = ranking.record.task
    rows = task.rows["select"]
    if not task.validation_decides or rows >= FEW_DECIDING_ROWS:
        return
    seen = ""
    if ranking.power is not None:
        seen = f", which would show a true difference of {ranking.power.detectable:.3f} in four of five studies"
    yield f"Only {rows} validation rows decide{seen}. With --folds always, training rows would decide too."


def _slow_methods(ranking: Ranking) -> Iterator[str]:
    limit = ranking.record.spec.space.max_latency_ms
    if not ranking.too_slow or limit is None:
        return
    if len(ranking.too_slow) == len(ranking.confirmed):
        yield f"No confirmed method predicts within {limit:g} ms per example, so the limit was not applied."
    else:
        yield f"Too slow for {limit:g} ms per example: {join_names(ranking.too_slow)}."


def _power(power: StudyPower) -> Power:
    parts = [f"Four of five studies like this one would detect a true difference of {power.detectable:.3f}."]
    if power.tie:
        parts.append(_required(power))
    return Power(
        detectable=power.detectable,
        closest=power.closest,
        more_seeds=power.needed.seeds if power.needed else None,
        more_rows=power.needed.rows if power.needed else None,
        sentence=" ".join(parts),
    )


def _required(power: StudyPower) -> str:
    """Say what would tell the best and the closest method apart."""
    pair = f"{power.best} and {power.closest} apart"
    if power.repeats is None:
        return _required_sample(power.needed, pair)
    return _required_repeats(power.needed, power.repeats, pair)


def _required_sample(needed: RequiredSample | None, pair: str) -> str:
    if needed is None:
        return f"No affordable number of seeds or rows would tell {pair}."
    counts = ((needed.seeds, "seeds"), (needed.rows, "select rows"))
    more = " and ".join(f"{count:,} more {what}" for count, what in counts if count)
    return f"About {more or 'one more seed'} would tell {pair}."


def _required_repeats(needed: RequiredSample | None, repeats: int, pair: str) -> str:
    if needed is not None:
        more = f"{needed.seeds} more repeats" if needed.seeds > 1 else "one more repeat"
        return f"About {more} of the folds would tell {pair}."
    if repeats == 1:
        return f"A second repeat of the folds would show what it takes to tell {pair}."
    return f"No affordable number of repeats would tell {pair}. More labelled rows might."

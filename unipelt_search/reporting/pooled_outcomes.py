"""True labels against predictions, pooled over the confirmed runs of a trial, and the scores that follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import Confusion, LabelScore, ReportedOutcomes
from unipelt_search.verdict.standings import MethodStanding

_Pair = tuple[str | None, str | None]
_Split = Literal["select", "test"]


def pool_outcomes(record: StudyRecord, standings: Sequence[MethodStanding]) -> Iterator[ReportedOutcomes]:
    """Pool the outcomes of every confirmed method.

    Args:
        record: The study with its details.
        standings: The trials that stand for its methods.

    Yields:
        One entry per confirmed trial and split, in the order of the standings; none for runs that counted nothing.
    """
    for standing in standings:
        for split in get_args(_Split):
            counts: Counter[_Pair] = Counter()
            for result in standing.results:
                for row in result.outcomes:
                    if row.split == split:
                        counts[row.label, row.predicted] += row.n
            if counts:
                yield ReportedOutcomes(
                    trial=standing.trial.number,
                    method=standing.method,
                    variant=standing.trial.variant,
                    runs=sum(bool(result.outcomes) for result in standing.results),
                    split=split,
                    labels=tuple(label_scores(counts, record.task.labels)),
                    confusion=tuple(_confusion(counts, record.task.labels)),
                )


def label_scores(counts: Counter[_Pair], labels: Sequence[str]) -> Iterator[LabelScore]:
    """Score every label.

    Args:
        counts: Rows by (true label, predicted label); None stands for another one.
        labels: The task's labels.

    Yields:
        Precision, recall and F1 of each label, None where they are undefined.
    """
    supports: Counter[str | None] = Counter()
    answers: Counter[str | None] = Counter()
    for (true, answer), n in counts.items():
        supports[true] += n
        answers[answer] += n
    for label in labels:
        right, support, predicted = counts[label, label], supports[label], answers[label]
        yield LabelScore(
            label=label,
            support=support,
            predicted=predicted,
            precision=right / predicted if predicted else None,
            recall=right / support if support else None,
            f1=2 * right / (support + predicted) if support + predicted else None,
        )


def _confusion(counts: Counter[_Pair], labels: Sequence[str]) -> Iterator[Confusion]:
    """List the counts in the task's order of labels, None last."""
    place: dict[str | None, int] = {label: number for number, label in enumerate(labels)} | {None: len(labels)}
    for true, answer in sorted(counts, key=lambda pair: (place[pair[0]], place[pair[1]])):
        yield Confusion(label=true, predicted=answer, n=counts[true, answer])

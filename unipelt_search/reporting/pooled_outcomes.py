"""True labels against predictions, pooled over the confirmed runs of a trial, and the scores that follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import Confusion, LabelScore, ReportedOutcomes
from unipelt_search.verdict.candidates import Candidate

_Pair = tuple[str | None, str | None]
_Split = Literal["select", "test"]


def pool_outcomes(record: StudyRecord, candidates: Sequence[Candidate]) -> Iterator[ReportedOutcomes]:
    """Pool the outcomes of every confirmed method.

    Args:
        record: The study with its details.
        candidates: The trials that stand for its methods.

    Yields:
        One entry per confirmed trial and split, in the order of the candidates; none for runs that counted nothing.
    """
    for candidate in candidates:
        for split in get_args(_Split):
            counts = _counts(candidate, split)
            if counts:
                yield ReportedOutcomes(
                    trial=candidate.trial.number,
                    method=candidate.method,
                    variant=candidate.trial.variant,
                    runs=sum(bool(result.outcomes) for result in candidate.results),
                    split=split,
                    labels=tuple(label_scores(counts, record.task.labels)),
                    confusion=tuple(_confusion(counts, record.task.labels)),
                )


def _counts(candidate: Candidate, split: _Split) -> Counter[_Pair]:
    counts: Counter[_Pair] = Counter()
    for result in candidate.results:
        for row in result.outcomes:
            if row.split == split:
                counts[row.label, row.predicted] += row.n
    return counts


def label_scores(counts: Counter[_Pair], labels: Sequence[str]) -> Iterator[LabelScore]:
    """Score every label.

    Args:
        counts: Rows by (true label, predicted label); None stands for another one.
        labels: The task's labels.

    Yields:
        Precision, recall and F1 of each label, None where they are undefined.
    """
    supports: Counter[str | None] = Counter()
    predicted_counts: Counter[str | None] = Counter()
    for (true, predicted), n in counts.items():
        supports[true] += n
        predicted_counts[predicted] += n
    for label in labels:
        right, support, count = counts[label, label], supports[label], predicted_counts[label]
        yield LabelScore(
            label=label,
            support=support,
            predicted=count,
            precision=right / count if count else None,
            recall=right / support if support else None,
            # Without a row that has the label, how often it was predicted is no score of it.
            f1=2 * right / (support + count) if support else None,
        )


def _confusion(counts: Counter[_Pair], labels: Sequence[str]) -> Iterator[Confusion]:
    """List the counts in the task's order of labels, None last."""
    # None, another label, comes last.
    order: tuple[str | None, ...] = (*labels, None)
    position = {label: number for number, label in enumerate(order)}

    def in_order(pair: _Pair) -> tuple[int, int]:
        true, predicted = pair
        return position[true], position[predicted]

    for true, predicted in sorted(counts, key=in_order):
        yield Confusion(label=true, predicted=predicted, n=counts[true, predicted])

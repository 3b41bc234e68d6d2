"""Of which methods a study keeps the probabilities, and what its report says of that.

The rule is a function of the finished runs alone. So it is the same for every driver of a study, after any
interruption, and when a study goes on.
"""

from __future__ import annotations

from collections.abc import Iterator

from unipelt_search.records.history import RunRecord, StudyRecord
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.verdict.candidates import Candidate
from unipelt_search.verdict.ranking import Ranking, rank_methods

MOST_BYTES = 50_000_000
"""What the probabilities of a study take at most, if those of all confirmed methods are kept."""
BEST = 3
"""Methods whose probabilities are kept whatever they take."""
_FLOAT_BYTES = 4
_MEGABYTE = 1_000_000
_LAST_WITHOUT = 2
"""The last edition whose runs kept no probabilities when it was new."""


def probability_bytes(record: StudyRecord) -> int:
    """Count what the probabilities of all confirmed runs take.

    Args:
        record: The study; its details are not needed.

    Returns:
        Bytes, as 4 per row and output; 0 where predictions are numbers.
    """
    task = record.task
    target = task.target
    if not target.label_kind.has_labels:
        return 0
    # With folds every run predicts the rows of its fold alone, and all test rows.
    rows = task.rows["select"] / max(task.folds, 1) + task.rows.get("test", 0)
    runs = sum(_is_confirmed(run) for trial in record.trials for run in trial.runs)
    return round(runs * rows * target.outputs * _FLOAT_BYTES)


def needs_probabilities(record: StudyRecord) -> bool:
    """Tell whether the study's metric, and so its intervals, are computed from probabilities."""
    return record.task.find_metric().needs_probabilities


def trials_to_keep(record: StudyRecord) -> frozenset[int]:
    """Choose the trials whose probabilities stay where those of all would take too much.

    Args:
        record: The study with its details.

    Returns:
        The numbers of the best three methods' trials, as the verdict ranks them: what may win comes first.
    """
    ranking = rank_methods(record)
    return frozenset(candidate.trial.number for candidate in _best(ranking))


def probability_notices(ranking: Ranking) -> Iterator[Notice]:
    """Say of which methods the probabilities are kept, where they are not kept of all or take more than is usual.

    Args:
        ranking: The study's methods.

    Yields:
        One notice, or none.
    """
    record = ranking.record
    size = probability_bytes(record)
    values: dict[str, NoticeValue] = {"megabytes": round(size / _MEGABYTE), "limit": round(MOST_BYTES / _MEGABYTE)}
    kept = tuple(row.name for row in ranking.confirmed if _has_probabilities(row))
    if size > MOST_BYTES and needs_probabilities(record):
        yield Notice(code="probabilities_needed", values={**values, "metric": record.task.metric})
    # In a study that an older version began only the newer runs have any, which nobody has taken away.
    elif 0 < len(kept) < len(ranking.confirmed) and (size > MOST_BYTES or record.edition > _LAST_WITHOUT):
        yield Notice(code="probabilities_of_best", values={**values, "methods": kept})


def _best(ranking: Ranking) -> list[Candidate]:
    first = list(ranking.eligible)
    others = [candidate for candidate in ranking.confirmed if candidate not in first]
    return (first + others)[:BEST]


def _is_confirmed(run: RunRecord) -> bool:
    return run.phase == "confirm" and run.result is not None and run.result.select is not None


def _has_probabilities(candidate: Candidate) -> bool:
    parts = [part for result in candidate.results for part in result.predictions]
    return any(part.probabilities is not None for part in parts)

"""What a run answered, label by label: the counts of which every per-label score is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from unipelt_search.records.results import OutcomeRow


def outcome_rows(
    split: Literal["select", "test"], labels: np.ndarray, predicted: np.ndarray, names: tuple[str, ...]
) -> Iterator[OutcomeRow]:
    """Count true labels against predictions.

    Args:
        split: Which rows.
        labels: ``(n,)``, the true label of each row; ``(n, L)`` of 0 and 1 where a row may have any number of labels.
        predicted: The predictions in the same shape.
        names: The L labels' names; none for a task without labels.

    Yields:
        The counts that are not 0, in the order of the names: pairs of true and predicted label, or, for the matrix,
        each label's hits, misses and false alarms.
    """
    if names and labels.ndim == 2:
        yield from _by_label(split, labels.astype(bool), predicted.astype(bool), names)
    elif names:
        size = len(names)
        pairs = np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)
        for true, answer in np.argwhere(pairs):
            yield OutcomeRow(split=split, label=names[true], predicted=names[answer], n=int(pairs[true, answer]))


def _by_label(
    split: Literal["select", "test"], labels: np.ndarray, predicted: np.ndarray, names: tuple[str, ...]
) -> Iterator[OutcomeRow]:
    hits, misses, alarms = labels & predicted, labels & ~predicted, ~labels & predicted  # (n, L) each
    for number, name in enumerate(names):
        for label, answer, rows in ((name, name, hits), (name, None, misses), (None, name, alarms)):
            count = int(rows[:, number].sum())
            if count:
                yield OutcomeRow(split=split, label=label, predicted=answer, n=count)

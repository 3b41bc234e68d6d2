"""Samples in which every class keeps its share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unipelt_search.kinds.label_kind import LabelKind


def stratified_take(
    labels: Sequence[str], count: int, seed: int, *, every_class: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Sample rows so that each class keeps its share (largest remainders), and return them and the others.

    Args:
        labels: ``(n,)``, each row's label.
        count: Rows to sample, at most n.
        seed: Decides which rows, and which classes get the rows that shares leave over.
        every_class: Take at least one row of every class, where ``count`` allows it.

    Returns:
        The row numbers of the sample ``(count,)`` and the other ones ``(n - count,)``, both ascending.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    _, classes, sizes = np.unique(as_objects(labels), return_inverse=True, return_counts=True)
    quota = _quotas(sizes, count, random, every_class=every_class)
    taken = np.zeros(len(labels), dtype=bool)
    rows = np.argsort(classes, kind="stable")
    by_class = np.split(rows, np.cumsum(sizes)[:-1])
    for own, size in zip(by_class, quota, strict=True):
        taken[random.permutation(own)[:size]] = True
    return np.flatnonzero(taken), np.flatnonzero(~taken)


def strata_of(labels: Sequence[str], kind: LabelKind, most: int | None = None) -> Sequence[str]:
    """Say which rows are alike, so that every split gets its share of them.

    Args:
        labels: ``(n,)``, as they are written.
        kind: What a label is.
        most: Rows to sample; with more sets of labels than that, all are represented by their rarest label.

    Returns:
        ``(n,)``: the class itself; a number's tenth; a set of labels, or the rarest label of a set that is rare.
    """
    return kind.strata(labels, most) if labels else labels


def as_objects(texts: Sequence[object]) -> np.ndarray:
    """Make an array of texts that is no wider than their number: ``(n,)`` of objects."""
    # An array of text would be as wide as the longest one for every row.
    known = np.empty(len(texts), dtype=object)
    known[:] = texts
    return known


def _quotas(sizes: np.ndarray, count: int, random: np.random.Generator, *, every_class: bool) -> np.ndarray:
    """Divide ``count`` rows among classes of these sizes, ``(C,)`` → ``(C,)``, never more than a class has."""
    total = int(sizes.sum())
    quota = sizes * count // total
    remainder = sizes * count - quota * total
    if every_class and count >= len(sizes):
        # A class that gets its one row this way is above its share, and has no claim on more.
        remainder[quota == 0] = 0
        quota = np.maximum(quota, 1)
    ties = random.random(len(sizes))
    by_claim = np.lexsort((ties, -remainder))
    for number in by_claim[: max(count - int(quota.sum()), 0)]:
        quota[number] += 1
    # The single rows of tiny classes were paid by nobody yet: the largest classes pay.
    while quota.sum() > count:
        quota[np.argmax(quota)] -= 1
    return quota

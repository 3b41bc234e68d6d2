"""Folds of train and validation together: which rows a confirm run is trained on, stops on, and is scored on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from unipelt_search.kinds.label_kind import LabelKind
from unipelt_search.specs.seeds import derive_seed
from unipelt_search.tasks.divide import SplitRule, Staying, blocks_of, divide, keys_of
from unipelt_search.tasks.rows import Rows
from unipelt_search.tasks.stratified import as_objects, strata_of

FOLDS = 5
FEWEST_BLOCKS = 2 * FOLDS
"""With fewer different texts, or groups, a fold could have a single row, which has no spread."""
STOPPING_SHARE = 0.1
"""At least so much of the rows outside of a fold is not trained on: it chooses the checkpoint."""


@dataclass(frozen=True)
class FoldRows:
    """What one confirm run does with the rows of train and validation, which are numbered from 0 in this order."""

    train: tuple[int, ...]
    tune: tuple[int, ...]
    """What chooses the checkpoint."""
    select: tuple[int, ...]
    """The fold: what the run is scored on."""


def make_folds(
    rows: Rows,
    size: int,
    seed: int,
    repeat: int,
    kind: LabelKind,
    rule: SplitRule,
) -> Iterator[FoldRows]:
    """Assign rows to folds; of those outside of each, some are trained on and the rest choose the checkpoint.

    Args:
        rows: Those of train and then those of validation.
        size: Rows to train on, where that leaves enough to choose the checkpoint.
        seed: The data seed.
        repeat: Which assignment this is, from 1.
        kind: What a label is.
        rule: What stays together, beside rows with the same text.

    Yields:
        What each run does, fold by fold. A row whose group or text is in the fold too does nothing in that run.

    Raises:
        DataError: What stays together does not allow it.
    """
    fold_of = _assign_folds(rows, kind, rule, derive_seed(seed, "folds", repeat))
    keys = keys_of(rows, rule)
    for fold in range(FOLDS):
        held_out = fold_of == fold
        others = np.flatnonzero(~held_out & ~_shared(keys, held_out))
        count = min(size, len(others) - ceil(STOPPING_SHARE * len(others)))
        own_seed = derive_seed(seed, "folds", repeat, fold)
        division = divide(rows.take(others), len(others) - count, own_seed, kind, rule, Staying(most_strata=count))
        yield FoldRows(
            train=tuple(others[division.stay].tolist()),
            tune=tuple(others[division.out].tolist()),
            select=tuple(np.flatnonzero(held_out).tolist()),
        )


def _shared(keys: Sequence[np.ndarray], held_out: np.ndarray) -> np.ndarray:
    """Find rows with a text or group that is among the held-out rows too: ``(n,)``."""
    shared = np.zeros(len(held_out), dtype=bool)
    for key in keys:
        shared |= np.isin(key, key[held_out])
    return shared


def _assign_folds(rows: Rows, kind: LabelKind, rule: SplitRule, seed: int) -> np.ndarray:
    """Assign rows to folds, those of a group, and those with the same text, to one: ``(n,)`` of fold numbers."""
    strata = strata_of(rows.labels, kind)
    if rule.groups:
        return _assign_blocks(blocks_of(rows, rule), strata, seed)
    return _assign_texts(rows.plain_texts(), strata, seed)


def _assign_texts(texts: Sequence[tuple[str, ...]], strata: Sequence[str], seed: int) -> np.ndarray:
    """Assign rows to folds, class by class, rows with the same text to the same one."""
    first: dict[tuple[str, ...], int] = {}
    for row, text in enumerate(texts):
        first.setdefault(text, row)
    index = {text: number for number, text in enumerate(first)}
    stratum_of_text = as_objects([strata[row] for row in first.values()])
    _, classes = np.unique(stratum_of_text, return_inverse=True)
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(first))
    # Class after class, each in a random order, the texts go to the folds in turn, so that the classes share evenly.
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    assigned = np.empty(len(first), dtype=np.int64)
    assigned[by_class] = np.arange(len(first)) % FOLDS
    return assigned[[index[text] for text in texts]]


def _assign_blocks(blocks: np.ndarray, strata: Sequence[str], seed: int) -> np.ndarray:
    """Assign blocks to folds, the largest first, each to the fold that lacks its classes most."""
    _, classes = np.unique(as_objects(strata), return_inverse=True)
    _, numbers = np.unique(blocks, return_inverse=True)
    counts = np.zeros((int(numbers.max()) + 1, int(classes.max()) + 1))
    np.add.at(counts, (numbers, classes), 1)
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(counts))
    missing = np.tile(counts.sum(axis=0) / FOLDS, (FOLDS, 1))
    assigned = np.empty(len(counts), dtype=np.int64)
    for number in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]:
        # How much nearer to its share of every class each fold would come; the emptiest one where they are equal.
        gain = (counts[number] * (2 * missing - counts[number])).sum(axis=1)
        best = np.lexsort((-missing.sum(axis=1), -gain))[0]
        missing[best] -= counts[number]
        assigned[number] = best
    return assigned[numbers]

"""Sums over the rows above each row, in one column or in two, in about n log n steps.

Above is a greater value; an equal one counts a half, as in ranks. A row is never above itself.
"""

from __future__ import annotations

import numpy as np


def groups_of(values: np.ndarray) -> np.ndarray:
    """Number the different values ``(n,)`` from 0, the smallest first."""
    _, group = np.unique(values, return_inverse=True)
    return np.asarray(group)


def sums_above(group: np.ndarray, values: np.ndarray, tie: float = 0.5) -> np.ndarray:
    """Sum values over the rows above each row.

    Args:
        group: ``(n,)``, as `groups_of` gives them.
        values: ``(n,)``, what is summed.
        tie: What an equal row counts.

    Returns:
        ``(n,)``.
    """
    totals = np.bincount(group, values)
    above = totals.sum() - totals.cumsum() + tie * totals
    return np.asarray(above[group] - tie * values)


def sums_above_in_both(first: np.ndarray, second: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum values over the rows above each row in two columns; a row that is equal in one counts a half for it.

    Args:
        first: ``(n,)``, groups as `groups_of` gives them.
        second: ``(n,)``, those of the other column.
        values: ``(n,)``, what is summed.

    Returns:
        ``(n,)``.

    Source:
        Two rows with different groups in the first column differ in a highest bit of these: each bit is one sorted
        pass, as in the merge sort of Bentley, "Multidimensional divide-and-conquer", 1980.
    """
    size = int(second.max()) + 1
    total = np.zeros(len(values))
    for bit in range(int(first.max()).bit_length()):
        is_upper = (first >> bit) & 1 == 1
        pair = (first >> (bit + 1)) * size
        total += np.where(is_upper, 0.0, _above_within(pair, second, values * is_upper, size))
    # Of rows that are equal in the first column each counts a half, and a quarter where both are equal.
    return total + (_above_within(first * size, second, values, size) - values / 2) / 2


def _above_within(block: np.ndarray, group: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Sum values over the rows of the same block that are above, the row itself as an equal one among them."""
    keys, key = np.unique(block + group, return_inverse=True)
    totals = np.bincount(key, values)
    upto = totals.cumsum()
    block_of_key = keys // size
    last = np.searchsorted(block_of_key, block_of_key, side="right") - 1
    above = upto[last] - upto + totals / 2
    return np.asarray(above[key])

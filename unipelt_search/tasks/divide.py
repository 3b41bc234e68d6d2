"""Taking rows out of a split so that no text, group or later row ends on both sides.

Rows that must stay together are a block: those with the same text, or of the same group. Where two such rules join
most rows, or where time decides first, no division keeps them all: then a group or text that would end on both sides
keeps the rows of one side, and the others get no job at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import LabelKind
from unipelt_search.specs.seeds import derive_seed
from unipelt_search.tasks.rows import Rows
from unipelt_search.tasks.stratified import as_objects, strata_of, stratified_take

_TRIES, _PASSES = 5, 10
"""Orders in which blocks are tried, and how often all of them are gone through at most while they are moved."""
_MANY_BLOCKS = 2000
MOST_IN_A_BLOCK = 0.1
"""Groups that share texts make one block as long as none has a larger share of the rows, or than a group itself."""


@dataclass(frozen=True)
class SplitRule:
    """What a division respects, beside the shares of the labels."""

    texts: bool = False
    """Rows with the same text stay together."""
    groups: bool = False
    """Rows of a group stay together."""
    order: bool = False
    """What is taken out is later than what stays."""

    @property
    def joins(self) -> bool:
        """Whether rows must stay together."""
        return self.texts or self.groups


@dataclass(frozen=True)
class Staying:
    """What is asked of the side that stays."""

    fewest: int = 1
    """Rows at least."""
    every_class: bool = True
    """Whether it keeps a row of every class, where that can be."""
    most_strata: int | None = None
    """As `most` of `strata_of`."""


STAYING = Staying()


@dataclass(frozen=True)
class Division:
    """Row numbers by side, each ascending."""

    stay: np.ndarray
    out: np.ndarray
    left_out: np.ndarray
    """Of groups and texts that would be on both sides: they have no job."""


def divide(
    rows: Rows,
    count: int,
    seed: int,
    kind: LabelKind,
    rule: SplitRule,
    stay: Staying = STAYING,
) -> Division:
    """Take about so many rows out; where nothing must stay together, exactly so many.

    Args:
        rows: What is divided.
        count: Rows to take out, fewer than there are.
        seed: Decides which rows, and which side a group or text gets that would be on both.
        kind: What a label is.
        rule: What is respected.
        stay: What is asked of the side that stays.

    Returns:
        The row numbers of both sides.

    Raises:
        DataError: What must stay together, or has one time, does not allow it.
    """
    keys = keys_of(rows, rule)
    if rule.order:
        is_out = _latest(np.array(rows.times), count, len(rows) - stay.fewest)
    else:
        strata = strata_of(rows.labels, kind, stay.most_strata)
        blocks = blocks_of(rows, rule)
        if len(np.unique(blocks)) == len(rows):
            kept_rows, out = stratified_take(strata, len(rows) - count, seed, every_class=stay.every_class)
            return Division(kept_rows, out, np.empty(0, dtype=np.int64))
        wanted = _Wanted(count, len(rows) - stay.fewest, every_class=stay.every_class)
        is_out = _take_blocks(blocks, strata, wanted, seed)
    kept = _one_side(is_out, keys, derive_seed(seed, "sides"))
    division = Division(np.flatnonzero(kept & ~is_out), np.flatnonzero(kept & is_out), np.flatnonzero(~kept))
    _check_sides(division, count, rows, rule)
    return division


def keys_of(rows: Rows, rule: SplitRule) -> list[np.ndarray]:
    """Number what rows must not share across sides: one ``(n,)`` for texts, one for groups, where the rule has them."""
    keys = []
    if rule.groups:
        keys.append(_numbered(rows.groups))
    if rule.texts:
        keys.append(_numbered(rows.plain_texts()))
    return keys


def blocks_of(rows: Rows, rule: SplitRule) -> np.ndarray:
    """Number the blocks of rows that must stay together.

    Args:
        rows: The rows.
        rule: What joins them.

    Returns:
        ``(n,)``, the same number for rows of one block. Where texts join groups to a large block, the groups alone.
    """
    keys = keys_of(rows, rule)
    if not keys:
        return np.arange(len(rows))
    if len(keys) == 1:
        return keys[0]
    joined = _joined(*keys)
    most = max(MOST_IN_A_BLOCK * len(rows), np.bincount(keys[0]).max())
    return joined if np.bincount(joined).max() <= most else keys[0]


def _numbered(values: Sequence[object]) -> np.ndarray:
    """Number values by their first appearance: equal ones alike, ``(n,)``."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def _joined(groups: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Number what groups and texts join, directly or over other rows: ``(n,)``."""
    first_text = int(groups.max()) + 1
    size = first_text + int(texts.max()) + 1
    links = coo_array((np.ones(len(groups)), (groups, first_text + texts)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    return np.unique(component[groups], return_inverse=True)[1]


@dataclass(frozen=True)
class _Wanted:
    """How many rows to take out."""

    count: int
    most: int
    every_class: bool


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows that stay together."""

    rows: np.ndarray
    """``(m,)``, their numbers."""
    counts: tuple[tuple[int, int], ...]
    """Each of their classes with its rows."""


class _Sides:
    """Blocks on two sides, and how far the side that is taken out is from the share of every class."""

    def __init__(self, sizes: Sequence[int], wanted: _Wanted) -> None:
        self._wanted = wanted
        share = wanted.count / sum(sizes)
        self._target = [size * share for size in sizes]
        self._missing = list(self._target)
        self._left = list(sizes)
        self._all_missing = float(wanted.count)
        self._out: dict[int, _Block] = {}

    @property
    def blocks(self) -> list[_Block]:
        """The blocks that are taken out."""
        return list(self._out.values())

    @property
    def distance(self) -> float:
        """Pearson's chi-square of the classes that are taken out, and the same of their count."""
        of_classes = [missing**2 / target for missing, target in zip(self._missing, self._target, strict=True)]
        return sum(of_classes) + self._all_missing**2 / self._wanted.count

    def gain(self, block: _Block) -> float:
        """Return by how much moving a block to the other side lowers the distance; negative if it does not."""
        sign = self._sign(block)
        gain = 0.0
        for found, count in block.counts:
            gain += sign * count * (2 * self._missing[found] - sign * count) / self._target[found]
        size = len(block.rows)
        return gain + sign * size * (2 * self._all_missing - sign * size) / self._wanted.count

    def may_move(self, block: _Block) -> bool:
        """Tell whether a block may change its side."""
        if id(block) in self._out:
            return True
        taken = self._wanted.count - self._all_missing
        if len(block.rows) + taken > self._wanted.most:
            return False
        return not self._wanted.every_class or all(self._left[found] > count for found, count in block.counts)

    def move(self, block: _Block) -> None:
        """Move a block to the other side."""
        sign = self._sign(block)
        for found, count in block.counts:
            self._missing[found] -= sign * count
            self._left[found] -= sign * count
        self._all_missing -= sign * len(block.rows)
        if sign > 0:
            self._out[id(block)] = block
        else:
            del self._out[id(block)]

    def _sign(self, block: _Block) -> int:
        """Return 1 where moving takes the block out, -1 where it comes back."""
        return -1 if id(block) in self._out else 1


def _take_blocks(blocks: np.ndarray, strata: Sequence[str], wanted: _Wanted, seed: int) -> np.ndarray:
    """Choose whole blocks: ``(n,)``, True for the rows that are taken out."""
    _, classes = np.unique(as_objects(strata), return_inverse=True)
    sizes = np.bincount(classes).tolist()
    members = _members(blocks, classes)
    random = np.random.Generator(np.random.PCG64(seed))
    # Where there are many blocks, any order comes near enough.
    tries = 1 if len(members) > _MANY_BLOCKS else _TRIES
    tried = [_tried(members, _Sides(sizes, wanted), random.permutation(len(members))) for _ in range(tries)]
    best = min(tried, key=lambda sides: sides.distance)
    smallest = min(members, key=lambda block: len(block.rows))
    if not best.blocks and len(smallest.rows) <= wanted.most:
        best.move(smallest)
    is_out = np.zeros(len(blocks), dtype=bool)
    for block in best.blocks:
        is_out[block.rows] = True
    return is_out


def _members(blocks: np.ndarray, classes: np.ndarray) -> list[_Block]:
    _, numbers, sizes = np.unique(blocks, return_inverse=True, return_counts=True)
    rows = np.split(np.argsort(numbers, kind="stable"), np.cumsum(sizes)[:-1])
    return [_Block(own, tuple(Counter(classes[own].tolist()).items())) for own in rows]


def _tried(members: Sequence[_Block], sides: _Sides, order: np.ndarray) -> _Sides:
    """Move blocks out and back in this order until no single one brings the shares nearer."""
    # Large blocks first: small ones then fill up what is missing.
    in_order = sorted((members[number] for number in order), key=lambda block: len(block.rows), reverse=True)
    for _ in range(_PASSES):
        moved = [block for block in in_order if _moves(sides, block)]
        if not moved:
            break
    return sides


def _moves(sides: _Sides, block: _Block) -> bool:
    """Move a block to the other side where that brings the shares nearer; tell whether it did."""
    if sides.gain(block) <= 0 or not sides.may_move(block):
        return False
    sides.move(block)
    return True


def _latest(times: np.ndarray, count: int, most: int) -> np.ndarray:
    """Choose the latest rows, as near to a count as equal times allow: ``(n,)``, True for the rows."""
    moments, sizes = np.unique(times, return_counts=True)
    # Entry i: rows at the moment i and later. What stays needs a moment of its own.
    later = np.cumsum(sizes[::-1])[::-1][1:]
    possible = np.flatnonzero(later <= most)
    if not len(possible):
        raise DataError(
            f"--order must tell rows apart, so that later ones can be split off; of {len(times)} rows with "
            f"{len(moments)} different times, none can be. Give rows of more times, or your own splits."
        )
    # Of two that are equally near, the one with which more rows stay.
    nearest = possible[::-1][np.argmin(np.abs(later[possible[::-1]] - count))]
    return np.asarray(times >= moments[1 + nearest])


def _one_side(is_out: np.ndarray, keys: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Choose a side for whatever is on both: ``(n,)``, True for the rows that keep their side.

    A side is as likely as its share of the rows, so that neither side loses all of what both have.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    kept = np.ones(len(is_out), dtype=bool)
    for key in keys:
        size = int(key.max()) + 1
        out = np.bincount(key[kept & is_out], minlength=size)
        all_rows = np.bincount(key[kept], minlength=size)
        goes_out = random.random(size) * all_rows < out
        kept &= goes_out[key] == is_out
    return kept


def _check_sides(division: Division, count: int, rows: Rows, rule: SplitRule) -> None:
    if len(division.stay) and len(division.out):
        return
    options = [name for name, holds in (("--group", rule.groups), ("--order", rule.order)) if holds]
    asked = f", as {' and '.join(options)} asks" if options else ""
    groups = f" They have {len(set(rows.groups))} different groups." if rule.groups else ""
    raise DataError(
        f"Splitting off {count} of {len(rows)} rows must leave rows on both sides; with equal texts on one "
        f"side{asked}, one side has none.{groups} Rows that train, that choose settings, that decide and test rows "
        "are split apart one after the other: give your own splits, or other rows."
    )

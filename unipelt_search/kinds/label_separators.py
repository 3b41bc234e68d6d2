"""Which character stands between the labels of a cell, by what the cells of a whole column have in common.

`joy, fear` may be two labels, and `Smith, John` is one name. A part of a set of labels is met elsewhere: alone, at
another place of a cell, or after another part. The parts of a name or of a path such as `Home | Garden` are not: each
stays at its place, after the same part.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FREE_SHARES = {"|": 0.25, ";": 0.25, ",": 0.6}
"""For each separator, in the order in which they are tried, the least share of the parts that must be free."""
ASKED_SHARES = {"|": 0.0, ";": 0.0, ",": 0.35}
"""The same where the user says that rows have sets of labels."""
ALONE_ONLY = "/"
"""The separator whose parts must be labels by themselves, all of them: `and/or` and `sport/tennis` are names."""
MOST_CELLS = 20_000
"""Different cells that are looked at."""
LONGEST_PART = 100
"""Characters of a label at most where separators are looked for; longer parts are sentences."""


@dataclass(frozen=True)
class Separation:
    """A separator that occurs between parts of labels, and how much speaks for sets of labels."""

    separator: str
    cells: int
    """Different cells with two parts or more."""
    free: float
    """The share of their parts that are free: met alone, at different places, or after different parts."""
    alone: float
    """The share of their parts that are met alone."""


def split_cell(text: str, separator: str) -> tuple[str, ...]:
    """Return the names in a cell, stripped, in their order, none of them empty."""
    stripped = (part.strip() for part in text.split(separator))
    return tuple(part for part in stripped if part)


def find_separator(texts: Iterable[str], *, asked: bool) -> str | None:
    """Find the separator of a column of sets of labels.

    Args:
        texts: The cells; blank ones are ignored.
        asked: Whether the user says that rows have sets of labels.

    Returns:
        The separator; None where the cells are names, each of one label.
    """
    different = _some_different(texts)
    for separator, least in (ASKED_SHARES if asked else FREE_SHARES).items():
        found = separation(different, separator)
        if found.cells and found.free >= least:
            return separator
    found = separation(different, ALONE_ONLY)
    return ALONE_ONLY if found.cells and found.alone == 1 else None


def _some_different(texts: Iterable[str]) -> list[str]:
    """Return the different cells, stripped, the first of them where there are very many."""
    different = dict.fromkeys(text.strip() for text in texts if text.strip())
    return list(different)[:MOST_CELLS]


def kept_separator(texts: Iterable[str]) -> str | None:
    """Return the separator that occurs in most of the different cells, which are names all the same."""
    different = _some_different(texts)
    counts: Counter[str] = Counter()
    for mark in (*FREE_SHARES, ALONE_ONLY):
        counts[mark] = sum(mark in text for text in different)
    most, count = counts.most_common(1)[0]
    return most if count else None


def find_pair(texts: Iterable[str]) -> str | None:
    """Find a cell such as `1,2` that may be a number as well as two numbered labels.

    Args:
        texts: Cells that can be read as numbers with a decimal comma.

    Returns:
        Such a cell, where all that have a comma ascend, as sorted labels do, with different parts after the comma that
        are met before it or alone too; None where they are numbers.
    """
    split = [text.strip().split(",") for text in dict.fromkeys(texts)]
    pairs = [parts for parts in split if len(parts) == 2]
    last = {parts[1] for parts in pairs}
    known = {parts[0] for parts in split}
    if len(last) < 2 or not last <= known | {max(last, key=_integer)}:
        return None
    ascending = all(_integer(parts[0]) < _integer(parts[1]) for parts in pairs)
    return ",".join(pairs[0]) if ascending else None


def _integer(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= 18 else -1


def separation(different: Iterable[str], separator: str) -> Separation:
    """Measure how much speaks for sets of labels.

    Args:
        different: Different cells, stripped.
        separator: What may stand between labels.

    Returns:
        The measures; nothing is free where a part is as long as a sentence.
    """
    split = [split_cell(text, separator) for text in different]
    several = [parts for parts in split if len(set(parts)) > 1]
    single = {parts[0] for parts in split if len(set(parts)) == 1}
    parts = {part for row in several for part in row}
    if not parts or max(map(len, parts)) > LONGEST_PART:
        return Separation(separator, len(several), 0.0, 0.0)
    free = set() if _are_grid(split) else single | _moving(several)
    return Separation(
        separator=separator,
        cells=len(several),
        free=len(parts & free) / len(parts),
        alone=len(parts & single) / len(parts),
    )


def _moving(several: Sequence[tuple[str, ...]]) -> set[str]:
    """Return the parts that are met after different parts, or in front as well as later."""
    before: dict[str, set[str]] = defaultdict(set)
    for parts in several:
        for previous, part in zip(("", *parts), parts, strict=False):
            before[part].add(previous)
    return {part for part, parts in before.items() if len(parts) > 1}


def _are_grid(split: Sequence[tuple[str, ...]]) -> bool:
    """Tell whether all cells have as many parts, and no part is met at two places: `Shoes, Men` and `Shirts, Men`."""
    if len({len(parts) for parts in split}) > 1:
        return False
    columns = [set(column) for column in zip(*split, strict=True)]
    return sum(map(len, columns)) == len(set().union(*columns))

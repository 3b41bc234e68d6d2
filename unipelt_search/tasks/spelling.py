"""Labels that look like one another, of which one may be misspelt."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from os.path import commonprefix

from unipelt_search.kinds.label_texts import number_of

MUCH_RARER = 20
"""A label with one letter more, less or other than one that is this many times as frequent is taken for a typo."""
LARGEST_EXACT = 2**53
"""Integers below it are all different as floats."""
SHORTEST = 4
"""Letters of a label that may be a typo of another one; shorter ones are alike by chance."""


def look_alikes(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Find labels that look like a more frequent one.

    Two do when they differ in case, white space, hyphens, Unicode form or the way a number is written only; or else,
    one being much rarer, in one letter that is no digit.

    Args:
        counts: How many rows each label has.

    Returns:
        (label, the more frequent one), by label; of those that differ in form only, each with the most frequent.
    """
    by_form: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        by_form[_form(label)].append(label)
    usual = {}
    found: dict[str, str] = {}
    for form, alike in by_form.items():
        # Of two that are equally frequent the shorter one: 0 and not 0.0.
        usual[form] = max(alike, key=lambda label: (counts[label], -len(label), label))
        found.update((label, usual[form]) for label in alike if label != usual[form])
    for pair in _one_letter_apart(usual):
        rare, frequent = sorted((usual[form] for form in pair), key=lambda label: counts[label])
        meant = found.get(rare, frequent)
        if counts[rare] * MUCH_RARER <= counts[frequent]:
            found[rare] = max(meant, frequent, key=lambda label: counts[label])
    return sorted(found.items())


def _form(label: str) -> str:
    number = number_of(label)
    # Of longer numbers, such as identifiers, two that differ in their last digits are one float.
    if number is not None and abs(number) < LARGEST_EXACT:
        return repr(number)
    plain = unicodedata.normalize("NFKC", label).strip().casefold()
    # A hyphen at the end joins nothing: the grade `B-` is no `B`.
    return re.sub(r"[\s_-]+", " ", plain).strip() + ("-" if plain.endswith("-") else "")


def _one_letter_apart(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs at edit distance 1, each once; time grows with the letters of all words, not with their pairs."""
    by_rest: dict[str, set[str]] = defaultdict(set)
    for word in words:
        by_rest[word].add(word)
        for position in range(len(word)):
            by_rest[word[:position] + word[position + 1 :]].add(word)
    pairs = {pair for alike in by_rest.values() for pair in combinations(sorted(alike), 2)}
    yield from sorted(pair for pair in pairs if _is_one_letter_apart(*pair))


def _is_one_letter_apart(first: str, second: str) -> bool:
    if min(len(first), len(second)) < SHORTEST:
        return False
    start = len(commonprefix([first, second]))
    letters = _differing_letters(first[start:], second[start:])
    # Another digit makes another label: `item 1` is no misspelt `item 2`.
    return bool(letters) and not any(letter.isdigit() for letter in letters)


def _differing_letters(a: str, b: str) -> str:
    """Return the letters in which two words differ from their first letter on, empty if more than one does."""
    if a[1:] == b[1:]:
        return a[:1] + b[:1]
    if a == b[1:]:
        return b[:1]
    if a[1:] == b:
        return a[:1]
    return ""

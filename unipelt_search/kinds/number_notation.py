"""Numbers as people write them: which notation a whole column has, and what each of its cells is worth.

A single cell cannot say whether `1,234` is a thousand or a little more than one. So a notation is chosen for all cells
together: the one that reads most of them. Where two read all and differ, nothing is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

EXPONENT = r"(e[+-]?\d+)?"
BLANKS = re.compile("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}\N{FIGURE SPACE}]")
UNIT = re.compile(r"(?P<before>[^\d\s.,+'-]*)\s*(?P<number>[+-]?[\d., ']*\d)\s*(?P<after>[^\d\s.,+'-]*)")
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+", re.ASCII)
FEWEST_GROUPED = 3
"""Fewer different cells with three digits after a point say nothing."""
CURRENCIES = frozenset("USD EUR GBP JPY CHF CNY INR KRW BRL RUB SEK NOK DKK PLN CZK TRY AUD CAD Rs kr zł Kč".split())
TOO_LARGE = 1e100
"""Nobody measures as much: it stands for a missing number, and the squares of such labels would have no finite sum."""
BEGINNINGS = ("+", "-", "\N{MINUS SIGN}", ".", ",")
"""What a number may begin with, beside a digit."""
MISSING_WORDS = frozenset("n/a na nan null none nil missing unknown undefined - -- – — ? . #n/a #na".split())
"""What stands where a number is missing, in lower case."""


@dataclass(frozen=True)
class _Body:
    """A cell without its percent sign, with plain blanks, signs and apostrophes."""

    text: str
    percent: bool
    """Whether it had the sign."""

    @classmethod
    def of(cls, text: str) -> _Body:
        plain = BLANKS.sub(" ", text.strip())
        plain = plain.replace("\N{MINUS SIGN}", "-").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        percent = plain.endswith("%")
        return cls(plain.removesuffix("%").rstrip(), percent)


@dataclass(frozen=True)
class NumberNotation:
    """How the numbers of a column are written."""

    decimal: str = "."
    """What stands before the fraction: a point or a comma."""
    thousands: str = ""
    """What stands between groups of three digits; nothing, or one of comma, point, blank and apostrophe."""
    percent: bool = False
    """Whether every number ends with a percent sign; 12.5% is then the number 12.5."""

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as programs write them."""
        return self == NumberNotation()

    @property
    def is_usual(self) -> bool:
        """Whether there is but a decimal point: what any program reads as a number is that number."""
        return self.decimal == "." and not self.thousands

    def read(self, text: str) -> float | None:
        """Return the number that a cell holds, None if it holds none in this notation, or one that is too large."""
        return self.read_body(_Body.of(text))

    def read_body(self, body: _Body) -> float | None:
        """Return the number of a cell whose blanks and percent sign are known."""
        if body.percent != self.percent or not self._pattern.fullmatch(body.text):
            return None
        plain = body.text.replace(self.thousands, "") if self.thousands else body.text
        number = float(plain.replace(self.decimal, "."))
        return number if abs(number) < TOO_LARGE else None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        point = re.escape(self.decimal)
        pattern = rf"\d+({point}\d*)?|{point}\d+"
        if self.thousands:
            mark = re.escape(self.thousands)
            # Groups of two digits before the last one are how lakhs and crores are written.
            inner = rf"({mark}\d{{2,3}})*" if self.thousands == "," else rf"({mark}\d{{3}})*"
            pattern += rf"|[1-9]\d{{0,2}}{inner}{mark}\d{{3}}({point}\d*)?"
        return re.compile(rf"[+-]?({pattern}){EXPONENT}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class NumberColumn:
    """What a column is worth as numbers."""

    notation: NumberNotation
    """The one that reads most cells."""
    numbers: tuple[float | None, ...]
    """``(n,)``, of each cell; None where it is none in this notation."""
    other: NumberNotation | None = None
    """Another notation that reads as many cells, some of them as other numbers; None where there is none."""

    @property
    def share(self) -> float:
        """The share of the cells that are numbers, 0 where there are no cells."""
        read = sum(number is not None for number in self.numbers)
        return read / max(len(self.numbers), 1)

    @property
    def is_measured(self) -> bool:
        """Whether the cells are measurements by their looks: one has a fraction, or is written as no name is."""
        has_fraction = any(number is not None and number % 1 for number in self.numbers)
        return has_fraction or (not self.notation.is_plain and self.share > 0)


def read_numbers(texts: Sequence[str]) -> NumberColumn:
    """Find the notation of a column of numbers.

    Args:
        texts: ``(n,)`` cells that are not blank.

    Returns:
        The numbers. Of notations that read as many cells the plainest one is taken; another one that differs in a
        number is named, unless the cells tell which is meant. Numbers with a decimal point alone are what any program
        reads, unless all look as if the point stood between thousands.
    """
    different = list(dict.fromkeys(texts))
    if not any(map(_begins_as_number, different)):
        return NumberColumn(NumberNotation(), (None,) * len(texts))
    bodies = [_Body.of(text) for text in different]
    percent = 2 * sum(body.percent for body in bodies) > len(bodies)
    values = {}
    for notation in _notations(percent=percent):
        values[notation] = [notation.read_body(body) for body in bodies]
        if notation.is_usual and None not in values[notation]:
            break
    best, other = _best_of(values)
    if best.is_usual:
        other = _grouping_of(bodies)
    elif other is not None and _are_thousands(bodies, best.decimal):
        best, other = other, None
    number_of = dict(zip(different, values[best], strict=True))
    return NumberColumn(best, tuple(number_of[text] for text in texts), other)


def unit_of(text: str) -> str | None:
    """Return what stands before or after a number, such as a currency or `kg`; None if it is no number with a unit."""
    match = UNIT.fullmatch(BLANKS.sub(" ", text.strip()))
    if match is None or bool(match["before"]) == bool(match["after"]):
        return None
    unit = match["before"] or match["after"]
    return None if unit == "%" else unit


def is_currency(unit: str) -> bool:
    """Tell whether a unit is one of money."""
    return unit in CURRENCIES or any(unicodedata.category(character) == "Sc" for character in unit)


def is_missing_word(text: str) -> bool:
    """Tell whether a cell says that there is no number, such as `n/a`."""
    return text.strip().casefold() in MISSING_WORDS


def _begins_as_number(text: str) -> bool:
    first = text.lstrip()[:1]
    return first in BEGINNINGS or first.isdigit()


def _notations(*, percent: bool) -> Iterable[NumberNotation]:
    """Yield all notations, the plainest first."""
    yield NumberNotation(percent=percent)
    yield NumberNotation(",", percent=percent)
    for thousands in (",", " ", "'"):
        yield NumberNotation(".", thousands, percent=percent)
    for thousands in (".", " ", "'"):
        yield NumberNotation(",", thousands, percent=percent)


def _best_of(
    values: Mapping[NumberNotation, Sequence[float | None]],
) -> tuple[NumberNotation, NumberNotation | None]:
    """Return the notation that reads most cells, the plainest of several, and another one that reads them otherwise."""
    counts = {notation: len(read) - read.count(None) for notation, read in values.items()}
    most = max(counts.values())
    best, *rest = [notation for notation, count in counts.items() if count == most]
    return best, next((notation for notation in rest if values[notation] != values[best]), None)


def _grouping_of(bodies: Sequence[_Body]) -> NumberNotation | None:
    """Return the notation with points between thousands where all cells look so: `1.200`, `850`, `12.500`."""
    pointed = [body.text for body in bodies if "." in body.text]
    if len(pointed) < FEWEST_GROUPED or not all(map(GROUPED.fullmatch, pointed)) or not _are_thousands(bodies, "."):
        return None
    return NumberNotation(",", ".", percent=bodies[0].percent)


def _are_thousands(bodies: Sequence[_Body], mark: str) -> bool:
    """Tell whether a mark that may stand before a fraction or a group of three stands before groups.

    Whoever groups digits writes the numbers below a thousand without a mark, and none above. Whoever writes three
    decimals writes them everywhere.
    """
    plain = NumberNotation(percent=bodies[0].percent)
    without = [plain.read_body(body) for body in bodies if mark not in body.text]
    numbers = [number for number in without if number is not None]
    return bool(numbers) and all(abs(number) < 1000 and not number % 1 for number in numbers)

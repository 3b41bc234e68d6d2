"""One kind of problem or oddity in the rows of a dataset, with every location where it was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from unipelt_search.errors import DataError
from unipelt_search.frozen import Frozen
from unipelt_search.records.notice import MAX_NAMED

Severity = Literal["error", "warning", "info"]
"""`error`: the data cannot be used as it is. `warning`: a score may mislead who does not know it. `info`: what was done
with the data."""
MAX_NUMBERS = 100
"""Places of one finding that are kept; the others are counted."""
MAX_DISPLAYED = 20
"""Findings that people are shown; the others are counted."""


class Finding(Frozen):
    """What is wrong or odd at some locations of one column, and what to do about it."""

    code: str
    """Lower-case words with underscores, never renamed: `empty_text`."""
    severity: Severity
    source: str
    """The file, or the split of a dataset."""
    unit: str
    """What `numbers` count: `line` or `row`."""
    numbers: tuple[int, ...]
    """Where, counted from 1: the first `MAX_NUMBERS`."""
    count: int
    """At how many locations."""
    column: str
    rule: str
    """What must hold, or is usual, as a sentence without a full stop."""
    what: str
    """What is to be said of the column there, such as ``is empty``."""
    values: tuple[str, ...] = ()
    """The first few cells that are meant, no text of the dataset among them."""
    values_count: int = 0
    """How many different cells are meant."""
    fix: str
    """What to do, as a sentence."""

    @property
    def sentence(self) -> str:
        """Everything of it: the rule, what was found, and what to do."""
        return f"{self.rule}; in {self.source}, column {self.column!r} {self.statement} at {self.where}. {self.fix}"

    @property
    def line(self) -> str:
        """What was found and what to do, as a line among others."""
        return f"{self.source}, {self.where}, column {self.column!r}: {self.matter}. {self.fix}"

    @property
    def matter(self) -> str:
        """The rule, and what is to be said of the column, for somebody who knows which one it is."""
        return f"{self.rule}; it {self.statement}"

    @property
    def where(self) -> str:
        """The first locations, such as ``line 3, line 7 and 2 more``."""
        named = [f"{self.unit} {number}" for number in self.numbers[:MAX_NAMED]]
        return f"{', '.join(named)}{_more(self.count, len(named))}"

    @property
    def statement(self) -> str:
        """What is to be said of the column, with the first cells that are meant."""
        if not self.values:
            return self.what
        first = ", ".join(map(repr, self.values))
        return f"{self.what} ({first}{_more(self.values_count, len(self.values))})"


class FindingsError(DataError):
    """The rows of a dataset cannot be used as they are; says everything that was found in them."""

    def __init__(self, findings: Sequence[Finding], count: int | None = None, other: str = "") -> None:
        """Make the message.

        Args:
            findings: What was found, errors first.
            count: How many findings there are, where not all of them were kept.
            other: What is wrong with the dataset as a whole, found in the rows that can be used.
        """
        self.findings = tuple(findings)
        self.count = len(self.findings) if count is None else count
        self.other = other
        self.headline = _headline(self.findings, self.count, other)
        lines = [self.headline]
        if len(self.findings) > 1 or other:
            lines += [f"- {finding.line}" for finding in self.findings[:MAX_DISPLAYED]]
        if self.count > MAX_DISPLAYED:
            lines.append(f"- And {self.count - MAX_DISPLAYED} more findings.")
        if other:
            lines.append(f"- {self.without_them}")
        super().__init__("\n".join(lines))

    @property
    def without_them(self) -> str:
        """What is wrong with the dataset as a whole, as a sentence of its own."""
        return f"Without these rows: {self.other}"

    def __reduce__(self) -> tuple[type[FindingsError], tuple[Sequence[Finding], int, str]]:
        """Say how a copy is made in another process."""
        return FindingsError, (self.findings, self.count, self.other)


def _more(count: int, named: int) -> str:
    return f" and {count - named} more" if count > named else ""


def _headline(findings: tuple[Finding, ...], count: int, other: str) -> str:
    """Return one sentence: what was found, or how much it is where it is more than one thing."""
    if count == 1 and not other:
        return findings[0].sentence
    found = [finding for finding in findings if finding.severity == "error"]
    problems = _counted(len(found), "problem")
    locations = _counted(sum(finding.count for finding in found), "location")
    odd = count - len(found)
    oddities = f", and {_counted(odd, 'finding')} beside them" if odd else ""
    return f"The data cannot be used as it is; its rows have {problems} at {locations}{oddities}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

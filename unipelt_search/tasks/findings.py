"""What is wrong or odd in a dataset's rows, gathered while they are read, so that all of it is said at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from unipelt_search.errors import DataError
from unipelt_search.records.finding import MAX_NUMBERS, Finding, FindingsError, Severity
from unipelt_search.records.notice import MAX_NAMED, Notice, NoticeValue
from unipelt_search.tasks.table import Location, Table

MAX_KEPT = 1000
"""Findings that are kept; the others are counted."""
MAX_CHARACTERS = 60
"""Of a cell that is quoted."""
DROP = "or leave them out with --drop-bad-rows"
_ORDER: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Problem:
    """What may be wrong or odd at a location, in words that do not depend on the location."""

    code: str
    """Lower-case words with underscores, never renamed; notices count rows by it."""
    rule: str
    """What must hold, or is usual, without a full stop."""
    what: str
    """What is to be said of the column, such as ``is empty``."""
    fix: str
    """What to do, without a full stop."""


_FILL = "Fill in or remove these rows"
EMPTY_TEXT = Problem("empty_text", "Every row must have a text", "is empty", _FILL)
MISSING_LABEL = Problem("missing_label", "Every row must have a label", "is empty", _FILL)
EMPTY_CELL = Problem("empty_cell", "Every row must have a value where a column is named", "is empty", _FILL)
UNREADABLE = Problem(
    "unreadable_cell", "Every cell must hold text or a number", "has something else", "Write these cells as text"
)
BAD_UNICODE = Problem(
    "bad_unicode",
    "Every cell must be valid Unicode without NUL",
    "is not",
    "Correct or remove these rows",
)
BAD_LABEL = Problem(
    "bad_label", "Every label must be written in the column's notation", "is not", "Correct or remove these rows"
)
BAD_WEIGHT = Problem(
    "bad_weight", "Every weight must be a positive number", "has something else", "Correct or remove these rows"
)


@dataclass
class _Group:
    """The locations that one finding has so far."""

    numbers: list[int] = field(default_factory=list)
    count: int = 0
    values: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Key:
    """What two locations must share to be one finding."""

    problem: Problem
    severity: Severity
    source: str
    unit: str
    column: str


@dataclass(frozen=True)
class TableFindings:
    """Takes what is found in the rows of one table."""

    split: str
    table: Table
    findings: Findings

    def bad_row(self, row: int, column: str, problem: Problem, value: str | None = None) -> None:
        """Add a row that cannot be used: it is left out where the user wants that, and is an error else.

        Args:
            row: The row's number in the table, counted from 0.
            column: Where the problem is.
            problem: What is wrong.
            value: The cell, where it may be quoted.
        """
        self.findings.bad_row(self.split, row, problem.code)
        if not self.findings.drop:
            self.findings.add(_droppable(problem), self.table.locations[row], column, value)

    def broken_rows(self, column: str) -> None:
        """Add the rows that the table could not take in.

        Args:
            column: What is missing because of that.
        """
        for number, broken in enumerate(self.table.broken, start=1):
            problem = Problem("broken_row", broken.rule, broken.what, broken.fix)
            # They have no number in the table.
            self.findings.bad_row(self.split, -number, problem.code)
            if not self.findings.drop:
                self.findings.add(_droppable(problem), broken.location, column)

    def bad_rows(self) -> set[int]:
        """Return the numbers of the rows that cannot be used."""
        return self.findings.bad_rows(self.split)

    def good_rows(self) -> list[int]:
        """Return the numbers of the rows that can be used, ascending."""
        bad = self.bad_rows()
        return [row for row in range(len(self.table)) if row not in bad]


class Findings:
    """Everything that was found in the rows of one dataset.

    Whoever reads rows adds what is wrong and goes on with the rows that can be used, as if the others were not there;
    `raise_errors` ends that with one error for everything.
    """

    def __init__(self, *, drop: bool = False) -> None:
        """Begin with nothing.

        Args:
            drop: Whether rows that cannot be used are left out and counted; else they are errors.
        """
        self.drop = drop
        self._groups: dict[_Key, _Group] = {}
        self._left_out = 0
        self._bad_rows: dict[str, dict[int, str]] = {}

    def of(self, split: str, table: Table) -> TableFindings:
        """Return what takes the findings in a split's table."""
        return TableFindings(split, table, self)

    def bad_row(self, split: str, row: int, code: str) -> None:
        """Note that a row cannot be used.

        Args:
            split: The row's split.
            row: The row's number in its table, counted from 0.
            code: Why; a row is counted once, by what was found first.
        """
        self._bad_rows.setdefault(split, {}).setdefault(row, code)

    def add(
        self,
        problem: Problem,
        location: Location,
        column: str,
        value: str | None = None,
        *,
        severity: Severity = "error",
    ) -> None:
        """Add something that is wrong or odd at one location, where the row stays.

        Args:
            problem: What is wrong or odd; what is said with the same words of the same file and column is one finding.
            location: Where.
            column: In which column.
            value: The cell, where it may be quoted.
            severity: Whether the data cannot be used.
        """
        key = _Key(problem, severity, location.source, location.unit, column)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= MAX_KEPT:
                self._left_out += 1
                return
            group = self._groups[key] = _Group()
        group.count += 1
        if len(group.numbers) < MAX_NUMBERS:
            group.numbers.append(location.number)
        if value is not None and len(group.values) < MAX_KEPT:
            group.values[_cut(value)] = None

    def bad_rows(self, split: str) -> set[int]:
        """Return the numbers of a split's rows that cannot be used."""
        return set(self._bad_rows.get(split, ()))

    def dropped(self, split: str, rows: int) -> Notice | None:
        """Say how many rows of a split were left out, and why.

        Args:
            split: The split.
            rows: How many rows it had.

        Returns:
            The notice; None where none was left out.
        """
        bad = self._bad_rows.get(split)
        if not self.drop or not bad:
            return None
        counts = Counter(bad.values()).most_common()
        values: dict[str, NoticeValue] = {
            "split": split,
            "count": len(bad),
            "of": rows,
            "reasons": tuple(code for code, _ in counts),
            "reason_rows": tuple(count for _, count in counts),
        }
        return Notice(code="rows_dropped", severity="warning", values=values)

    @property
    def found(self) -> tuple[Finding, ...]:
        """Everything that was kept: errors first, and each file from its top."""
        findings = [_finding(key, group) for key, group in self._groups.items()]
        sources = list(dict.fromkeys(finding.source for finding in findings))

        def order(finding: Finding) -> tuple[int, int, int]:
            return _ORDER.index(finding.severity), sources.index(finding.source), finding.numbers[0]

        return tuple(sorted(findings, key=order))

    @property
    def count(self) -> int:
        """How many findings there are, those that were not kept included."""
        return len(self._groups) + self._left_out

    @property
    def has_errors(self) -> bool:
        """Whether the data cannot be used as it is."""
        return any(key.severity == "error" for key in self._groups)

    def raise_errors(self) -> None:
        """End the reading where something is wrong.

        Raises:
            FindingsError: There is an error among the findings; it carries them all.
        """
        if self.has_errors:
            raise FindingsError(self.found, self.count)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Read rows, and then raise one error for everything that was found.

        Yields:
            Nothing.

        Raises:
            DataError: Something is wrong. If rows were already found that cannot be used, it says that as well.
        """
        try:
            yield
        except FindingsError:
            raise
        except DataError as error:
            if not self.has_errors:
                raise
            raise FindingsError(self.found, self.count, str(error)) from error
        self.raise_errors()


def _droppable(problem: Problem) -> Problem:
    """Return the problem of a row whose fix says that such rows can be left out."""
    return replace(problem, fix=f"{problem.fix}, {DROP}")


def _cut(value: str) -> str:
    return value if len(value) <= MAX_CHARACTERS else f"{value[: MAX_CHARACTERS - 1]}…"


def _finding(key: _Key, group: _Group) -> Finding:
    return Finding(
        code=key.problem.code,
        severity=key.severity,
        source=key.source,
        unit=key.unit,
        numbers=tuple(group.numbers),
        count=group.count,
        column=key.column,
        rule=key.problem.rule,
        what=key.problem.what,
        values=tuple(group.values)[:MAX_NAMED],
        values_count=len(group.values),
        fix=key.problem.fix if key.problem.fix.endswith("?") else f"{key.problem.fix}.",
    )

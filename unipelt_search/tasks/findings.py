"""What is wrong or odd in a dataset's rows, gathered while they are read, so that all of it is said at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from unipelt_search.errors import DataError
from unipelt_search.records.finding import MAX_NUMBERS, Finding, FindingsError, Severity
from unipelt_search.records.notice import MAX_NAMED, Notice
from unipelt_search.tasks.table import Place, Table

MAX_KEPT = 1000
"""Findings that are kept; the others are counted."""
MAX_CHARACTERS = 60
"""Of a cell that is quoted."""
DROP = "or leave these rows out with --drop-bad-rows"
_ORDER: tuple[Severity, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Fault:
    """What may be wrong or odd at a place, in words that do not depend on the place."""

    code: str
    """Lower-case words with underscores, never renamed; notices count rows by it."""
    what: str
    """What is to be said of the column, such as ``is empty``."""
    fix: str
    """What to do, without a full stop."""


EMPTY_TEXT = Fault("empty_text", "is empty, and every row must have a text", "Fill in or remove these rows")
MISSING_LABEL = Fault("missing_label", "is empty, and every row must have a label", "Fill in or remove these rows")
UNREADABLE = Fault("unreadable_cell", "must hold text or numbers", "Write these cells as text")
BAD_UNICODE = Fault("bad_unicode", "must be valid Unicode without NUL", "Correct or remove these rows")
BAD_LABEL = Fault("bad_label", "has labels of another notation than the column's", "Correct these cells")
BAD_WEIGHT = Fault("bad_weight", "must hold positive numbers", "Correct these cells")


@dataclass
class _Group:
    """The places that one finding has so far."""

    numbers: list[int] = field(default_factory=list)
    count: int = 0
    values: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Key:
    """What two places must share to be one finding."""

    fault: Fault
    severity: Severity
    source: str
    unit: str
    column: str


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

    def bad_row(self, split: str, table: Table, row: int, column: str, fault: Fault, value: str | None = None) -> None:
        """Add a row that cannot be used.

        Args:
            split: The row's split.
            table: That split's table.
            row: The row's number in the table, counted from 0.
            column: Where the fault is.
            fault: What is wrong.
            value: The cell, where it may be quoted.
        """
        rows = self._bad_rows.setdefault(split, {})
        # A row that is left out is counted once, by what was found first.
        rows.setdefault(row, fault.code)
        if not self.drop:
            self._add(replace(fault, fix=f"{fault.fix}, {DROP}"), "error", table.places[row], column, value)

    def add(
        self, fault: Fault, place: Place, column: str, value: str | None = None, *, severity: Severity = "error"
    ) -> None:
        """Add something that is wrong or odd at one place, where the row stays.

        Args:
            fault: What is wrong or odd; what is said with the same words of the same file and column is one finding.
            place: Where.
            column: In which column.
            value: The cell, where it may be quoted.
            severity: Whether the data cannot be used.
        """
        self._add(fault, severity, place, column, value)

    def bad_rows(self, split: str) -> set[int]:
        """Return the numbers of a split's rows that cannot be used."""
        return set(self._bad_rows.get(split, ()))

    def good_rows(self, split: str, table: Table) -> list[int]:
        """Return the numbers of a split's rows that can be used, ascending."""
        bad = self._bad_rows.get(split, {})
        return [row for row in range(len(table)) if row not in bad]

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
        values = {
            "split": split,
            "count": len(bad),
            "of": rows,
            "reasons": tuple(code for code, _ in counts),
            "reason_rows": tuple(count for _, count in counts),
        }
        return Notice(code="rows_dropped", severity="warning", values=values)

    @property
    def found(self) -> tuple[Finding, ...]:
        """Everything that was kept, errors first."""
        findings = [_finding(key, group) for key, group in self._groups.items()]
        return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))

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

    def _add(self, fault: Fault, severity: Severity, place: Place, column: str, value: str | None) -> None:
        key = _Key(fault, severity, place.source, place.unit, column)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= MAX_KEPT:
                self._left_out += 1
                return
            group = self._groups[key] = _Group()
        group.count += 1
        if len(group.numbers) < MAX_NUMBERS:
            group.numbers.append(place.number)
        if value is not None and len(group.values) < MAX_KEPT:
            group.values[_cut(value)] = None


def _cut(value: str) -> str:
    return value if len(value) <= MAX_CHARACTERS else f"{value[: MAX_CHARACTERS - 1]}…"


def _finding(key: _Key, group: _Group) -> Finding:
    return Finding(
        code=key.fault.code,
        severity=key.severity,
        source=key.source,
        unit=key.unit,
        numbers=tuple(group.numbers),
        count=group.count,
        column=key.column,
        what=key.fault.what,
        values=tuple(group.values)[:MAX_NAMED],
        values_count=len(group.values),
        fix=f"{key.fault.fix}.",
    )

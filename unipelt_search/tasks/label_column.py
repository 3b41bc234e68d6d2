"""What reading a column of labels needs and gives: the user's words, the column, and its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import AUTO, LabelKind, find_kind, label_kinds
from unipelt_search.records.notice import Notice, NoticeValue, first_values
from unipelt_search.tasks.cells import is_unicode
from unipelt_search.tasks.label_cells import Names, NoCell, PlainCell, plain_cell

BROKEN = "valid Unicode without NUL"
"""What a text is expected to be that no tokenizer or no database takes."""
SAMPLES = 3
LONGEST_SAMPLE = 40
"""Characters of a cell that a message shows at most."""


@dataclass(frozen=True)
class LabelRequest:
    """What the user says of the labels."""

    columns: tuple[str, ...]
    kind: str = AUTO
    label_names: tuple[str, ...] = ()
    separator: str | None = None
    text: str = ""
    """The column of the texts, to name it."""
    different_texts: int | None = None
    """How many different texts there are; None where nobody counted."""
    location_of: Callable[[int], str] = "row {}".format
    """From the number of a row, from 0 over all splits, to where it stands."""

    @property
    def asked_kind(self) -> LabelKind | None:
        """The kind that the user names."""
        return None if self.kind == AUTO else find_kind(self.kind)

    @property
    def may_be_sets(self) -> bool:
        """Whether the user does not say that a row has exactly one label."""
        return self.asked_kind is None or self.asked_kind.separator is not None

    @property
    def wants_sets(self) -> bool:
        """Whether the user says that a row has a set of labels."""
        return self.separator is not None or (self.asked_kind is not None and self.asked_kind.separator is not None)

    @property
    def wants_numbers(self) -> bool:
        """Whether the user says that labels are numbers."""
        return self.asked_kind is not None and not self.asked_kind.has_labels


@dataclass(frozen=True)
class OddLabel:
    """A cell that is not read, and why."""

    column: str
    text: str
    """What it holds, shortened; empty where it holds nothing."""
    expected: str
    """What it should hold, as in "must be …"."""
    type_name: str = ""
    """What it is, if that can be no label at all."""


@dataclass
class LabelColumn:
    """The labels of all rows, whatever their split, as their kind writes them."""

    kind: LabelKind
    labels: list[str | None]
    """``(n,)``; None where a row has no label or an odd cell."""
    declared: Notice
    """How they were read."""
    odd: dict[int, OddLabel] = field(default_factory=dict)
    """By the number of the row."""
    notices: tuple[Notice, ...] = ()
    """What else is to be said."""


@dataclass
class ColumnReading:
    """One column of labels while it is read."""

    name: str
    asked: LabelRequest
    odd: dict[int, OddLabel] = field(default_factory=dict)
    form: str = "cells"
    """How a cell is written, for the notice."""
    separator: str | None = None
    """What was found between the names of a cell."""
    samples: tuple[str, ...] = ()

    def plain(self, cells: Sequence[object]) -> list[PlainCell]:
        """Return all cells in their plain form; what has none is odd."""
        found: list[PlainCell] = []
        for row, value in enumerate(cells):
            cell = plain_cell(value)
            if isinstance(cell, NoCell):
                self.odd[row] = OddLabel(self.name, "", "text, a number, or a list of them", cell.type_name)
                cell = None
            elif not all(map(is_unicode, _texts_of(cell))):
                self.odd[row] = OddLabel(self.name, "", BROKEN)
                cell = None
            found.append(cell)
        self.samples = tuple(dict.fromkeys(map(abbreviated, filter(_is_filled, found))))[:SAMPLES]
        return found

    def values(self) -> dict[str, NoticeValue]:
        """Return what a notice says of every form."""
        return {"column": self.name, "form": self.form, "separator": self.separator, "samples": self.samples}


def as_sets(column: ColumnReading, rows: Sequence[Names | None], of: tuple[str, ...] = ()) -> LabelColumn:
    """Return sets of names as labels.

    Args:
        column: What is read.
        rows: ``(n,)`` names, None where a cell is odd.
        of: The names that there are, where more than the rows say so.

    Returns:
        The labels.

    Raises:
        DataError: A name holds what stands between the names of a set.
    """
    kind = column.asked.asked_kind or _first_kind_of_sets()
    mark = kind.separator or ""
    found = [None if row is None else _sorted_names(row) for row in rows]
    met = dict.fromkeys(chain.from_iterable(filter(None, found)))
    names = of or tuple(met)
    _refuse_mark(column, mark, names, found)
    values: dict[str, NoticeValue] = {
        **column.values(),
        **first_values("labels", names),
        **first_values("never", [name for name in of if name not in met]),
        "rows": len(rows),
        "empty": found.count(()),
        "one_each": {len(row) for row in found if row is not None} == {1},
    }
    declared = Notice(code="label_sets", severity="fact", values=values)
    labels = [None if row is None else mark.join(row) for row in found]
    return LabelColumn(kind, labels, declared, column.odd, found_notices(column, kind))


def found_notices(column: ColumnReading, kind: LabelKind) -> tuple[Notice, ...]:
    """Say that the labels themselves decided for a kind, where they did and it does not go without saying.

    Args:
        column: What was read.
        kind: What was found.

    Returns:
        At most one notice.
    """
    if column.asked.asked_kind is not None:
        return ()
    if kind.separator != column.separator and kind.separator is not None:
        return (Notice(code="rows_have_sets", values={"form": column.form, "separator": column.separator}),)
    values: dict[str, NoticeValue] = {} if kind.separator is None else {"separator": kind.separator}
    return () if kind.notice is None else (Notice(code=kind.notice, values=values),)


def _sorted_names(row: Names) -> tuple[str, ...]:
    return tuple(sorted({part.strip() for part in row if part}))


def _refuse_mark(
    column: ColumnReading, mark: str, names: Sequence[str], rows: Sequence[tuple[str, ...] | None]
) -> None:
    """Refuse a name that would be read as two."""
    bad = next((name for name in names if mark in name), None)
    if bad is None:
        return
    row = next((number for number, own in enumerate(rows) if bad in (own or ())), 0)
    raise DataError(
        f"The name of a label must not hold {mark!r} where rows have sets of labels; column {column.name!r} has "
        f"{bad!r} at {column.asked.location_of(row)}. Rename it."
    )


def _first_kind_of_sets() -> LabelKind:
    return next(kind for kind in label_kinds().values() if kind.separator is not None)


def _texts_of(cell: PlainCell) -> list[str]:
    parts = cell if isinstance(cell, tuple) else (cell,)
    return [part for part in parts if part is not None]


def _is_filled(cell: PlainCell) -> bool:
    return bool(cell.strip()) if isinstance(cell, str) else cell is not None


def abbreviated(cell: object) -> str:
    """Return a cell for a message: a list as Python writes it, a long text shortened."""
    if cell is None:
        return ""
    text = f"[{', '.join(map(str, cell))}]" if isinstance(cell, tuple) else str(cell)
    return text if len(text) <= LONGEST_SAMPLE else f"{text[:LONGEST_SAMPLE]}…"

"""Rows as a source has them: every cell as text, none of them missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.kinds.label_kind import AUTO, LabelKind, find_kind, label_kinds, recognise
from unipelt_search.records.notice import MAX_NAMED, Notice
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.table import Location, Table, Tables


@dataclass(frozen=True)
class Rows:
    """The rows of one split, before labels have numbers."""

    texts: tuple[tuple[str, ...], ...]
    """A row has one text, or the two of a pair."""
    labels: tuple[str, ...]
    """As they are written; empty only where rows have sets of labels."""
    locations: tuple[Location, ...] = field(default=(), compare=False)
    """Where each row stands; empty where nobody knows."""
    groups: tuple[str, ...] = ()
    """What each row belongs to, such as a customer; empty where nobody asked."""
    times: tuple[str, ...] = ()
    """When each row was made, as it is written; empty where nobody asked."""
    weights: tuple[float, ...] = ()
    """What each row counts; empty where all count the same."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def take(self, numbers: Iterable[int]) -> Rows:
        """Return the rows with these numbers, counted from 0, in this order."""
        kept = [int(number) for number in numbers]
        columns = {}
        for name, column in self._columns().items():
            columns[name] = tuple(column[number] for number in kept) if column else ()
        return Rows(**columns)

    def followed_by(self, others: Rows) -> Rows:
        """Return these rows and then others; what only one side knows of its rows is left out."""
        columns = {}
        theirs = others._columns()
        for name, column in self._columns().items():
            columns[name] = column + theirs[name] if column and theirs[name] else ()
        # One side may have no rows at all, which is not the same as not knowing.
        columns["texts"] = self.texts + others.texts
        columns["labels"] = self.labels + others.labels
        return Rows(**columns)

    def plain_texts(self) -> list[tuple[str, ...]]:
        """Return what two rows must share to have the same text: white space counts as one blank."""
        return [tuple(map(_plain, texts)) for texts in self.texts]

    def _columns(self) -> dict[str, tuple[Any, ...]]:
        return {column.name: getattr(self, column.name) for column in fields(self)}


@dataclass(frozen=True)
class RawData:
    """What was read from one source."""

    name: str
    splits: Mapping[str, Rows]
    """`train`, and `validation` and `test` where the source has them."""
    notices: tuple[Notice, ...] = ()


def read_rows(tables: Tables, spec: TaskSpec) -> RawData:
    """Turn the tables of a dataset into rows; what a label is, is decided over all of them together.

    Args:
        tables: What was read.
        spec: Which columns are what.

    Returns:
        The rows of every split that has labels, with a notice for each one that has none.

    Raises:
        DataError: A column is missing, a split has no rows, a text is missing or empty, so is a label where rows have
            one each, or a cell is neither text nor a number.
    """
    kept: dict[str, Table] = {}
    notices = list(tables.notices)
    for split, table in tables.splits.items():
        if not table.locations:
            raise DataError(f"{table.source} must have rows; it is empty.")
        check_columns(spec, table.names, table.source)
        if split != "train" and are_withheld(table.cells[spec.label[0]]):
            values = {"data": tables.name, "source": table.source}
            notices.append(Notice(code="labels_withheld", values=values))
        else:
            kept[split] = table
    labels = {split: _read_labels(table, spec) for split, table in kept.items()}
    may_be_empty = _may_be_empty(spec, [label for column in labels.values() for label in column])
    rows = {}
    for split, table in kept.items():
        rows[split] = _make_rows(table, labels[split], spec, may_be_empty=may_be_empty)
    return RawData(tables.name, rows, tuple(notices))


def are_withheld(labels: Iterable[object]) -> bool:
    """Tell whether labels are what benchmarks publish instead: -1, or nothing, in every row."""
    return all(label in (-1, None, "-1", "-1.0") for label in labels)


def format_list(things: Iterable[object]) -> str:
    """Join the first things with commas and say how many more there are."""
    items = [str(thing) for thing in things]
    more = f" and {len(items) - MAX_NAMED} more" if len(items) > MAX_NAMED else ""
    return ", ".join(items[:MAX_NAMED]) + more


def check_columns(spec: TaskSpec, found: Sequence[str], source: str) -> None:
    """Check that a source has the columns that the user named.

    Args:
        spec: Which columns.
        found: The source's columns.
        source: What to call the source.

    Raises:
        DataError: One is missing, or stands there twice.
    """
    asked = [("--text", text) for text in spec.text]
    asked += [("--label", label) for label in spec.label]
    further = (("--group", spec.group), ("--order", spec.order), ("--weight", spec.weight))
    asked += [(option, column) for option, column in further if column is not None]
    check_names(asked, found, source)


def check_names(asked: Iterable[tuple[str, str]], found: Sequence[str], source: str) -> None:
    """Check that a source has columns.

    Args:
        asked: The option that named each column, and the column.
        found: The source's columns.
        source: What to call the source.

    Raises:
        DataError: One is missing, or stands there twice.
    """
    for option, column in asked:
        if column not in found:
            raise DataError(
                f"{option} must name a column of {source}; got {column!r}, found: {', '.join(found[:50])}."
                f"{did_you_mean(column, found)}"
            )
        if found.count(column) > 1:
            raise DataError(
                f"A column must stand once in {source}; {column!r} stands there {found.count(column)} times."
            )


def read_texts(table: Table, text: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Turn the text columns of a table into texts.

    Args:
        table: What was read.
        text: The column with the text, or the two of a text pair.

    Returns:
        One text per row, or the two of a pair.

    Raises:
        DataError: There are no rows, a column is missing, a text is missing or empty, or a cell is neither text nor a
            number.
    """
    check_names([("--text", name) for name in text], table.names, table.source)
    if not table.locations:
        raise DataError(f"{table.source} must have rows; it is empty.")
    columns = []
    for name in text:
        column = _read_column(name, table.cells[name], table)
        _check_filled(name, column, table)
        columns.append(column)
    return tuple(zip(*columns, strict=True))


def _make_rows(table: Table, labels: list[str], spec: TaskSpec, *, may_be_empty: bool) -> Rows:
    texts = read_texts(table, spec.text)
    if not may_be_empty:
        _check_filled(spec.label[0], labels, table, _hint_at_sets())
    return Rows(
        texts=texts,
        labels=tuple(labels),
        locations=table.locations,
        groups=_read_further(spec.group, table),
        times=_read_further(spec.order, table),
        weights=_read_weights(spec.weight, table),
    )


def _read_labels(table: Table, spec: TaskSpec) -> list[str]:
    (name,) = spec.label
    labels = table.cells[name]
    for kind in _kinds_of_sets(spec):
        labels = [_joined(value, kind) for value in labels]
    return _read_column(name, labels, table)


def _read_further(name: str | None, table: Table) -> tuple[str, ...]:
    """Read a column that says more of each row."""
    if name is None:
        return ()
    column = _read_column(name, table.cells[name], table)
    _check_filled(name, column, table)
    return tuple(column)


def _read_weights(name: str | None, table: Table) -> tuple[float, ...]:
    weights = []
    for text, location in zip(_read_further(name, table), table.locations, strict=False):
        try:
            weights.append(float(text))
        except ValueError as error:
            raise DataError(f"A weight must be a number; got {text!r} in column {name!r} at {location}.") from error
    return tuple(weights)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _kinds_of_sets(spec: TaskSpec) -> list[LabelKind]:
    """Return the kinds that a task may have and that allow any number of labels in a row."""
    kinds = label_kinds().values() if spec.kind == AUTO else (find_kind(spec.kind),)
    return [kind for kind in kinds if kind.separator is not None]


def _check_filled(name: str, column: Sequence[str], table: Table, hint: str = "") -> None:
    missing = [location.in_source for location, text in zip(table.locations, column, strict=True) if not text.strip()]
    if missing:
        raise DataError(
            f"Every row must have a text and a label; in {table.source}, column {name!r} is empty at "
            f"{format_list(missing)}. Fill in or remove these rows.{hint}"
        )


def _may_be_empty(spec: TaskSpec, labels: list[str]) -> bool:
    """Tell whether a row may have no label at all."""
    kind = recognise(labels) if spec.kind == AUTO else find_kind(spec.kind)
    return kind.separator is not None


def _hint_at_sets() -> str:
    """Say which kinds allow a row without a label."""
    names = [kind.name for kind in label_kinds().values() if kind.separator is not None]
    return f" Where rows may have no label or several, write task.kind: {' or '.join(names)}."


def _read_column(name: str, values: Sequence[object], table: Table) -> list[str]:
    texts = [_text_of(value) for value in values]
    if None in texts:
        number = texts.index(None)
        raise DataError(
            f"Column {name!r} must hold text or numbers; {table.source} has {type(values[number]).__name__} "
            f"at {table.locations[number].in_source}."
        )
    read = [text for text in texts if text is not None]
    broken = [location.in_source for location, text in zip(table.locations, read, strict=True) if not _is_unicode(text)]
    if broken:
        raise DataError(
            f"Every cell must be valid Unicode without NUL; in {table.source}, column {name!r} is not at "
            f"{format_list(broken)}. Correct or remove these rows."
        )
    return read


def _text_of(value: object) -> str | None:
    """Return a cell as text, empty where it is missing; None if it is nothing that has a text form."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else None


def _joined(value: object, kind: LabelKind) -> object:
    """Write a list of labels as a cell that holds several; leave anything else as it is."""
    if not isinstance(value, list) or kind.separator is None:
        return value
    names = []
    for part in value:
        text = _text_of(part)
        # A name that holds the separator would be read as two: such a list is refused as what it is.
        if text is None or not text.strip() or kind.separator in text:
            return value
        names.append(text)
    return kind.separator.join(names)


def _is_unicode(text: str) -> bool:
    # Tokenizers refuse half of a surrogate pair, databases refuse NUL.
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)

"""Rows as a source has them: every cell as text, none of them missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.records.history import EDITION
from unipelt_search.records.notice import MAX_NAMED, Notice, NoticeValue
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.cells import check_filled, read_cells, read_weights
from unipelt_search.tasks.findings import EMPTY_CELL, EMPTY_TEXT, Findings, TableFindings
from unipelt_search.tasks.row_times import read_times
from unipelt_search.tasks.table import Location, Table, Tables
from unipelt_search.tasks.table_labels import LabelForm, read_table_labels, why_without_labels

_INTEGER_WITH_ZEROS = re.compile(r"(-?\d+)\.0+")


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
    times: tuple[float, ...] = ()
    """When each row was made, in numbers that grow with time; empty where nobody asked."""
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
    findings: Findings = field(default_factory=Findings, compare=False)
    """What is wrong or odd in its rows; rows that cannot be used are not among `splits`."""
    form: LabelForm | None = field(default=None, compare=False)
    """What a label is, where its form has told; None where the labels are still to decide."""


def read_rows(tables: Tables, spec: TaskSpec, findings: Findings | None = None, *, edition: int = EDITION) -> RawData:
    """Turn the tables of a dataset into rows; what a label is, is decided over all of them together.

    Args:
        tables: What was read.
        spec: Which columns are what.
        findings: Takes what is wrong with single rows, which are not among the rows returned; None raises that at once.
        edition: That of the study, whose rule for labels holds.

    Returns:
        The rows of every split that has labels, with a notice for each one that has none.

    Raises:
        DataError: A column is missing, a split has no rows, or none that can be used. Without `findings`, also: a text
            is missing or empty, so is a label where rows have one each, a cell is neither text nor a number, or a
            weight is no positive number.
    """
    found = Findings(drop=spec.drop_bad_rows) if findings is None else findings
    kept: dict[str, TableFindings] = {}
    notices = list(tables.notices)
    for split, table in tables.splits.items():
        if not len(table):
            raise DataError(f"{table.source} must have rows; it is empty.")
        without = None if split == "train" else why_without_labels(table, spec, tables.name, edition=edition)
        if without is not None:
            notices.append(without)
            continue
        check_columns(_asked_of(spec, split, table), table.names, table.source)
        kept[split] = found.of(split, table)
        kept[split].broken_rows(spec.text[0])
    labels = read_table_labels(kept, spec, edition=edition)
    times = {} if spec.order is None else read_times(kept, spec.order)
    rows = {}
    for split, of_table in kept.items():
        read = _make_rows(of_table, labels.by_split[split], _asked_of(spec, split, of_table.table))
        good = of_table.good_rows()
        if not good:
            found.raise_errors()
            raise DataError(f"{of_table.table.source} must have rows that can be used; all {len(read)} are left out.")
        rows[split] = replace(read, times=times.get(split, ())).take(good)
        dropped = found.dropped(split, len(read) + len(of_table.table.broken))
        if dropped is not None:
            notices.append(dropped)
    if findings is None:
        found.raise_errors()
    notices += _complete_weights(rows, spec, tables.name)
    return RawData(tables.name, rows, tuple(notices), found, labels.form)


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
                f"{_repeated(option, column, found) or did_you_mean(column, found)}"
            )
        if found.count(column) > 1:
            raise DataError(
                f"A column must stand once in {source}; {column!r} stands there {found.count(column)} times."
            )


def _repeated(option: str, column: str, found: Sequence[str]) -> str:
    """Return how an option is repeated, where its value names several columns at once; empty else."""
    names = [name.strip() for name in column.split(",")]
    if len(names) < 2 or not all(name in found for name in names):
        return ""
    return f" For several columns write {' '.join(f'{option} {name}' for name in names)}."


def _read_texts(found: TableFindings, text: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    columns = []
    for name in text:
        column = read_cells(name, found.table.cells[name], found)
        check_filled(name, column, found, EMPTY_TEXT)
        columns.append(column)
    return tuple(zip(*columns, strict=True))


def _make_rows(found: TableFindings, labels: Sequence[str], spec: TaskSpec) -> Rows:
    """Make the rows of a table, those that cannot be used included."""
    cells = found.table.cells
    weights = [] if spec.weight is None else read_weights(spec.weight, cells[spec.weight], found)
    return Rows(
        texts=_read_texts(found, spec.text),
        labels=tuple(labels),
        locations=found.table.locations,
        groups=_read_further(spec.group, found),
        weights=tuple(weights),
    )


def _asked_of(spec: TaskSpec, split: str, table: Table) -> TaskSpec:
    """Return which columns a split must have: weights are needed where rows are trained on."""
    if split == "train" or spec.weight in table.names:
        return spec
    return spec.model_copy(update={"weight": None})


def _complete_weights(rows: dict[str, Rows], spec: TaskSpec, name: str) -> list[Notice]:
    """Say how training rows are weighed, and give rows of splits without that column the weight of a usual one."""
    if spec.weight is None:
        return []
    weights = rows["train"].weights
    usual = sum(weights) / len(weights)
    without = [split for split, own in rows.items() if not own.weights]
    for split in without:
        # With folds they may be trained on together with those that have weights.
        rows[split] = replace(rows[split], weights=(usual,) * len(rows[split]))
    values: dict[str, NoticeValue] = {"data": name, "column": spec.weight}
    measured = {"low": min(weights), "high": max(weights), "mean": usual}
    notices = [Notice(code="weights_read", severity="fact", values={**values, **measured})]
    notices += [Notice(code="weights_absent", values={**values, "split": split}) for split in without]
    return notices


def _read_further(name: str | None, found: TableFindings) -> tuple[str, ...]:
    """Read a column that says more of each row."""
    if name is None:
        return ()
    column = read_cells(name, found.table.cells[name], found)
    check_filled(name, column, found, EMPTY_CELL)
    return tuple(map(_group_of, column))


def _group_of(cell: str) -> str:
    """Return a group in one way of writing: a whole number in a column with gaps is often stored with a fraction."""
    number = _INTEGER_WITH_ZEROS.fullmatch(cell.strip())
    return number[1] if number else cell.strip()


def _plain(text: str) -> str:
    return " ".join(text.split())

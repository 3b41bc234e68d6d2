"""Rows as tests want them: read from a source, or made of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from unipelt_search.records.notice import without_facts
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.read import read_tables
from unipelt_search.tasks.rows import RawData, Rows, read_rows
from unipelt_search.tasks.table import Location, Table, Tables


def read_data(spec: TaskSpec) -> RawData:
    """Read what a spec names; how many rows there were is left out of the notices."""
    raw = read_rows(read_tables(spec), spec)
    return replace(raw, notices=without_facts(raw.notices))


def rows_of(table: Table, spec: TaskSpec) -> Rows:
    """Make rows of one table."""
    return read_rows(Tables("mine", {"train": table}), spec).splits["train"]


def table_of(columns: Mapping[str, Sequence[object]], source: str = "x") -> Table:
    """Make a table of columns."""
    rows = len(next(iter(columns.values())))
    locations = tuple(Location(source, number, "row") for number in range(1, rows + 1))
    return Table(source, tuple(columns), columns, locations)

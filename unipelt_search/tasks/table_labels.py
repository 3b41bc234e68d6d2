"""The labels of all splits of a dataset: read together, in one form; what cannot be read is among the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from unipelt_search.kinds.label_kind import LabelKind, label_kinds
from unipelt_search.kinds.number_notation import read_numbers
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.cells import check_filled
from unipelt_search.tasks.findings import BAD_LABEL, BAD_UNICODE, MISSING_LABEL, UNREADABLE, Problem, TableFindings
from unipelt_search.tasks.first_label_rule import are_marked_withheld, read_by_first_rule
from unipelt_search.tasks.label_cells import are_blank, are_withheld, plain_cell
from unipelt_search.tasks.label_column import BROKEN, LabelRequest, OddLabel
from unipelt_search.tasks.label_forms import read_label_column
from unipelt_search.tasks.table import Table

FORMS_SINCE = 3
"""The edition from which on labels are read in any of their forms."""


@dataclass(frozen=True)
class LabelForm:
    """What a label is, as its form tells."""

    kind: LabelKind
    notices: tuple[Notice, ...]
    """How labels were read."""


@dataclass(frozen=True)
class TableLabels:
    """The labels of every split."""

    by_split: Mapping[str, Sequence[str]]
    """``(n,)`` each, as the kind writes them; empty where a row has none or cannot be used."""
    form: LabelForm | None
    """What was found; None where the labels are still to decide, as in studies of the first editions."""


def read_table_labels(tables: Mapping[str, TableFindings], spec: TaskSpec, *, edition: int) -> TableLabels:
    """Read the labels of all splits; they decide together what a label is.

    Args:
        tables: The tables of the splits that have labels.
        spec: Which columns, and what the user says of them.
        edition: That of the study, whose rule for labels holds.

    Returns:
        The labels. Rows without one, where they need one, and odd cells are among the findings.

    Raises:
        DataError: The labels have no form, several, or not the one that the user asks for.
    """
    if edition < FORMS_SINCE:
        return TableLabels(read_by_first_rule(tables, spec), None)
    cells: dict[str, list[object]] = {}
    for name in spec.label:
        cells[name] = list(chain.from_iterable(found.table.cells[name] for found in tables.values()))
    column = read_label_column(cells, _request_of(spec, tables))
    missing = _missing_label(column.labels)
    by_split = {}
    begin = 0
    for split, found in tables.items():
        end = begin + len(found.table)
        for row in range(begin, end):
            odd = column.odd.get(row)
            if odd is not None:
                found.bad_row(row - begin, odd.column, _problem_of(odd), odd.text or None)
        labels = [label or "" for label in column.labels[begin:end]]
        if column.kind.separator is None:
            check_filled(" and ".join(spec.label), labels, found, missing)
        by_split[split] = labels
        begin = end
    return TableLabels(by_split, LabelForm(column.kind, (column.declared, *column.notices)))


def why_without_labels(table: Table, spec: TaskSpec, name: str, *, edition: int) -> Notice | None:
    """Say why a validation or test split has no labels.

    Args:
        table: The split.
        spec: Which columns.
        name: The dataset's name.
        edition: That of the study.

    Returns:
        The notice; None if it has labels, or its columns are not those that the user named.
    """
    values: dict[str, NoticeValue] = {"data": name, "source": table.source}
    found = [label for label in spec.label if label in table.names]
    column = " and ".join(spec.label)
    if edition >= FORMS_SINCE and not found and not _differs_in_form(spec.label, table.names):
        return Notice(code="labels_absent", values={**values, "column": column, "empty": False})
    if len(found) < len(spec.label):
        return None
    cells = [table.cells[label] for label in spec.label]
    if edition >= FORMS_SINCE and all(map(are_blank, cells)):
        return Notice(code="labels_absent", values={**values, "column": column, "empty": True})
    withheld = all(map(are_withheld if edition >= FORMS_SINCE else are_marked_withheld, cells))
    return Notice(code="labels_withheld", values=values) if withheld else None


def _differs_in_form(wanted: Sequence[str], names: Sequence[str]) -> bool:
    """Tell whether a wanted column is there under a name that differs in case or blanks alone."""
    plain = {name.strip().casefold() for name in names}
    return any(name.strip().casefold() in plain for name in wanted)


def _problem_of(odd: OddLabel) -> Problem:
    if odd.expected == BROKEN:
        return BAD_UNICODE
    rule = f"Every label must be {odd.expected}"
    if odd.type_name:
        return replace(UNREADABLE, rule=rule, what=f"has {odd.type_name}")
    return replace(BAD_LABEL, rule=rule)


def _request_of(spec: TaskSpec, tables: Mapping[str, TableFindings]) -> LabelRequest:
    text = spec.text[0]
    texts = chain.from_iterable(found.table.cells.get(text, ()) for found in tables.values())
    different = set(map(plain_cell, texts))
    return LabelRequest(
        columns=spec.label,
        kind=spec.kind,
        label_names=spec.label_names,
        separator=spec.separator,
        text=text,
        different_texts=len(different),
        location_of=partial(_location_of, [found.table for found in tables.values()]),
    )


def _location_of(tables: Sequence[Table], row: int) -> str:
    """Return where a row stands, by its number over all tables."""
    for table in tables:
        if row < len(table):
            return str(table.locations[row])
        row -= len(table)
    raise IndexError(f"there must be a row of that number; got {row} too many")


def _missing_label(labels: Sequence[str | None]) -> Problem:
    """Say what to do about a missing label; among numbers a blank cell is no empty set of labels."""
    if read_numbers([label for label in labels if label]).share == 1:
        return MISSING_LABEL
    names = [kind.name for kind in label_kinds().values() if kind.separator is not None]
    hint = f" (where rows may have no label or several, write --kind {' or '.join(names)})"
    return replace(MISSING_LABEL, fix=f"{MISSING_LABEL.fix}{hint}")

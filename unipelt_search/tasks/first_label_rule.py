"""How studies of the first two editions read labels; those that go on read them so for good.

A list becomes its names with the kind's separator between them, and nothing else is looked for: numbers have a decimal
point, sets have the one separator of their kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from unipelt_search.kinds.label_kind import AUTO, LabelKind, find_kind, label_kinds, recognise
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.cells import check_filled, read_cells, text_of
from unipelt_search.tasks.findings import MISSING_LABEL, TableFindings


def read_by_first_rule(tables: Mapping[str, TableFindings], spec: TaskSpec) -> dict[str, list[str]]:
    """Read the labels of all splits; they decide together whether a row may have none.

    Args:
        tables: The tables of the splits that have labels.
        spec: Which column, and the user's word for the kind.

    Returns:
        ``(n,)`` for each split; empty where a row has no label or its cell cannot be read, as findings have.
    """
    (name,) = spec.label
    labels: dict[str, list[str]] = {}
    for split, found in tables.items():
        values = found.table.cells[name]
        for kind in _kinds_of_sets(spec):
            values = [_joined(value, kind) for value in values]
        labels[split] = read_cells(name, values, found)
    if not _may_be_empty(spec, [label for column in labels.values() for label in column]):
        for split, found in tables.items():
            check_filled(name, labels[split], found, MISSING_LABEL)
    return labels


def are_marked_withheld(labels: Iterable[object]) -> bool:
    """Tell whether labels are what benchmarks publish instead: -1, or nothing, in every row."""
    return all(label in (-1, None, "-1", "-1.0") for label in labels)


def _kinds_of_sets(spec: TaskSpec) -> list[LabelKind]:
    """Return the kinds that a task may have and that allow any number of labels in a row."""
    kinds = label_kinds().values() if spec.kind == AUTO else (find_kind(spec.kind),)
    return [kind for kind in kinds if kind.separator is not None]


def _may_be_empty(spec: TaskSpec, labels: list[str]) -> bool:
    """Tell whether a row may have no label at all."""
    kind = recognise(labels) if spec.kind == AUTO else find_kind(spec.kind)
    return kind.separator is not None


def _joined(value: object, kind: LabelKind) -> object:
    """Write a list of labels as a cell that holds several; leave anything else as it is."""
    if not isinstance(value, list) or kind.separator is None:
        return value
    names = []
    for part in value:
        text = text_of(part)
        # A name that holds the separator would be read as two: such a list is refused as what it is.
        if text is None or not text.strip() or kind.separator in text:
            return value
        names.append(text)
    return kind.separator.join(names)

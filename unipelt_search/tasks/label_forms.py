"""What the label columns of a dataset hold: one form, found over all splits together and then declared.

The forms are names, numbers and sets of names. A form is found once and read everywhere, so that a test file without a
row of two labels is read as its training file is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unipelt_search.errors import DataError
from unipelt_search.tasks.label_cells import bit_of
from unipelt_search.tasks.label_column import ColumnReading, LabelColumn, LabelRequest, OddLabel, abbreviated
from unipelt_search.tasks.list_labels import lists_of, read_bits, read_lists
from unipelt_search.tasks.single_labels import read_single_labels


def read_label_column(cells: Mapping[str, Sequence[object]], asked: LabelRequest) -> LabelColumn:
    """Find the form of the labels and read them.

    Args:
        cells: ``(n,)`` for each label column, the rows of all splits one after another.
        asked: What the user says.

    Returns:
        The labels. Cells that do not fit the form that nearly all others have are odd.

    Raises:
        DataError: No form fits, several do, or the form is not the one that the user asks for.
    """
    if len(asked.columns) > 1:
        return _read_bit_columns(cells, asked)
    (name,) = asked.columns
    column = ColumnReading(name, asked)
    plain = column.plain(cells[name])
    lists = lists_of(column, plain)
    if lists is not None:
        return read_lists(column, lists)
    if asked.label_names:
        raise DataError(f"task.label_names needs 0/1 vectors; column {name!r} holds none. Leave it out.")
    return read_single_labels(column, [cell if isinstance(cell, str) else None for cell in plain])


def _read_bit_columns(cells: Mapping[str, Sequence[object]], asked: LabelRequest) -> LabelColumn:
    """Read one 0/1 column per label."""
    if asked.separator is not None or asked.label_names:
        raise DataError(
            f"--separator and task.label_names need one --label column; got {len(asked.columns)}, whose names are "
            "the labels. Leave them out."
        )
    odd: dict[int, OddLabel] = {}
    bits: list[list[bool | None]] = []
    for name in asked.columns:
        column = ColumnReading(name, asked)
        read = [bit_of(cell if isinstance(cell, str) else None) for cell in column.plain(cells[name])]
        for row, (bit, cell) in enumerate(zip(read, cells[name], strict=True)):
            if bit is None:
                odd.setdefault(row, OddLabel(name, abbreviated(cell), "0 or 1, yes or no, or true or false"))
        bits.append(read)
    if 2 * len(odd) > len(bits[0]):
        row, first = next(iter(odd.items()))
        raise DataError(
            "With several --label columns each must hold 0 and 1, one column for each label; column "
            f"{first.column!r} holds {first.text!r} at {asked.location_of(row)}. Name one --label column."
        )
    rows = [None if number in odd else row for number, row in enumerate(zip(*bits, strict=True))]
    column = ColumnReading(" + ".join(asked.columns), asked)
    column.odd.update(odd)
    column.form = "columns"
    return read_bits(column, rows, asked.columns)

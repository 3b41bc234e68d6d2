"""Data that is in memory already: tables of pandas, Arrow and `datasets`, lists of rows, and lists of cells."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.data_folder import split_of
from unipelt_search.tasks.nested_keys import row_table
from unipelt_search.tasks.plain_values import plain_value
from unipelt_search.tasks.read import name_splits, with_counts
from unipelt_search.tasks.table import Table, Tables

Frames = Any
"""One table, from which validation and test rows are split off, or a mapping with a table for each of train, validation
and test. A table is a pandas DataFrame, an Arrow table or what can be made one (polars), a `Dataset` or an
`IterableDataset` of `datasets`, a list of rows (``[{"text": …, "label": …}]``) or a mapping of columns
(``{"text": […], "label": […]}``); a `DatasetDict` is a mapping with a table for each split."""
KINDS = "a pandas DataFrame, an Arrow table, a dataset of `datasets`, a list of dicts or a dict of lists"


def read_frames(frames: Frames, spec: TaskSpec) -> Tables:
    """Read tables.

    Args:
        frames: The tables; they are left as they are.
        spec: Which columns are read, and the data's name.

    Returns:
        The tables.

    Raises:
        DataError: There is no train table, or something is no table.
    """
    if not _maps_splits(frames, spec):
        return with_counts(Tables(spec.data, {"train": _read_frame(frames, spec, spec.data)}))
    tables = {}
    for split, frame in frames.items():
        # A split that nobody asks for need not be readable.
        if split_of(str(split)) is None:
            tables[str(split)] = Table(f"split {split} of {spec.data}", (), {}, ())
        else:
            tables[str(split)] = _read_frame(frame, spec, f"split {split} of {spec.data}")
    return with_counts(name_splits(spec.data, tables, {}))


def _maps_splits(frames: Frames, spec: TaskSpec) -> bool:
    """Tell whether a value has a table for each split, and is not a table itself."""
    if not isinstance(frames, Mapping) or any(name in frames or _head(name) in frames for name in spec.columns):
        return False
    return any(split_of(str(name)) for name in frames) or not all(map(_is_column, frames.values()))


def _is_column(value: object) -> bool:
    """Tell whether a value is a list of cells, and no list of rows."""
    if isinstance(value, list | tuple):
        return not any(isinstance(cell, Mapping) for cell in value)
    return isinstance(value, np.ndarray | pd.Series)


def _head(name: str) -> str:
    return name.partition(".")[0]


def _read_frame(frame: object, spec: TaskSpec, source: str) -> Table:
    wanted = spec.columns
    if isinstance(frame, pd.DataFrame):
        return _read_pandas(frame, wanted, source)
    if _is_of_datasets(frame):
        from unipelt_search.tasks.hub_data import dataset_table

        return dataset_table(frame, source, wanted)
    # A single column has that too, but no names.
    if hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, pd.Series):
        import pyarrow as pa

        from unipelt_search.tasks.arrow_data import arrow_table

        return arrow_table(pa.table(frame), source, wanted)
    if isinstance(frame, Mapping):
        return _read_columns(frame, wanted, source)
    if isinstance(frame, list | tuple) and all(isinstance(row, Mapping) for row in frame):
        table = row_table(frame, source, wanted)
        cells = {name: list(map(plain_cell, column)) for name, column in table.cells.items()}
        return Table(source, table.names, cells, table.locations)
    hint = " A file is named by task.data." if isinstance(frame, str) else ""
    raise DataError(f"{source} must be {KINDS}; got {_described(frame)}.{hint}")


def _described(frame: object) -> str:
    if isinstance(frame, list | tuple) and frame:
        odd = next((row for row in frame if not isinstance(row, Mapping)), None)
        return f"a {type(frame).__name__} with {type(odd).__name__} in it"
    return type(frame).__name__


def _is_of_datasets(frame: object) -> bool:
    # Who has such an object has imported the library, which takes seconds.
    library = sys.modules.get("datasets")
    return library is not None and isinstance(frame, library.Dataset | library.IterableDataset)


def _read_pandas(frame: pd.DataFrame, wanted: Sequence[str], source: str) -> Table:
    names = [str(name) for name in frame.columns]
    columns = {}
    for name in dict.fromkeys((*wanted, *map(_head, wanted))):
        if name in names:
            columns[name] = _plain_cells(frame.iloc[:, names.index(name)])
    return _table_of(columns, names, len(frame), wanted, source)


def _plain_cells(series: pd.Series[Any]) -> list[Any]:
    return [plain_cell(cell) for cell in series.astype(object).tolist()]


def _read_columns(frame: Mapping[Any, Any], wanted: Sequence[str], source: str) -> Table:
    columns = {}
    for name in dict.fromkeys((*wanted, *map(_head, wanted))):
        if name in frame:
            columns[name] = [plain_cell(cell) for cell in _column(frame[name], name, source)]
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise DataError(f"All columns of {source} must have as many cells; {said}.")
    # Where none is wanted, any tells how many rows there are.
    rows = next(iter(lengths.values()), len(next(iter(frame.values()), ())))
    return _table_of(columns, [str(name) for name in frame], rows, wanted, source)


def _column(column: object, name: str, source: str) -> list[Any]:
    if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__iter__"):
        raise DataError(f"Every column of {source} must be a list of cells; {name!r} is {type(column).__name__}.")
    return list(column)


def _table_of(
    columns: Mapping[str, list[Any]], names: list[str], rows: int, wanted: Sequence[str], source: str
) -> Table:
    """Make a table of columns, with those inside of objects that are wanted."""
    nested = [name for name in wanted if name not in columns]
    found: list[Mapping[str, Any]] = [{}] * rows
    if nested and columns:
        found = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    inner = row_table(found, source, nested)
    cells: dict[str, Sequence[object]] = {name: columns[name] for name in wanted if name in columns}
    cells |= inner.cells
    further = [name for name in inner.cells if name not in names]
    return Table(source, (*names, *further), cells, inner.locations)


def plain_cell(cell: Any) -> Any:
    """Return a cell as Python has it: numbers of NumPy as numbers, arrays and tuples as lists, None where missing."""
    if isinstance(cell, np.ndarray):
        return [plain_cell(part) for part in cell.tolist()]
    if isinstance(cell, list | tuple):
        return [plain_cell(part) for part in cell]
    if isinstance(cell, np.datetime64):
        cell = pd.Timestamp(cell)
    if isinstance(cell, np.generic):
        cell = cell.item()
    return None if _is_missing(cell) else plain_value(cell)


def _is_missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and cell != cell)

"""Data that is in memory already: pandas tables, checked as files are."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.read import name_splits
from unipelt_search.tasks.table import Location, Table, Tables

Frames = pd.DataFrame | Mapping[str, pd.DataFrame]
"""One table, from which validation and test rows are split off, or a table for each of train, validation and test."""


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
    if isinstance(frames, pd.DataFrame):
        return Tables(spec.data, {"train": _read_frame(frames, spec, spec.data)})
    tables = {}
    for split, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            raise DataError(f"frames must map splits to pandas DataFrames; got {type(frame).__name__} for {split!r}.")
        tables[split] = _read_frame(frame, spec, f"split {split} of {spec.data}")
    return name_splits(spec.data, tables, {})


def _read_frame(frame: pd.DataFrame, spec: TaskSpec, source: str) -> Table:
    names = tuple(str(name) for name in frame.columns)
    columns = {}
    for name in spec.columns:
        if name in names:
            cells = frame.iloc[:, names.index(name)].astype(object)
            columns[name] = cells.where(cells.notna(), None).tolist()
    locations = tuple(Location(source, number, "row") for number in range(1, len(frame) + 1))
    return Table(source, names, columns, locations)

"""Reading what ``--data`` names: a folder, a file, several files, a ZIP archive, or a hub dataset."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.records.notice import Notice, first_values
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.byte_source import COMPRESSED, FORMS, MAX_BYTES, ZIP, DataFile, open_bytes, open_seekable
from unipelt_search.tasks.content import check_content, refuse_special
from unipelt_search.tasks.data_folder import (
    PART,
    Folder,
    Layout,
    find_given,
    find_layout,
    folder_in_zip,
    folder_on_disk,
    is_data,
    split_of,
)
from unipelt_search.tasks.json_files import json_tables
from unipelt_search.tasks.rows import format_list
from unipelt_search.tasks.table import Table, Tables, joined_table
from unipelt_search.tasks.text_files import csv_tables
from unipelt_search.tasks.text_lines import text_lines

MAX_ROWS = 5_000_000
"""Rows of a file that are read into memory at most."""
MAX_LINES = 20_000_000
"""Lines of such a file; a row of CSV may take several."""


class _TextReader(Protocol):
    """Reads the lines of a file in pieces."""

    def __call__(
        self,
        open_lines: Callable[[], Iterable[str]],
        name: str,
        wanted: Sequence[str] | None,
        rows: int,
        *,
        strict: bool,
    ) -> Iterator[Table]: ...


_TEXT_READERS: dict[str, _TextReader] = {
    ".csv": csv_tables,
    ".tsv": csv_tables,
    ".jsonl": json_tables,
    ".ndjson": json_tables,
    ".json": json_tables,
}
HUB_NAME = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(:(?P<configuration>[\w.-]+))?", re.ASCII)
_PATTERN = "*?["


def read_tables(spec: TaskSpec) -> Tables:
    """Read a dataset.

    Args:
        spec: Where it is, and which columns are read.

    Returns:
        Its splits; `train` is always among them.

    Raises:
        DataError: It cannot be found or read.
    """
    return with_counts(_read(spec))


def stream_tables(path: Path, wanted: Sequence[str] | None, rows: int) -> Iterator[Table]:
    """Read one file piece by piece, CSV, JSON lines and Parquet at constant memory.

    Args:
        path: A file of a kind that can be trained on, or a ZIP archive of one.
        wanted: The columns that are read, as far as they are there; None is all.
        rows: Rows of a piece at most.

    Yields:
        The pieces, in the file's order; at least one.

    Raises:
        DataError: It cannot be found or read.
    """
    if not path.is_file():
        raise DataError(f"--data must be a file; {str(path)!r} is none. {_near(path)}")
    file = _only_file(path)
    _check_form(file)
    return _file_tables(file, wanted, rows, None)


def name_splits(name: str, tables: Mapping[str, Table], left_out: Mapping[str, Notice]) -> Tables:
    """Give splits the names that we have for them.

    Args:
        name: What to call the dataset.
        tables: The splits by their own names.
        left_out: What is left out, a split or rows of one, with the notice that says so.

    Returns:
        The dataset, with a notice for every split that is not used.

    Raises:
        DataError: No split is `train`.
    """
    left_out = dict(left_out)
    splits: dict[str, Table] = {}
    for own_name, found in tables.items():
        split = split_of(own_name)
        if split is None or split in splits:
            values = {"data": name, "split": own_name}
            left_out[own_name] = (
                Notice(code="split_name_unknown", values=values)
                if split is None
                else Notice(code="split_twice", values={**values, "kept": split})
            )
        else:
            splits[split] = found
    if "train" not in splits:
        raise DataError(
            f"A dataset must have a split `train` with labels; {name} has: {format_list([*tables, *left_out])}."
        )
    return Tables(name, splits, tuple(left_out.values()))


def with_counts(tables: Tables) -> Tables:
    """Add what is to be said of how each table was read.

    Args:
        tables: What was read.

    Returns:
        The same with a notice for each split: its rows, and what the other lines of a text file are.
    """
    notices = list(tables.notices)
    for table in tables.splits.values():
        values: dict[str, int | str | None] = {"source": table.source, "rows": len(table), "lines": table.lines}
        for what in ("header", "comments", "blank", "continued"):
            values[what] = table.other_lines.get(what, 0)
        values["broken"] = len(table.broken)
        notices.append(Notice(code="rows_read", severity="fact", values=values))
        notices += table.notices
    return Tables(tables.name, tables.splits, tuple(notices))


def _read(spec: TaskSpec) -> Tables:
    if "\n" in spec.data:
        return _read_given([Path(line).expanduser() for line in spec.data.splitlines()], spec)
    path = Path(spec.data).expanduser()
    if path.is_dir():
        return _read_folder(path, spec)
    if os.path.lexists(path):
        refuse_special(path)
        if path.suffix.lower() == ZIP:
            return _read_zip(path, spec)
        file = DataFile(path)
        _check_form(file)
        return Tables(file.stem, {"train": _read_file(file, spec)})
    if any(sign in spec.data for sign in _PATTERN):
        return _read_pattern(path, spec)
    if _looks_like_a_path(path, spec.data):
        raise DataError(f"--data must be a file, a folder or a hub dataset; {spec.data!r} is not there. {_near(path)}")
    return _read_hub(spec)


def _read_hub(spec: TaskSpec) -> Tables:
    match = HUB_NAME.fullmatch(spec.data)
    if match is None:
        raise DataError(f"--data must be a file, a folder, or a hub dataset such as owner/name; got {spec.data!r}.")
    # The library takes seconds to import, and only this needs it.
    from unipelt_search.tasks.hub_data import read_hub

    tables = read_hub(match["name"], match["configuration"], spec)
    return name_splits(spec.data, *_without_empty(spec.data, tables, spec))


def _read_folder(folder: Path, spec: TaskSpec) -> Tables:
    name = folder.resolve().name
    # First, because such a folder has folders named as splits, and files in JSON that are no rows.
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        from unipelt_search.tasks.hub_data import read_saved

        return name_splits(name, *_without_empty(name, read_saved(folder, spec), spec))
    layout = find_layout(folder_on_disk(folder))
    if layout is not None:
        return _with_declared_names(folder, layout, _read_layout(name, layout, spec))
    raise DataError(
        f"A folder must have a train file (train with one of {', '.join(FORMS)}); {folder} has none. "
        f"{_near(folder)} To use a single file, give its path."
    )


def _read_zip(path: Path, spec: TaskSpec) -> Tables:
    check_content(path)
    folder = folder_in_zip(path)
    layout = find_layout(folder)
    if layout is not None:
        return _read_layout(path.stem, layout, spec)
    return Tables(path.stem, {"train": _read_file(_only_file(path), spec)})


def _read_pattern(pattern: Path, spec: TaskSpec) -> Tables:
    paths = [Path(name) for name in sorted(glob.glob(str(pattern), recursive=True))]
    paths = [path for path in paths if is_data(path)]
    if not paths:
        raise DataError(
            f"--data must name files whose names end in one of {', '.join(FORMS)}; none fits {spec.data!r}. "
            f"{_near(pattern.parent)}"
        )
    return _read_given(paths, spec)


def _read_given(paths: Sequence[Path], spec: TaskSpec) -> Tables:
    """Read several files that were named one by one, or by a pattern."""
    for path in paths:
        if not os.path.lexists(path):
            raise DataError(f"Every file of --data must be there; {str(path)!r} is not. {_near(path)}")
        _check_form(DataFile(path))
    files = tuple(map(DataFile, paths))
    name = paths[0].parent.resolve().name
    layout = find_given(Folder(name, files))
    if layout is None:
        raise DataError(
            "Several files must be parts of one split, or be called as splits are, one of them train; got "
            f"{format_list(file.name for file in files)}. Rename them, as in train.csv and test.csv."
        )
    return _read_layout(name, layout, spec)


def _read_layout(name: str, layout: Layout, spec: TaskSpec) -> Tables:
    tables = {split: _read_parts(files, split, spec) for split, files in layout.files.items()}
    left_out: dict[str, Notice] = {}
    copied = [split for split, files in layout.files.items() if _is_copied(files)]
    if copied:
        # As in a dataset of the hub itself.
        cleaned, left_out = _without_empty(name, {split: tables[split] for split in copied}, spec)
        tables |= cleaned
    return Tables(name, tables, (*layout.notices, *left_out.values()))


def _with_declared_names(folder: Path, layout: Layout, tables: Tables) -> Tables:
    """Put the names of classes that only the card of a dataset says instead of their numbers."""
    card = folder / "README.md"
    copied = [split for split, files in layout.files.items() if _is_copied(files)]
    if not copied or not card.is_file() or b"class_label" not in card.read_bytes():
        return tables
    from unipelt_search.tasks.hub_data import declared_names

    return replace(tables, splits={**tables.splits, **declared_names(folder, {s: tables.splits[s] for s in copied})})


def _is_copied(files: Sequence[DataFile]) -> bool:
    """Tell whether files are Parquet parts as the hub keeps them."""
    return all(file.form == ".parquet" and PART.fullmatch(file.stem) for file in files)


def _read_parts(files: Sequence[DataFile], split: str, spec: TaskSpec) -> Table:
    parts = [_read_file(file, spec) for file in files]
    for part in parts[1:]:
        missing = [name for name in parts[0].cells if name not in part.names]
        if missing:
            raise DataError(
                f"All parts of a split must have the same columns; {part.source} lacks {missing[0]!r}, which "
                f"{parts[0].source} has."
            )
    source = files[0].name if len(files) == 1 else f"{split} ({len(files)} files)"
    return joined_table(parts, source)


def _only_file(path: Path) -> DataFile:
    """Return the file at a path, or the one in the ZIP archive there."""
    if path.suffix.lower() != ZIP:
        return DataFile(path)
    check_content(path)
    files = _files_in(folder_in_zip(path))
    if len(files) != 1:
        found = format_list(file.member for file in files) or "no data file"
        raise DataError(
            f"A ZIP archive must hold one data file, or a train file among several; {path.name} has: {found}."
        )
    return files[0]


def _files_in(folder: Folder) -> list[DataFile]:
    files = list(folder.files)
    for open_inner in folder.inner.values():
        files += _files_in(open_inner())
    return files


def _check_form(file: DataFile) -> None:
    if file.form in FORMS:
        return
    ending = f" Before {file.compression} its name must say what it holds, as in train.csv{file.compression}."
    raise DataError(
        f"A data file's name must end in one of {', '.join(FORMS)}; got {file.path.name!r}."
        f"{ending if file.compression else ''}"
    )


def _read_file(file: DataFile, spec: TaskSpec) -> Table:
    pieces = _file_tables(file, spec.columns, None, MAX_BYTES)
    table = next(pieces)
    if next(pieces, None) is not None or len(table) > MAX_ROWS:
        raise DataError(f"A file may have {MAX_ROWS:,} rows; {file.name} has more. Take a part of its rows.")
    # Then it is not the rows that are wrong, but how the file is taken.
    if len(table.broken) > len(table):
        raise DataError(table.broken[0].sentence)
    return table


def _file_tables(file: DataFile, wanted: Sequence[str] | None, rows: int | None, most: int | None) -> Iterator[Table]:
    """Read a file in pieces, or in one where the number of rows is None."""
    if file.form == ".parquet":
        # pyarrow takes long to import, and text needs none of it.
        from unipelt_search.tasks.arrow_data import parquet_tables

        with open_seekable(file) as stream:
            yield from parquet_tables(stream, file.name, wanted, rows)
        return
    reader = _TEXT_READERS[file.form]
    lines = partial(_lines, file, most)
    if rows is None:
        yield from reader(lines, file.name, wanted, MAX_ROWS, strict=False)
    else:
        # Who reads in pieces cannot tell all that is wrong at the end.
        yield from reader(lines, file.name, wanted, rows, strict=True)


def _lines(file: DataFile, most: int | None) -> Iterator[str]:
    with open_bytes(file, most) as stream:
        lines = text_lines(stream, file.name)
        if most is None:
            yield from lines
            return
        yield from islice(lines, MAX_LINES)
        if next(lines, None) is not None:
            raise DataError(f"A file may have {MAX_LINES:,} lines; {file.name} has more. Take a part of its rows.")


def _without_empty(
    name: str, tables: Mapping[str, Table], spec: TaskSpec
) -> tuple[dict[str, Table], dict[str, Notice]]:
    """Leave out rows of the hub without a text; in a file of the user's such a row is an error to correct."""
    kept: dict[str, Table] = {}
    left_out: dict[str, Notice] = {}
    for split, table in tables.items():
        columns = [table.cells[column] for column in spec.text if column in table.cells]
        filled = [number for number, texts in enumerate(zip(*columns, strict=True)) if all(map(_is_filled, texts))]
        kept[split] = table
        if columns and len(filled) < len(table):
            empty = sorted(set(range(len(table))) - set(filled))
            # Nobody can correct them there, and QQP has two of them.
            values = {"data": name, "split": split, **first_values("rows", [number + 1 for number in empty])}
            left_out[f"{split}, row {format_list(number + 1 for number in empty)}"] = Notice(
                code="empty_texts", values=values
            )
            kept[split] = table.take(filled)
    return kept, left_out


def _is_filled(text: object) -> bool:
    return text is not None and bool(str(text).strip())


def _looks_like_a_path(path: Path, data: str) -> bool:
    in_known_folder = path.parent != Path() and path.parent.is_dir()
    endings = (*FORMS, *COMPRESSED, ZIP)
    return path.suffix.lower() in endings or in_known_folder or not HUB_NAME.fullmatch(data)


def _near(path: Path) -> str:
    """Say what is in the nearest folder that exists."""
    folder = next((parent for parent in (path, *path.parents) if parent.is_dir()), Path())
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    return (
        f"{folder.resolve()} has: {format_list(names)}.{did_you_mean(path.name, names)}"
        if names
        else f"{folder} is empty."
    )

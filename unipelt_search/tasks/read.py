"""Reading what ``--data`` names: a folder, one file, or a hub dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.records.notice import Notice, first_values
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.arrow_data import HUB_NAME, is_hub_folder, read_hub, read_hub_folder, read_parquet
from unipelt_search.tasks.content import check_content, refuse_special
from unipelt_search.tasks.rows import format_list
from unipelt_search.tasks.table import Table, Tables
from unipelt_search.tasks.text_files import read_csv, read_json_lines

READERS: dict[str, Callable[[Path, Sequence[str] | None], Table]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_json_lines,
    ".json": read_json_lines,
    ".parquet": read_parquet,
}
SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "dev": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


def read_tables(spec: TaskSpec) -> Tables:
    """Read a dataset.

    Args:
        spec: Where it is, and which columns are read.

    Returns:
        Its splits; `train` is always among them.

    Raises:
        DataError: It cannot be found or read.
    """
    path = Path(spec.data).expanduser()
    if path.is_dir():
        return _read_folder(path, spec)
    if os.path.lexists(path):
        refuse_special(path)
        return Tables(path.stem, {"train": _read_file(path, spec.columns)})
    if _looks_like_a_path(path, spec.data):
        raise DataError(f"--data must be a file, a folder or a hub dataset; {spec.data!r} is not there. {_near(path)}")
    return name_splits(spec.data, *read_hub(spec.data, spec))


def stream_tables(path: Path, wanted: Sequence[str] | None, rows: int) -> Iterator[Table]:
    """Read one file piece by piece.

    Args:
        path: A file of a kind that can be trained on.
        wanted: The columns that are read, as far as they are there; None is all.
        rows: Rows of a piece at most.

    Yields:
        The pieces, in the file's order.

    Raises:
        DataError: It cannot be found or read.
    """
    if not path.is_file():
        raise DataError(f"--data must be a file; {str(path)!r} is none. {_near(path)}")
    table = _read_file(path, wanted)
    for begin in range(0, max(len(table), 1), rows):
        yield table.take(range(begin, min(begin + rows, len(table))))


def _read_folder(folder: Path, spec: TaskSpec) -> Tables:
    files, others = _files_by_split(folder)
    if "train" not in files and is_hub_folder(folder):
        return name_splits(folder.resolve().name, *read_hub_folder(folder, spec))
    _check_split_names(folder, others)
    if "train" not in files:
        raise DataError(
            f"A folder must have a train file (train with one of {', '.join(READERS)}); {folder} has none. "
            f"{_near(folder)} To use a single file, give its path."
        )
    notices = []
    if others:
        values = {"data": folder.name, **first_values("files", [path.name for path in others])}
        notices.append(Notice(code="files_without_split", values=values))
    splits = {}
    for split in sorted(files, key=list(SPLIT_NAMES).index):
        splits[split] = _read_file(files[split], spec.columns)
    return Tables(folder.resolve().name, splits, tuple(notices))


def _files_by_split(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Return a folder's data files by split, and those whose names say none."""
    files: dict[str, Path] = {}
    others = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in READERS:
            continue
        split = _split_of(path.stem)
        if split is None:
            others.append(path)
        elif split in files:
            raise DataError(
                f"{folder} must have one {split} file; got {files[split].name} and {path.name}. Remove one."
            )
        else:
            files[split] = path
    return files, others


def _check_split_names(folder: Path, others: list[Path]) -> None:
    """Check that no file's name is a misspelt split."""
    for path in others:
        # Stricter than did_you_mean: `extra` is meant, `tranin` is not.
        meant = get_close_matches(path.stem.lower(), SPLIT_NAMES, n=1, cutoff=0.8)
        if meant:
            raise DataError(
                f"A file's name must say which split it is; got {path.name} in {folder}. Did you mean {meant[0]!r}?"
            )


def _read_file(path: Path, wanted: Sequence[str] | None) -> Table:
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"A data file's name must end in one of {', '.join(READERS)}; got {path.name!r}.")
    check_content(path)
    return reader(path, wanted)


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
        split = _split_of(own_name)
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


def _split_of(name: str) -> str | None:
    """Say which split a name means; MNLI has two of each, of which GLUE scores the matched one."""
    return SPLIT_NAMES.get(name.lower().removesuffix("_matched"))


def _looks_like_a_path(path: Path, data: str) -> bool:
    in_known_folder = path.parent != Path() and path.parent.is_dir()
    return path.suffix.lower() in READERS or in_known_folder or not HUB_NAME.fullmatch(data)


def _near(path: Path) -> str:
    """Say what is in the nearest folder that exists."""
    folder = next((parent for parent in (path, *path.parents) if parent.is_dir()), Path())
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    return (
        f"{folder.resolve()} has: {format_list(names)}.{did_you_mean(path.name, names)}"
        if names
        else f"{folder} is empty."
    )

"""Which files of a folder, of a ZIP archive or of several that were named hold which split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from unipelt_search.errors import DataError
from unipelt_search.records.notice import Notice, first_values
from unipelt_search.tasks.byte_source import FORMS, ZIP, DataFile, members

SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "dev": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
PART = re.compile(r"(?P<stem>.+?)[-_](?P<number>\d+)-of-(?P<count>\d+)(-[0-9a-f]{8,})?")
"""A part of a split, as the hub and Spark's users name it: `train-00000-of-00002`."""


@dataclass(frozen=True)
class Folder:
    """Files that may hold rows, and folders beside them, which are opened when they are looked into."""

    name: str
    files: tuple[DataFile, ...]
    inner: Mapping[str, Callable[[], Folder]] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """The files of each split."""

    files: Mapping[str, tuple[DataFile, ...]]
    """`train`, `validation`, `test`, as far as they are there; several files are the parts of a split, in order."""
    notices: tuple[Notice, ...] = ()


def split_of(name: str) -> str | None:
    """Say which split a name means; MNLI has two of each, of which GLUE scores the matched one."""
    return SPLIT_NAMES.get(name.lower().removesuffix("_matched"))


def in_order(splits: Iterable[str]) -> list[str]:
    """Return the names of splits in the order of their jobs: train, validation, test."""
    return sorted(splits, key=list(SPLIT_NAMES).index)


def folder_on_disk(path: Path) -> Folder:
    """List a folder.

    Args:
        path: The folder.

    Returns:
        What may hold rows in it; hidden files do not.

    Raises:
        DataError: A ZIP archive in it is damaged.
    """
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    files: list[DataFile] = []
    for entry in entries:
        files += _files_at(entry)
    inner = {entry.name: partial(folder_on_disk, entry) for entry in entries if entry.is_dir() and not is_data(entry)}
    return Folder(path.resolve().name, tuple(files), inner)


def folder_in_zip(path: Path) -> Folder:
    """List a ZIP archive.

    Args:
        path: The archive.

    Returns:
        What may hold rows in it.

    Raises:
        DataError: It is damaged.
    """
    return _zip_level(path, path.stem, [name for name in members(path) if is_data(name)], "")


def is_data(name: str | Path) -> bool:
    """Tell whether a name is that of a data file, compressed or not."""
    return DataFile(Path(name)).form in FORMS


def find_layout(folder: Folder) -> Layout | None:
    """Find the files of each split.

    Args:
        folder: Where they are: at its top, in `data`, or in its only folder that has splits.

    Returns:
        The layout; None where no training split is found.

    Raises:
        DataError: A split has two files, a part is missing, a name is a misspelt split, or several folders have
            splits.
    """
    found = _layout_of(folder)
    if found is None and "data" in folder.inner:
        found = _layout_of(folder.inner["data"]())
    if found is None:
        found = _only_configuration(folder)
    return found


def find_given(folder: Folder) -> Layout | None:
    """Find the files of each split among files that the user named one by one or by a pattern.

    Args:
        folder: The files.

    Returns:
        Splits where the files' names say them and one is `train`; where the names say at most one split, all files are
        parts of the training split; None where they say others, or in a part of the name, as `x_train` and `x_test` do.

    Raises:
        DataError: As `find_layout`.
    """
    said = {split_of(_stem(file)) for file in folder.files} - {None}
    if "train" in said:
        return _layout_of(folder)
    hinted = set(map(_hinted_split, folder.files)) - {None}
    return Layout({"train": folder.files}) if folder.files and len(said | hinted) <= 1 else None


def _hinted_split(file: DataFile) -> str | None:
    """Return the one split that a word of a file's name says, as in `reviews_test`."""
    words = re.split(r"[^a-z]+", _stem(file).lower())
    hinted = set(map(split_of, words)) - {None}
    return hinted.pop() if len(hinted) == 1 else None


def _files_at(path: Path) -> list[DataFile]:
    if is_data(path):
        return [DataFile(path)]
    if path.suffix.lower() != ZIP or not path.is_file():
        return []
    inside = [name for name in members(path) if is_data(name)]
    return [DataFile(path, inside[0])] if len(inside) == 1 else []


def _zip_level(path: Path, name: str, names: Sequence[str], start: str) -> Folder:
    here = [DataFile(path, member) for member in names if "/" not in member.removeprefix(start)]
    deeper: dict[str, list[str]] = {}
    for member in names:
        head, slash, _ = member.removeprefix(start).partition("/")
        if slash:
            deeper.setdefault(head, []).append(member)
    inner = {head: partial(_zip_level, path, head, found, f"{start}{head}/") for head, found in deeper.items()}
    return Folder(name, tuple(here), inner)


def _stem(file: DataFile) -> str:
    """Return what a file is called beside its endings and the number of a part."""
    match = PART.fullmatch(file.stem)
    return match["stem"] if match else file.stem


def _split_of_file(file: DataFile) -> str | None:
    # An archive of one file may say what the file does not: train.csv in train.zip, or data.csv.
    return split_of(_stem(file)) or (split_of(file.path.stem) if file.member else None)


def _layout_of(folder: Folder) -> Layout | None:
    """Find the splits at the top of a folder; None where there is no training split."""
    files: dict[str, list[DataFile]] = {}
    others: list[DataFile] = []
    for file in folder.files:
        split = _split_of_file(file)
        if split is None:
            others.append(file)
        else:
            files.setdefault(split, []).append(file)
    _check_names(folder, others)
    splits = {split: _parts(found, split, folder.name) for split, found in files.items()}
    for name, open_inner in folder.inner.items():
        split = split_of(name)
        if split is not None and split not in splits:
            found = _own_files(open_inner(), split)
            if found:
                splits[split] = found
    if "train" not in splits:
        return None
    ordered = {split: splits[split] for split in in_order(splits)}
    return Layout(ordered, tuple(_notices(folder, others)))


def _own_files(folder: Folder, split: str) -> tuple[DataFile, ...]:
    """Return the files in the folder of a split, which need not say so themselves."""
    named = [file for file in folder.files if split_of(_stem(file)) == split]
    if named:
        return _parts(named, split, folder.name)
    if folder.files and all(PART.fullmatch(file.stem) for file in folder.files):
        return _parts(list(folder.files), split, folder.name)
    return folder.files


def _parts(files: list[DataFile], split: str, folder: str) -> tuple[DataFile, ...]:
    """Check that several files are the parts of one split, and put them in order."""
    numbers: dict[int, DataFile] = {}
    count = 1
    for file in files:
        match = PART.fullmatch(file.stem)
        number = int(match["number"]) if match else 0
        if number in numbers:
            raise DataError(
                f"{folder} must have one {split} file, or one for each part; got {numbers[number].name} and "
                f"{file.name}. Remove one."
            )
        numbers[number] = file
        count = max(count, int(match["count"]) if match else 1)
    # The hub counts from 0, others from 1.
    first = min(numbers)
    missing = sorted(set(range(first, first + count)) - set(numbers))
    if missing:
        raise DataError(
            f"A split must have all its parts; {folder} has {len(numbers)} of {count} {split} files, number "
            f"{missing[0]} is missing."
        )
    return tuple(numbers[number] for number in sorted(numbers))


def _only_configuration(folder: Folder) -> Layout | None:
    """Find the splits in the one folder that has some: a hub dataset's configuration, or what a ZIP was made of."""
    found: dict[str, Layout] = {}
    for name, open_inner in folder.inner.items():
        inner = open_inner()
        layout = _layout_of(inner)
        if layout is not None:
            found[name] = layout
    if len(found) > 1:
        raise DataError(
            f"A folder must have one dataset; {folder.name} has splits in: {', '.join(sorted(found))}. Give the path "
            "of one of them."
        )
    return next(iter(found.values()), None)


def _check_names(folder: Folder, others: Iterable[DataFile]) -> None:
    """Check that no file's name is a misspelt split."""
    for file in others:
        # Stricter than did_you_mean: `extra` is meant, `tranin` is not.
        meant = get_close_matches(_stem(file).lower(), SPLIT_NAMES, n=1, cutoff=0.8)
        if meant:
            raise DataError(
                f"A file's name must say which split it is; got {file.name} in {folder.name}. Did you mean "
                f"{meant[0]!r}?"
            )


def _notices(folder: Folder, others: Sequence[DataFile]) -> list[Notice]:
    forms = [file.name for file in others if "submission" in file.stem.lower()]
    unknown = [file.name for file in others if file.name not in forms]
    notices = [Notice(code="submission_ignored", values={"data": folder.name, "file": name}) for name in forms]
    if unknown:
        values = {"data": folder.name, **first_values("files", unknown)}
        notices.append(Notice(code="files_without_split", values=values))
    return notices

"""Reading Arrow tables: Parquet files and datasets of the Hugging Face hub. Runs no code of a dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import HfApi, errors

from unipelt_search.errors import DataError
from unipelt_search.records.notice import Notice, first_values
from unipelt_search.settings import hub_is_offline
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.first_label_rule import are_marked_withheld
from unipelt_search.tasks.rows import format_list
from unipelt_search.tasks.table import Location, Table

HUB_NAME = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(:(?P<configuration>[\w.-]+))?", re.ASCII)
HUB_SECONDS = 10.0
"""How long the hub may take to say whether it has a dataset."""


def read_parquet(path: Path, wanted: Sequence[str] | None = None) -> Table:
    """Read a Parquet file.

    Args:
        path: The file.
        wanted: The columns that are read, as far as they are there; None is all.

    Returns:
        The table; the numbers of a `ClassLabel` feature become its names.

    Raises:
        DataError: It is no Parquet file.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            table = file.read(columns=_kept(schema.names, wanted))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path.name} must be a Parquet file; it cannot be read: {_first_line(error)}.") from error
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    features = datasets.Features.from_arrow_schema(schema)
    return _arrow_table(path.name, schema.names, columns, features)


def read_hub(name: str, spec: TaskSpec) -> tuple[dict[str, Table], dict[str, Notice]]:
    """Download a dataset of the hub, or take it from the local cache.

    Args:
        name: `owner/name`, or `owner/name:configuration`.
        spec: Which columns are read.

    Returns:
        The table of every split, by the split's own name; and the rows of splits that are left out, with the notice
        that says why.

    Raises:
        DataError: There is no such dataset, or the hub cannot be reached.
    """
    match = HUB_NAME.fullmatch(name)
    if match is None:
        raise DataError(f"--data must be a file, a folder, or a hub dataset such as owner/name; got {name!r}.")
    return _tables_of(_load(name, match["name"], match["configuration"]), name, spec)


def is_hub_folder(folder: Path) -> bool:
    """Tell whether a folder holds a dataset as the hub keeps it: Parquet parts of splits, there or in ``data/``."""
    return any(next(directory.glob("train-*-of-*.parquet"), None) for directory in (folder, folder / "data"))


def read_hub_folder(folder: Path, spec: TaskSpec) -> tuple[dict[str, Table], dict[str, Notice]]:
    """Read a dataset that was copied from the hub.

    Args:
        folder: The folder; there is nothing to run in it, only data.
        spec: Which columns are read.

    Returns:
        As `read_hub`.

    Raises:
        DataError: It cannot be read.
    """
    try:
        loaded = datasets.load_dataset(str(folder))
    except (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"A folder must hold a dataset that can be loaded; {folder} does not: {_first_line(error)}."
        ) from error
    return _tables_of(loaded, folder.resolve().name, spec)


def _tables_of(loaded: datasets.DatasetDict, name: str, spec: TaskSpec) -> tuple[dict[str, Table], dict[str, Notice]]:
    tables: dict[str, Table] = {}
    left_out: dict[str, Notice] = {}
    for split, found in loaded.items():
        columns = {column: found[column][:] for column in _kept(found.column_names, spec.columns)}
        table = _arrow_table(f"split {split} of {name}", found.column_names, columns, found.features)
        numbers, empty = _filled_rows([columns[column] for column in spec.text if column in columns])
        # In a file of the user's such a row is an error to correct; here nobody can, and QQP has two of them.
        if empty:
            values = {"data": name, "split": split, **first_values("rows", empty)}
            left_out[f"{split}, row {format_list(empty)}"] = Notice(code="empty_texts", values=values)
            table = table.take([number - 1 for number in numbers])
        tables[split] = table
    return tables, left_out


def _kept(found: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """Return the columns that are read."""
    return [name for name in dict.fromkeys(found) if wanted is None or name in wanted]


def _filled_rows(texts: Sequence[Sequence[object]]) -> tuple[list[int], list[int]]:
    """Number the rows from 1: those whose texts are all there, and the others."""
    filled: list[int] = []
    empty: list[int] = []
    for number, row in enumerate(zip(*texts, strict=True), start=1):
        complete = all(text is not None and str(text).strip() for text in row)
        (filled if complete else empty).append(number)
    return filled, empty


def _arrow_table(
    source: str, names: Sequence[str], columns: dict[str, list[Any]], features: datasets.Features
) -> Table:
    cells = {name: _with_names(column, features.get(name)) for name, column in columns.items()}
    rows = len(next(iter(columns.values()), ()))
    locations = tuple(Location(source, number, "row") for number in range(1, rows + 1))
    return Table(source, tuple(names), cells, locations)


def _with_names(labels: list[Any], feature: Any) -> list[Any]:
    """Put the names of a `ClassLabel` feature, or of a list of them, instead of its numbers."""
    if isinstance(feature, datasets.List) and isinstance(feature.feature, datasets.ClassLabel):
        return [_names_at(numbers, feature.feature) for numbers in labels]
    if isinstance(feature, datasets.ClassLabel) and not are_marked_withheld(labels):
        # -1 in single rows of a split that has labels: that row has none.
        return [None if number is None or number < 0 else feature.names[number] for number in labels]
    return labels


def _names_at(numbers: list[int] | None, feature: datasets.ClassLabel) -> list[str] | None:
    return None if numbers is None else [feature.names[number] for number in numbers]


def _load(data: str, name: str, configuration: str | None) -> datasets.DatasetDict:
    try:
        if not hub_is_offline():  # asked first, because load_dataset tries for half a minute without a connection
            HfApi().dataset_info(name, timeout=HUB_SECONDS)
        return datasets.load_dataset(name, configuration)
    except errors.GatedRepoError as error:
        raise DataError(
            f"--data must be a dataset that you may read; {name} is gated. Accept its terms on the hub, then run "
            "`hf auth login`."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DataError(
            f"--data must be a file, a folder or a hub dataset; {data!r} is neither here nor on the hub. "
            "A private dataset needs `hf auth login`."
        ) from error
    except (errors.HTTPError, ConnectionError) as error:  # type: ignore[attr-defined]  # its HTTP client's root error
        reason = "the hub is switched off by HF_HUB_OFFLINE" if hub_is_offline() else "the hub cannot be reached"
        raise DataError(
            f"--data must be a file, a folder or a hub dataset; no file or folder {data!r} is here, and {reason}. "
            "Give a path; with HF_HUB_OFFLINE=1 a copy in the hub's cache is used."
        ) from error
    except (datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"--data must be a dataset that can be loaded; {data!r} cannot: {_first_line(error)}. "
            f"A configuration is written {name}:CONFIGURATION."
        ) from error


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__

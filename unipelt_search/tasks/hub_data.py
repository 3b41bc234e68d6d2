"""Datasets of the Hugging Face hub, and what the library `datasets` saved. Runs no code of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import yaml
from huggingface_hub import HfApi, errors

from unipelt_search.errors import DataError
from unipelt_search.settings import hub_is_offline
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.arrow_data import arrow_table, features_of, first_line, named_cells
from unipelt_search.tasks.nested_keys import row_table
from unipelt_search.tasks.table import Table

HUB_SECONDS = 10.0
"""How long the hub may take to say whether it has a dataset."""
MAX_STREAMED = 1_000_000
"""Rows of a dataset without a known length that are read at most."""
_ERRORS = (datasets.exceptions.DatasetsError, pa.ArrowException, OSError, ValueError, RuntimeError, KeyError)


def read_hub(name: str, configuration: str | None, spec: TaskSpec) -> dict[str, Table]:
    """Download a dataset of the hub, or take it from the local cache.

    Args:
        name: `owner/name`, or a name alone.
        configuration: Which of its configurations; None where it has one.
        spec: Which columns are read, and what the user calls the dataset.

    Returns:
        The table of every split, by the split's own name.

    Raises:
        DataError: There is no such dataset, or the hub cannot be reached.
    """
    loaded = _load(spec.data, name, configuration)
    columns = spec.columns
    return {split: dataset_table(found, f"split {split} of {spec.data}", columns) for split, found in loaded.items()}


def read_saved(folder: Path, spec: TaskSpec) -> dict[str, Table]:
    """Read what ``save_to_disk`` of `datasets` wrote.

    Args:
        folder: The folder of one dataset, or of one for each split.
        spec: Which columns are read.

    Returns:
        The table of every split, by the split's own name; a single dataset is `train`.

    Raises:
        DataError: It cannot be read.
    """
    name = folder.resolve().name
    with _named(f"{folder} must hold what save_to_disk wrote"):
        loaded = datasets.load_from_disk(str(folder))
    if not isinstance(loaded, datasets.DatasetDict):
        return {"train": dataset_table(loaded, name, spec.columns)}
    return {split: dataset_table(found, f"split {split} of {name}", spec.columns) for split, found in loaded.items()}


def declared_names(folder: Path, tables: Mapping[str, Table]) -> dict[str, Table]:
    """Put the names of classes that the card of a copied dataset says instead of their numbers.

    Args:
        folder: The copy; a card that cannot be read says nothing.
        tables: The tables in it, by split.

    Returns:
        The tables.
    """
    try:
        said = datasets.info.DatasetInfosDict.from_directory(str(folder))
    except (*_ERRORS, yaml.YAMLError, TypeError, AttributeError):
        return dict(tables)
    declared = [info.features for info in said.values() if info.features]
    features = features_of(declared[0].arrow_schema.metadata) if declared else {}
    named = {}
    for split, table in tables.items():
        cells = {name: named_cells(list(column), features, name)[0] for name, column in table.cells.items()}
        named[split] = replace(table, cells=cells)
    return named


def is_dataset(value: object) -> bool:
    """Tell whether a value is a dataset of the library `datasets`, of known length or not."""
    return isinstance(value, datasets.Dataset | datasets.IterableDataset)


def dataset_table(dataset: Any, source: str, wanted: tuple[str, ...]) -> Table:
    """Read a dataset of the library `datasets`.

    Args:
        dataset: One that `is_dataset`.
        source: What to call it.
        wanted: The columns that are read, as far as they are there.

    Returns:
        The table; the numbers of a `ClassLabel` feature become its names.

    Raises:
        DataError: It cannot be read, or one without a known length has too many rows.
    """
    with _named(f"{source} must be readable"):
        if isinstance(dataset, datasets.IterableDataset):
            return _streamed_table(dataset, source, wanted)
        names = dataset.column_names
        kept = [name for name in names if _is_wanted(name, wanted)]
        if not kept:
            return row_table([{}] * len(dataset), source, wanted, names)
        chosen = dataset.select_columns(kept)
        table = chosen.with_format("arrow")[:]
        metadata = chosen.features.arrow_schema.metadata
    read = arrow_table(table.replace_schema_metadata(metadata), source, wanted)
    return Table(source, (*names, *read.names[len(kept) :]), read.cells, read.locations, changed=read.changed)


def _is_wanted(name: str, wanted: tuple[str, ...]) -> bool:
    """Tell whether a column is wanted, or something inside of it."""
    return any(path == name or path.startswith(f"{name}.") for path in wanted)


def _streamed_table(dataset: datasets.IterableDataset, source: str, wanted: tuple[str, ...]) -> Table:
    rows = list(islice(dataset.with_format(None), MAX_STREAMED + 1))
    if len(rows) > MAX_STREAMED:
        raise DataError(
            f"A dataset without a known length may have {MAX_STREAMED:,} rows; {source} has more. Take a part of it: "
            "dataset.take(n)."
        )
    table = row_table(rows, source, wanted, dataset.column_names or ())
    features = {} if dataset.features is None else features_of(dataset.features.arrow_schema.metadata)
    cells = {name: named_cells(list(column), features, name)[0] for name, column in table.cells.items()}
    return Table(source, table.names, cells, table.locations)


@contextmanager
def _named(rule: str) -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise DataError(f"{rule}; it cannot be read: {first_line(error)}.") from error


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
            f"--data must be a dataset that can be loaded; {data!r} cannot: {first_line(error)}. "
            f"A configuration is written {name}:CONFIGURATION."
        ) from error

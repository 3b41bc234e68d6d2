"""Reading Arrow tables: Parquet files, and tables in memory. Touches no column but those that are wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from unipelt_search.errors import DataError
from unipelt_search.tasks.plain_values import plain_value
from unipelt_search.tasks.table import Location, Table

MAX_CELLS = 20_000_000
"""Rows times wanted columns of a Parquet file that are read into memory at most."""
MAX_WIDE = 2 * 2**30
"""Bytes of the wanted columns, once they are decompressed, that are read into memory at most."""
CLASS_NAMES = "the numbers of its classes are their names"
FEATURES = b"huggingface"
"""Under this key of a schema stands what the columns mean, as JSON."""


def parquet_tables(stream: BinaryIO, name: str, wanted: Sequence[str] | None, rows: int | None) -> Iterator[Table]:
    """Read a Parquet file.

    Args:
        stream: The file, which can be read at any place.
        name: What to call it.
        wanted: The columns that are read, as far as they are there; None is all.
        rows: Rows of a piece at most; None is one piece, which is refused where it would fill the memory.

    Yields:
        The table in pieces, at least one; the numbers of a `ClassLabel` feature become its names.

    Raises:
        DataError: It is no Parquet file, or it is too large.
    """
    try:
        # Texts stay as they are stored, each different one once: a small file may say a million times the same.
        texts = _text_columns(pq.read_schema(stream))
        with pq.ParquetFile(stream, read_dictionary=texts) as file:
            names = tuple(file.schema_arrow.names)
            paths = _paths(file.schema_arrow, wanted)
            if rows is None:
                _check_size(file, paths, name)
            yield from _parquet_pieces(file, paths, names, name, rows)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name} must be a Parquet file; it cannot be read: {first_line(error)}.") from error


def arrow_table(table: pa.Table, source: str, wanted: Sequence[str] | None, start: int = 0) -> Table:
    """Read a table in memory.

    Args:
        table: The table.
        source: What to call it.
        wanted: The columns that are read, as far as they are there, also inside of structs; None is all.
        start: Rows that stand before it in the source.

    Returns:
        The table; the numbers of a `ClassLabel` feature become its names.
    """
    features = features_of(table.schema.metadata)
    paths = _paths(table.schema, wanted)
    read = {path: named_cells(_cells(_column_at(table, path)), features, path) for path in paths}
    locations = tuple(Location(source, start + number, "row") for number in range(1, len(table) + 1))
    names = dict.fromkeys((*table.column_names, *paths))
    doubled = [name for name in names for _ in range(table.column_names.count(name) - 1)]
    cells = {path: cells for path, (cells, _) in read.items()}
    same = all(as_before for _, as_before in read.values())
    return Table(source, (*names, *doubled), cells, locations, changed="" if same else CLASS_NAMES)


def named_cells(cells: list[Any], features: Mapping[str, Any], path: str) -> tuple[list[Any], bool]:
    """Put the names of a `ClassLabel` feature, or of one inside of lists, instead of its numbers.

    Args:
        cells: Of one column.
        features: As `features_of` returns them.
        path: The column's name, or the names that lead to it.

    Returns:
        The cells, and whether the reader of editions 1 and 2 read the same.
    """
    feature = _feature_at(features, path)
    names = _class_names(feature)
    if names is None:
        return cells, True
    if _is_list(feature) and _are_vectors(cells, len(names)):
        return [_names_of_bits(bits, names) for bits in cells], False
    if _is_list(feature):
        return [_names_at(numbers, names) for numbers in cells], _is_plain_list(feature)
    if all(number in (-1, None) for number in cells):  # as benchmarks publish a split whose labels they withhold
        return cells, True
    return [_name_at(number, names) for number in cells], True


def features_of(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """Return what the columns of a schema mean, as the library `datasets` writes it; empty where nothing is said."""
    try:
        said = json.loads((metadata or {}).get(FEATURES, b"{}"))
        features = said["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def first_line(error: BaseException) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


def _text_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if pa.types.is_string(field.type)]


def _paths(schema: pa.Schema, wanted: Sequence[str] | None) -> list[str]:
    """Return the wanted columns that a schema has, those inside of structs too; of a double one none."""
    if wanted is None:
        return [name for name in dict.fromkeys(schema.names) if schema.names.count(name) == 1]
    return [path for path in dict.fromkeys(wanted) if _has_path(schema, path)]


def _has_path(schema: pa.Schema, path: str) -> bool:
    if path in schema.names:
        return schema.names.count(path) == 1
    return _steps(schema, path) is not None


def _steps(schema: pa.Schema, path: str) -> list[str] | None:
    """Return the names that lead to a column inside of structs; None where they lead nowhere."""
    fields: Any = schema
    rest = path
    steps: list[str] = []
    while rest:
        names = [field.name for field in fields]
        # The longest name first: a name may hold points itself.
        fitting = [name for name in names if rest == name or rest.startswith(f"{name}.")]
        if not fitting or (steps and not pa.types.is_struct(fields)):
            return None
        step = max(fitting, key=len)
        steps.append(step)
        rest = rest[len(step) + 1 :]
        fields = fields.field(step).type
        if rest and not pa.types.is_struct(fields):
            return None
    return steps


def _column_at(table: pa.Table, path: str) -> pa.ChunkedArray:
    if path in table.column_names:
        return table.column(path)
    first, *others = _steps(table.schema, path) or [path]
    column = table.column(first)
    for step in others:
        column = pa.chunked_array([_field_of(chunk, step) for chunk in column.chunks], column.type.field(step).type)
    return column


def _field_of(chunk: pa.StructArray, step: str) -> pa.Array:
    # Not chunk.field: that forgets which structs are missing.
    return chunk.flatten()[chunk.type.get_field_index(step)]


def _feature_at(features: Mapping[str, Any], path: str) -> Any:
    if path in features:
        return features[path]
    feature: Any = features
    for step in path.split("."):
        feature = feature.get(step) if isinstance(feature, dict) else None
    return feature


def _cells(column: pa.ChunkedArray) -> list[Any]:
    cells: list[Any] = []
    for chunk in column.chunks:
        cells.extend(_chunk_cells(chunk))
    return cells


def _chunk_cells(chunk: pa.Array) -> list[Any]:
    if isinstance(chunk, pa.DictionaryArray):
        # Each value once: a short file may repeat a long text a million times.
        used = chunk.indices.drop_null().unique()
        values = dict(zip(used.to_pylist(), _chunk_cells(chunk.dictionary.take(used)), strict=True))
        return [values.get(number) for number in chunk.indices.to_pylist()]
    cells: list[Any] = chunk.to_pylist()
    return cells if _is_plain(chunk.type) else list(map(plain_value, cells))


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether values of a type are what cells may be."""
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return numbers or pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _class_names(feature: Any) -> list[str] | None:
    """Return the names of a `ClassLabel` feature, or of one inside of lists."""
    while _is_list(feature):
        feature = feature[0] if isinstance(feature, list) else feature.get("feature")
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    return [str(name) for name in names] if isinstance(names, list) else None


def _is_list(feature: Any) -> bool:
    if isinstance(feature, list):
        return len(feature) == 1
    return isinstance(feature, dict) and feature.get("_type") in ("List", "LargeList", "Sequence")


def _is_plain_list(feature: Any) -> bool:
    return isinstance(feature, list) or feature.get("_type") != "LargeList"


def _names_at(numbers: Any, names: Sequence[str]) -> Any:
    if isinstance(numbers, list):
        return [_names_at(number, names) for number in numbers]
    return _name_at(numbers, names)


def _are_vectors(cells: Sequence[Any], length: int) -> bool:
    """Tell whether lists are zeros and ones, one for each name: a list of positions has no position twice."""
    filled = [bits for bits in cells if bits is not None]
    if not all(isinstance(bits, list) and len(bits) == length for bits in filled):
        return False
    different = set(map(repr, chain.from_iterable(filled)))
    return different <= {"0", "1"} and any(len(set(bits)) < length for bits in filled)


def _names_of_bits(bits: list[int] | None, names: Sequence[str]) -> list[str] | None:
    return None if bits is None else [name for bit, name in zip(bits, names, strict=True) if bit]


def _name_at(number: Any, names: Sequence[str]) -> Any:
    # -1 in single rows of a split that has labels: that row has none.
    if not isinstance(number, int) or not -1 <= number < len(names):
        return number
    return None if number < 0 else names[number]


def _check_size(file: pq.ParquetFile, paths: Iterable[str], name: str) -> None:
    """Refuse what would fill the memory, by what the file says of itself."""
    paths = set(paths)
    rows = file.metadata.num_rows
    size = 0
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        chunks = [group.column(column) for column in range(group.num_columns)]
        size += sum(chunk.total_uncompressed_size for chunk in chunks if _is_within(chunk.path_in_schema, paths))
    if rows * len(paths) > MAX_CELLS or size > MAX_WIDE:
        raise DataError(
            f"The wanted columns of a Parquet file may have {MAX_CELLS:,} cells and {MAX_WIDE:,} bytes; {name} says "
            f"that it has {rows:,} rows of {len(paths)} columns, {size:,} bytes. Take a part of its rows."
        )


def _is_within(path: str, paths: set[str]) -> bool:
    return any(path == wanted or path.startswith(f"{wanted}.") for wanted in paths)


def _parquet_pieces(
    file: pq.ParquetFile, paths: list[str], names: tuple[str, ...], source: str, rows: int | None
) -> Iterator[Table]:
    """Read the rows of a file; all at once where their number is None."""
    every = file.metadata.num_rows
    if not paths or every == 0:
        yield from _pieces_without_cells(Table(source, names, {path: [] for path in paths}, ()), every, rows or every)
        return
    done = 0
    for table in _arrow_pieces(file, paths, rows):
        piece = arrow_table(table.replace_schema_metadata(file.schema_arrow.metadata), source, paths, done)
        inner = [path for path in piece.cells if path not in names]
        yield replace(piece, names=(*names, *inner))
        done += len(piece)


def _arrow_pieces(file: pq.ParquetFile, paths: list[str], rows: int | None) -> Iterator[pa.Table]:
    if rows is None:
        yield file.read(columns=paths)
        return
    for batch in file.iter_batches(batch_size=rows, columns=paths):
        yield pa.Table.from_batches([batch])


def _pieces_without_cells(empty: Table, count: int, rows: int) -> Iterator[Table]:
    """Return rows of which no column is wanted."""
    for start in range(0, max(count, 1), max(rows, 1)):
        numbers = range(start + 1, min(start + rows, count) + 1)
        yield replace(empty, locations=tuple(Location(empty.source, number, "row") for number in numbers))

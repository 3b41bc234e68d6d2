"""Where the rows of a split stand in the user's files, as a Parquet file in a column, and back."""

from __future__ import annotations

from io import BytesIO

import pyarrow as pa
from pyarrow import parquet

from unipelt_search.records.row_origins import RowOrigins, RowSource
from unipelt_search.storage.stored_content import content_columns, read_content
from unipelt_search.storage.tables import RowOriginRow, storable


def origin_row(study_id: str, origins: RowOrigins) -> RowOriginRow:
    """Pack the origins of a split's rows into the row that stores them.

    Args:
        study_id: The study.
        origins: Of the rows of one split.

    Returns:
        The row, with the content's hash.
    """
    source_of = pa.array(origins.source_of, pa.int32())
    names = pa.array([storable(source.name) for source in origins.sources], pa.string())
    units = pa.array([source.unit for source in origins.sources], pa.string())
    columns = {
        "file": pa.DictionaryArray.from_arrays(source_of, names),
        "unit": pa.DictionaryArray.from_arrays(source_of, units),
        "number": pa.array(origins.numbers, pa.int64()),
    }
    file = BytesIO()
    parquet.write_table(pa.table(columns), file, compression="zstd")
    return RowOriginRow(study_id=study_id, split=origins.split, **content_columns(file))


def read_origins(row: RowOriginRow) -> RowOrigins:
    """Unpack what `origin_row` packed.

    Args:
        row: The row.

    Returns:
        The origins.

    Raises:
        StorageError: The content is not what was stored.
    """
    file = read_content(row, "row origins", f"the rows of {row.split}")
    table = parquet.read_table(file)
    names, units, numbers = (table.column(name).to_pylist() for name in ("file", "unit", "number"))
    positions: dict[tuple[str, str], int] = {}
    source_of = [positions.setdefault(pair, len(positions)) for pair in zip(names, units, strict=True)]
    sources = [RowSource(name=name, unit=unit) for name, unit in positions]
    return RowOrigins.model_validate(
        {"split": row.split, "sources": sources, "source_of": source_of, "numbers": numbers}
    )

from __future__ import annotations

from io import BytesIO

import pytest
from pyarrow import parquet

from unipelt_search.errors import StorageError
from unipelt_search.records.row_origins import RowOrigins, RowSource
from unipelt_search.storage.origin_blobs import origin_row, read_origins

ORIGINS = RowOrigins(
    split="test",
    sources=(RowSource(name="b.csv", unit="line"), RowSource(name="größer 🎉.parquet", unit="row")),
    source_of=(0, 1, 0, 0),
    numbers=(7, 1, 3, 2**40),
)


def test_origins_come_back_as_they_were() -> None:
    assert read_origins(origin_row("study", ORIGINS)) == ORIGINS
    empty = RowOrigins(split="select", sources=(), source_of=(), numbers=())
    assert read_origins(origin_row("study", empty)) == empty


def test_the_content_is_an_ordinary_parquet_file() -> None:
    table = parquet.read_table(BytesIO(origin_row("study", ORIGINS).content)).to_pydict()
    assert table["file"] == ["b.csv", "größer 🎉.parquet", "b.csv", "b.csv"]
    assert (table["unit"], table["number"]) == (["line", "row", "line", "line"], [7, 1, 3, 2**40])


def test_a_name_that_a_database_refuses_is_written_out() -> None:
    odd = ORIGINS.model_copy(update={"sources": (RowSource(name="caf\udce9\x00.csv", unit="line"),) * 2})
    assert {source.name for source in read_origins(origin_row("study", odd)).sources} == {"caf\\udce9\\x00.csv"}


def test_a_changed_byte_is_found() -> None:
    row = origin_row("study", ORIGINS)
    row.content = row.content[:40] + bytes([row.content[40] ^ 1]) + row.content[41:]
    with pytest.raises(StorageError, match="row origins .* the rows of test are damaged"):
        read_origins(row)

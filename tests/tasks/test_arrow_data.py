from __future__ import annotations

import io
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unipelt_search.errors import DataError
from unipelt_search.tasks import arrow_data
from unipelt_search.tasks.arrow_data import arrow_table, features_of, parquet_tables
from unipelt_search.tasks.table import Table, joined_table

NAMES = datasets.ClassLabel(names=["bad", "good"])


def through_parquet(table: pa.Table, wanted: tuple[str, ...] | None, rows: int | None = None) -> Table:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return joined_table(parquet_tables(stream, "t.parquet", wanted, rows))


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize(
    ("column", "cells"),
    [
        (pa.array(["b", None, "a"]).dictionary_encode(), ["b", None, "a"]),
        (pa.array(["b", None, "a"], pa.large_string()), ["b", None, "a"]),
        (pa.array(["b", None, "a"], pa.string_view()), ["b", None, "a"]),
        (pa.array(["0.50", None, "3.10"]).cast(pa.decimal128(4, 2)), [Decimal("0.50"), None, Decimal("3.10")]),
        (pa.array([1, None, 3], pa.int8()), [1, None, 3]),
        (pa.array([0.5, None, 1.0], pa.float32()), [0.5, None, 1.0]),
        (pa.array([True, None, False]), [True, None, False]),
        (pa.array([["a"], None, []]), [["a"], None, []]),
        (pa.array([["a"], None, []], pa.large_list(pa.string())), [["a"], None, []]),
        (pa.array([[1, 0], None, [0, 1]], pa.list_(pa.int64(), 2)), [[1, 0], None, [0, 1]]),
        (pa.array([None, None, None], pa.null()), [None, None, None]),
        (pa.array([0, None, 31], pa.date32()), ["1970-01-01", None, "1970-02-01"]),
        (pa.array([0, None, 60], pa.timestamp("s")), ["1970-01-01 00:00:00", None, "1970-01-01 00:01:00"]),
        (pa.array([0, None, 10**9], pa.timestamp("ns")), ["1970-01-01 00:00:00", None, "1970-01-01 00:00:01"]),
        (pa.array([bytes(16), None, bytes(16)], pa.uuid()), [str(uuid.UUID(int=0)), None, str(uuid.UUID(int=0))]),
        (pa.array([b"a", None, "ö".encode()]), ["a", None, "ö"]),
        (pa.array([5, None, 7], pa.int8()).dictionary_encode(), [5, None, 7]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_every_type_becomes_what_python_has(column: pa.Array, cells: list[Any], rows: int | None) -> None:
    table = pa.table({"text": ["x", "y", "z"], "label": column})
    assert through_parquet(table, ("text", "label"), rows).cells == {"text": ["x", "y", "z"], "label": cells}
    assert arrow_table(table, "mine", ("label",)).cells == {"label": cells}


def test_columns_that_nobody_wants_are_not_touched() -> None:
    others = {
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
        "uuid": pa.array([uuid.UUID(int=1).bytes], pa.uuid()),
        "struct": pa.array([{"a": [{"b": 1}]}]),
        "binary": pa.array([b"\xff"]),
        "time": pa.array([10**18], pa.timestamp("ns", "UTC")),
    }
    table = pa.table({"text": ["x"], "label": ["a"], **others})
    read = through_parquet(table, ("text", "label", "gone"))
    assert read.cells == {"text": ["x"], "label": ["a"]}
    assert read.names == ("text", "label", *others)
    views = table.append_column("view", pa.array([[1]], pa.list_view(pa.int64())))
    assert arrow_table(views, "mine", ("text",)).cells == {"text": ["x"]}
    assert set(through_parquet(table, None).cells) == {"text", "label", *others}


@pytest.mark.parametrize(
    ("feature", "numbers", "read", "as_before"),
    [
        (NAMES, [1, 0, None], ["good", "bad", None], True),
        (NAMES, [1, 0, -1], ["good", "bad", None], True),
        (NAMES, [-1, -1, -1], [-1, -1, -1], True),
        (datasets.List(NAMES), [[1, 0], [], None], [["good", "bad"], [], None], True),
        (
            datasets.List(NAMES, length=2),
            [[1, 0], [0, 1], [1, 0]],
            [["good", "bad"], ["bad", "good"], ["good", "bad"]],
            True,
        ),
        (datasets.List(NAMES, length=2), [[1, 0], [0, 0], [1, 1]], [["bad"], [], ["bad", "good"]], False),
        (datasets.LargeList(NAMES), [[1, 0], [], None], [["good", "bad"], [], None], False),
        (datasets.List(datasets.List(NAMES)), [[[1]], [], None], [[["good"]], [], None], True),
    ],
)
def test_numbers_of_classes_become_names(
    tmp_path: Path, feature: Any, numbers: list[Any], read: list[Any], as_before: bool
) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": feature})
    made = datasets.Dataset.from_dict({"text": ["x", "y", "z"], "label": numbers}, features=features)
    made.to_parquet(tmp_path / "t.parquet")
    with (tmp_path / "t.parquet").open("rb") as stream:
        table = joined_table(parquet_tables(stream, "t.parquet", ("label",), None))
    assert (table.cells["label"], table.changed) == (read, "" if as_before else arrow_data.CLASS_NAMES)


def test_what_older_versions_of_the_library_wrote_is_known() -> None:
    names = b'{"names": ["bad", "good"], "_type": "ClassLabel"}'
    for said in (b"[%s]" % names, b'{"feature": %s, "_type": "Sequence"}' % names):
        metadata = {b"huggingface": b'{"info": {"features": {"label": %s}}}' % said}
        table = pa.table({"label": [[1, 0]]}).replace_schema_metadata(metadata)
        assert arrow_table(table, "mine", None).cells == {"label": [["good", "bad"]]}


@pytest.mark.parametrize("metadata", [None, {}, {b"huggingface": b"{"}, {b"huggingface": b'{"info": 5}'}])
def test_other_metadata_says_nothing(metadata: dict[bytes, bytes] | None) -> None:
    assert features_of(metadata) == {}


def test_columns_inside_of_structs_are_found_unless_one_is_really_named_so() -> None:
    meta = [{"label": "a", "x.y": {"z": 1}}, None, {"label": None, "x.y": {"z": 3}}]
    table = pa.table({"text": ["x", "y", "z"], "meta": meta})
    for read in (
        through_parquet(table, ("text", "meta.label", "meta.x.y.z", "meta.gone", "text.x")),
        arrow_table(table, "mine", ("text", "meta.label", "meta.x.y.z", "meta.gone", "text.x")),
    ):
        assert read.cells == {"text": ["x", "y", "z"], "meta.label": ["a", None, None], "meta.x.y.z": [1, None, 3]}
        assert read.names == ("text", "meta", "meta.label", "meta.x.y.z")
    named = table.append_column("meta.label", pa.array(["q", "r", "s"]))
    assert through_parquet(named, ("meta.label",)).cells == {"meta.label": ["q", "r", "s"]}


def test_a_double_column_is_seen_and_not_read() -> None:
    table = pa.table([pa.array(["x"]), pa.array(["y"]), pa.array(["a"])], names=["text", "text", "label"])
    read = through_parquet(table, ("text", "label"))
    assert (read.names, read.cells) == (("text", "text", "label"), {"label": ["a"]})


def test_pieces_and_tables_without_rows_have_their_columns() -> None:
    table = pa.table({"text": [f"text {n}" for n in range(7)], "label": [0] * 7})
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=3)
    pieces = list(parquet_tables(stream, "t.parquet", ("text",), 2))
    assert sum(map(len, pieces)) == 7
    assert max(map(len, pieces)) <= 2
    assert [location.number for piece in pieces for location in piece.locations] == list(range(1, 8))
    assert through_parquet(table.slice(0, 0), ("text",)).cells == {"text": []}
    assert len(through_parquet(table, ("gone",))) == 7


def test_what_would_fill_the_memory_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"text": ["x" * 100] * 1000, "label": [0] * 1000, "other": list(range(1000))})
    monkeypatch.setattr(arrow_data, "MAX_CELLS", 2000)
    assert len(through_parquet(table, ("text", "label"))) == 1000
    with pytest.raises(DataError, match="t.parquet says that it has 1,000 rows of 3 columns"):
        through_parquet(table, None)
    assert len(through_parquet(table, None, 10)) == 1000
    monkeypatch.setattr(arrow_data, "MAX_WIDE", 1000)
    with pytest.raises(DataError, match="may have 2,000 cells and 1,000 bytes; t.parquet"):
        through_parquet(table, ("other",))


def test_a_text_that_is_repeated_is_in_memory_once() -> None:
    table = pa.table({"text": pa.array(["x" * 10_000]).take(pa.array([0] * 5000))})
    cells = through_parquet(table, ("text",)).cells["text"]
    assert len({id(cell) for cell in cells}) == 1


def test_what_is_no_parquet_file_is_named() -> None:
    with pytest.raises(DataError, match="t.parquet must be a Parquet file; it cannot be read"):
        list(parquet_tables(io.BytesIO(b"PAR1 is broken PAR1"), "t.parquet", None, None))

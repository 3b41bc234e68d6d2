"""Tables as people have them: each is read rightly, or refused in one sentence that names file and line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from raw_rows import read_data

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.read import read_tables

CASES = Path(os.environ.get("UNIPELT_TEST_CASES", Path(__file__).parents[3] / "shared" / "cases" / "data"))
TEXTS = ("good day", "bad, bad", 'so "so"', "schön")
LABELS = ("yes", "no", "yes", "no")
ROWS = tuple(zip(TEXTS, LABELS, strict=True))
SIMPLE = "text,label\ngood,yes\nbad,no\n"
SIMPLE_READ = (("good", "bad"), ("yes", "no"))


def csv_of(delimiter: str = ",", end: str = "\n", head: str = "text{0}label") -> str:
    """Write the rows with quotes around every text."""
    lines = [head.format(delimiter)]
    for text, label in ROWS:
        doubled = text.replace('"', '""')
        lines.append(f'"{doubled}"{delimiter}{label}')
    return end.join([*lines, ""])


def frame_of(**others: object) -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "label": LABELS, **others})


def parquet_of(frame: pd.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream)
    return stream.getvalue()


def zip_of(**contents: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name.replace("_csv", ".csv"), content)
    return stream.getvalue()


def zstd_of(content: bytes) -> bytes:
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as compressed:
        compressed.write(content)
    return stream.getvalue().to_pybytes()


JSON_LINES = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS)
ALL = (TEXTS, LABELS)
READ: dict[str, tuple[str, str | bytes, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "comma": ("a.csv", csv_of(), ALL),
    "semicolon of a spreadsheet": ("a.csv", csv_of(";"), ALL),
    "tab": ("a.tsv", csv_of("\t"), ALL),
    "pipe": ("a.csv", csv_of("|"), ALL),
    "CRLF": ("a.csv", csv_of(end="\r\n"), ALL),
    "CR of an old Macintosh": ("a.csv", csv_of(end="\r"), ALL),
    "no end of the last line": ("a.csv", csv_of().rstrip(), ALL),
    "sep line": ("a.csv", "sep=;\n" + csv_of(";"), ALL),
    "sep line in quotes": ("a.csv", '"sep=|"\r\n' + csv_of("|", "\r\n"), ALL),
    "byte order mark": ("a.csv", csv_of().encode("utf-8-sig"), ALL),
    "byte order mark and sep line": ("a.csv", ("sep=,\n" + csv_of()).encode("utf-8-sig"), ALL),
    "UTF-16 with tabs": ("a.csv", csv_of("\t", "\r\n").encode("utf-16"), ALL),
    "UTF-16 big-endian": ("a.csv", ("\ufeff" + csv_of("\t")).encode("utf-16-be"), ALL),
    "spaces around the names": ("a.csv", csv_of(head=" text {0} label "), ALL),
    "quotes around the names": ("a.csv", csv_of(head='"text"{0}"label"'), ALL),
    "comments before the names": ("a.csv", "# from the shop\n#\n" + csv_of(), ALL),
    "blank lines": ("a.csv", "\n" + SIMPLE.replace("bad", "\n \n\t\nbad") + "\n\n", SIMPLE_READ),
    "a name of two lines": ("a.csv", '"id\n(new)",text,label\n1,good,yes\n2,bad,no\n', SIMPLE_READ),
    "an index without a name": ("a.csv", ",text,label\n0,good,yes\n1,bad,no\n", SIMPLE_READ),
    "lines inside of cells": (
        "a.csv",
        'text,label\n"good\n\nday",yes\nbad,no\n',
        (("good\n\nday", "bad"), ("yes", "no")),
    ),
    "rows inside of a cell": (
        "a.csv",
        'text,label\n"good,yes\nbad,no",yes\n"x, y",no\nz,no\nq,yes\n"a ""b""",no\n',
        (("good,yes\nbad,no", "x, y", "z", "q", 'a "b"'), ("yes", "no", "no", "yes", "no")),
    ),
    "quotes after backslashes": (
        "a.csv",
        'text,label\n"so \\"so\\", x",yes\n"bad",no\n',
        (('so "so", x', "bad"), ("yes", "no")),
    ),
    "quotes that are text": (
        "a.tsv",
        'text\tlabel\n"good\tyes\nbad\tno\nworse"\tno\nfine\tyes\n',
        (('"good', "bad", 'worse"', "fine"), ("yes", "no", "no", "yes")),
    ),
    "one quote that never ends": ("a.tsv", 'text\tlabel\ngood\tyes\n"bad\tno\n', (("good", '"bad'), ("yes", "no"))),
    "inches": ("a.csv", 'text,label\n5" pipe,yes\n7" disc,no\n', (('5" pipe', '7" disc'), ("yes", "no"))),
    "words for nothing": ("a.csv", "text,label\nnull,NA\nNone,n/a\n", (("null", "None"), ("NA", "n/a"))),
    "columns of other scripts": ("a.csv", "文,text,label\n一,good,yes\n二,bad,no\n", SIMPLE_READ),
    "JSON lines": ("a.jsonl", JSON_LINES, ALL),
    "JSON lines of another name": ("a.ndjson", "\n" + JSON_LINES, ALL),
    "JSON lines called JSON": ("a.json", JSON_LINES, ALL),
    "JSON lines with CRLF and a mark": ("a.jsonl", ("\ufeff" + JSON_LINES.replace("\n", "\r\n")).encode(), ALL),
    "JSON as UTF-16": ("a.json", JSON_LINES.encode("utf-16"), ALL),
    **{
        f"JSON as pandas writes {orient}": ("a.json", str(frame_of().to_json(orient=orient)), ALL)
        for orient in ("records", "columns", "index", "split", "table")
    },
    "JSON of columns": ("a.json", json.dumps({"text": TEXTS, "label": LABELS}, indent=1), ALL),
    "JSON with rows inside": ("a.json", f'{{"n": 4, "examples": {frame_of().to_json(orient="records")}}}', ALL),
    "gzip": ("a.csv.gz", gzip.compress(csv_of().encode()), ALL),
    "gzip in two members": (
        "a.csv.gz",
        gzip.compress(b"text,label\ngood,yes\n") + gzip.compress(b"bad,no\n"),
        SIMPLE_READ,
    ),
    "bzip2": ("a.tsv.bz2", bz2.compress(csv_of("\t").encode()), ALL),
    "xz": ("a.jsonl.xz", lzma.compress(JSON_LINES.encode()), ALL),
    "zstd": ("a.csv.zst", zstd_of(csv_of().encode("utf-16")), ALL),
    "ZIP": ("a.zip", zip_of(a_csv=csv_of()), ALL),
    "ZIP of a CSV file by its name": ("a.csv.zip", zip_of(a_csv=csv_of(";")), ALL),
    "Parquet": ("a.parquet", parquet_of(frame_of(other=[{"x": 1}, None, None, None])), ALL),
    "Parquet in gzip": ("a.parquet.gz", gzip.compress(parquet_of(frame_of())), ALL),
    "Parquet with categories": ("a.parquet", parquet_of(frame_of().astype({"label": "category"})), ALL),
}  # fmt: skip


def spec_of(path: Path) -> TaskSpec:
    return TaskSpec(data=str(path), text=("text",), label="label", kind="classification")


@pytest.mark.parametrize("name", READ)
def test_it_is_read_as_it_was_meant(name: str, tmp_path: Path) -> None:
    file, content, (texts, labels) = READ[name]
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows = read_data(spec_of(path)).splits["train"]
    assert (tuple(text for (text,) in rows.texts), rows.labels) == (texts, labels)


REFUSED: dict[str, tuple[str, str | bytes, str]] = {
    "nothing": ("a.csv", "", "a.csv must have a first line"),
    "names alone": ("a.csv", "text,label\n", "a.csv must have rows"),
    "a double column": ("a.csv", "text,text,label\nx,y,z\n", "once in a.csv; 'text' stands there 2 times"),
    "another column": ("a.csv", "text,labels\nx,y\n", "column of a.csv; got 'label'.* mean 'labels'"),
    "a field too much": ("a.csv", SIMPLE + "a,b,c\n", "is in a row of 3 fields at line 4"),
    "a field too little": ("a.csv", SIMPLE + "a\n", "is in a row of 1 field at line 4"),
    "no names": ("a.csv", "good,yes\nbad,no\n", "column of a.csv; got 'text', found: good, yes"),
    "a quote that does not end": ("a.csv", 'text,label\n"a, b",yes\n"c, d,no\n', "a.csv .* begins at line 3"),
    "Latin 1": ("a.csv", "text,label\ngut,no\nschön,yes\n".encode("latin-1"), "byte 0xf6 at line 3"),
    "mixed encodings": ("a.csv", "text,label\nö,no\n".encode() + b"\xf6,no\n", "byte 0xf6 at line 3"),
    "UTF-16 without its mark": ("a.csv", SIMPLE.encode("utf-16-le"), "a.csv must be UTF-8"),
    "UTF-16 that is cut off": ("a.csv", SIMPLE.encode("utf-16")[:-1], "a.csv begins as UTF-16 text but is not"),
    "NUL": ("a.csv", SIMPLE + "a\x00b,yes\n", "column 'text' .* line 4"),
    "half a pair of surrogates": ("a.jsonl", '{"text": "\\ud800", "label": "a"}', "column 'text' .* line 1"),
    "a line that is no JSON": ("a.jsonl", JSON_LINES + "{'text': 1}\n", "is not JSON .* at line 5"),
    "a row that is no object": ("a.json", '[{"text": "x", "label": "y"}, 5]', "got number at row 2"),
    "tables by split in one file": ("a.json", '{"train": [{"text": "x"}], "test": [{"text": "y"}]}', "train, test"),
    "columns of other lengths": ("a.json", '{"text": ["x"], "label": ["a", "b"]}', "of different lengths: text, label"),
    "gzip by its name alone": ("a.csv.gz", SIMPLE, "a.csv.gz must be what its name says, gz"),
    "gzip that is called CSV": ("a.csv", gzip.compress(SIMPLE.encode()), "a.csv .* gzip. Let its name end in .gz"),
    "gzip that is cut off": ("a.csv.gz", gzip.compress(SIMPLE.encode())[:20], "a.csv.gz is damaged or cut off"),
    "gzip of anything": ("a.gz", gzip.compress(SIMPLE.encode()), "got 'a.gz'. Before .gz its name must say"),
    "a workbook": ("a.csv", zip_of(**{"xl/workbook.xml": "x"}), "a.csv .* Excel workbook"),
    "a ZIP of nothing": ("a.zip", zip_of(readme="x"), "a.zip has: no data file"),
    "a page": ("a.csv", "<!DOCTYPE html><p>Log in", "a.csv .* a web page"),
    "broken Parquet": ("a.parquet", b"PAR1\x15" + bytes(40), "a.parquet must be a Parquet file"),
    "another ending": ("a.txt", SIMPLE, "must end in one of .*; got 'a.txt'"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_file_and_line(name: str, tmp_path: Path) -> None:
    file, content, message = REFUSED[name]
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        read_data(spec_of(path))
    assert len(str(caught.value)) < 600
    assert "Traceback" not in str(caught.value)


def case(name: str) -> Path:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{name} is not below UNIPELT_TEST_CASES")
    return path


@pytest.mark.parametrize(
    ("name", "label", "rows"),
    [
        ("01_stray_quotes.tsv", "label", {"train": 120}),
        ("05_kaggle", "target", {"train": 100, "test": 20}),
        ("09_other_columns.parquet", "label", {"train": 60}),
        ("11_rows.jsonl.gz", "label", {"train": 60}),
        ("12_sep_line.csv", "label", {"train": 60}),
        ("16_columns.json", "label", {"train": 40}),
        ("16_wrapped.json", "label", {"train": 40}),
        ("17_parts", "label", {"train": 60}),
    ],
)
def test_the_awkward_files_are_read(name: str, label: str, rows: dict[str, int]) -> None:
    tables = read_tables(TaskSpec(data=str(case(name)), text=("text",), label=label))
    assert {split: len(table) for split, table in tables.splits.items()} == rows
    train = tables.splits["train"]
    assert all(isinstance(text, str) and text for text in train.cells["text"])
    assert len(set(map(str, train.cells[label]))) == 2


def test_the_awkward_files_are_told_of() -> None:
    notices = read_tables(TaskSpec(data=str(case("05_kaggle")), text=("text",), label="target")).notices
    assert "submission_ignored" in {notice.code for notice in notices}
    notices = read_tables(TaskSpec(data=str(case("01_stray_quotes.tsv")), text=("text",), label="label")).notices
    (quotes,) = [notice for notice in notices if notice.code == "quotes_are_text"]
    assert quotes.values["swallowed"] == 44

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from raw_rows import read_data

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import Rows

SPEC = TaskSpec(data="x", text=("text",), label="label")
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1).filter(str.strip)
KEEP_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)

Read = Callable[..., Rows]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def write_and_read(content: str | bytes, name: str = "train.csv", spec: TaskSpec = SPEC) -> Rows:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_data(spec.model_copy(update={"data": str(path)})).splits["train"]

    return write_and_read


@KEEP_FOLDER
@given(
    table=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    last_end=st.booleans(),
)
def test_what_csv_wrote_is_read_back(
    read: Read, table: list[tuple[str, str]], delimiter: str, line_end: str, mark: bool, quoting: int, last_end: bool
) -> None:
    # Python's writer leaves a lone carriage return bare, where it cannot be told from a line's end.
    assume("\r\n" == line_end or quoting == csv.QUOTE_ALL or "\r" not in "".join(map("".join, table)))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([("label", "text"), *table])
    content = text.getvalue() if last_end else text.getvalue().removesuffix(line_end)
    rows = read(content.encode("utf-8-sig" if mark else "utf-8"))
    assert rows.labels == tuple(label for label, _ in table)
    assert rows.texts == tuple((text,) for _, text in table)


@KEEP_FOLDER
@given(table=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), ascii_only=st.booleans(), array=st.booleans())
def test_what_json_wrote_is_read_back(read: Read, table: list[tuple[str, str]], ascii_only: bool, array: bool) -> None:
    entries = [json.dumps({"label": label, "text": text}, ensure_ascii=ascii_only) for label, text in table]
    rows = read(f"[{', '.join(entries)}]" if array else "\n".join(entries), "train.jsonl")
    assert rows.labels == tuple(label for label, _ in table)
    assert rows.texts == tuple((text,) for _, text in table)


@pytest.mark.parametrize("word", ["NA", "null", "None", "nan", "007", "1", "1.0", "1e3", "True", "-", " x "])
def test_cells_stay_as_they_are_written(read: Read, word: str) -> None:
    rows = read(f"text,label\n{word},{word}\n")
    assert rows == Rows(((word,),), (word,))


def test_json_numbers_stay_as_they_are_written(read: Read) -> None:
    lines = ['{"text": "x", "label": %s}' % number for number in ("1", "1.0", "1e3", "true", "12345678901234567890")]  # noqa: UP031
    assert read("\n".join(lines), "t.jsonl").labels == ("1", "1.0", "1e3", "true", "12345678901234567890")


def test_lists_of_labels_are_sets_of_them(read: Read) -> None:
    lines = '{"text": "x", "label": ["b", "a"]}\n{"text": "y", "label": []}\n{"text": "z", "label": [7]}'
    assert read(lines, "t.jsonl").labels == ("a|b", "", "7")
    with pytest.raises(DataError, match=r"column 'label' has others in 2 of 3 rows, such as \[b, a\] at line 1 of"):
        read(lines, "t.jsonl", SPEC.model_copy(update={"kind": "classification"}))


def test_pairs_and_spaced_names_and_other_columns(read: Read) -> None:
    spec = TaskSpec(data="x", text=("b", "a"), label="y")
    assert read("y; a ; n;b\n0;A;;B\n", spec=spec) == Rows((("B", "A"),), ("0",))


def test_a_delimiter_inside_the_first_line_does_not_mislead(read: Read) -> None:
    spec = TaskSpec(data="x", text=("what, where, when",), label="y")
    assert read("what, where, when;y\nhere, now;0\n", spec=spec) == Rows((("here, now",),), ("0",))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_what_spreadsheets_call_unicode_text_is_read(read: Read, encoding: str) -> None:
    rows = read("\ufefftext\tlabel\r\nschön\tгут\r\n".encode(encoding))
    assert rows == Rows((("schön",),), ("гут",))


def test_ten_thousand_columns_are_read_and_a_slip_in_their_name_is_one_sentence(read: Read) -> None:
    names = ",".join(["text", *(f"c{number}" for number in range(10_000)), "label", "", ""])
    content = f"{names}\n{'x,' * 10_001}y,,\n"
    assert read(content) == Rows((("x",),), ("y",))
    with pytest.raises(DataError, match="--label must name a column of train.csv; got 'lable'") as error:
        read(content, spec=SPEC.model_copy(update={"label": ("lable",)}))
    assert len(str(error.value)) < 600


def test_a_text_of_a_million_characters_is_read(read: Read) -> None:
    assert len(read(f"text,label\n{'x' * 1_000_000},0\n").texts[0][0]) == 1_000_000


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "train.csv", "train.csv must have a first line"),
        ("text,label\n", "train.csv", "train.csv must have rows; it is empty"),
        ("", "train.jsonl", "train.jsonl must have rows; it is empty"),
        ("[]", "train.json", "train.json must have rows"),
        (
            "text,lable\nx,0\n",
            "a.csv",
            r"--label must name a column of a.csv; got 'label', found: text, lable. Did you",
        ),
        ('{"txt": "x", "label": 1}', "a.jsonl", r"--text must name a column of a.jsonl; got 'text', found: txt, label"),
        ("text,label,text\nx,0,y\n", "a.csv", "'text' stands there 2 times"),
        ("text,label\nx,0\ny,1,2\n", "a.csv", r"first line of a.csv, 2; in .* is in a row of 3 fields at line 3"),
        ('text,label\n"x\n\ny",0\n\nz\n', "a.csv", r"is in a row of 1 field at line 6"),
        ('text,label\nx,0\n"never, ends",1\n"z, 1\n', "a.csv", "row that begins at line 4: unexpected end of data"),
        ('text,label\n"a, b",0\n"x, c" y,0\n', "a.csv", "row that begins at line 3"),
        ("text,label\nx,0\n  ,1\ny,\n", "a.csv", r"a.csv, line 4, column 'label': .*; it is empty\. "),
        ('{"text": "x", "label": null}\n{"text": "y"}', "a.jsonl", "column 'label' is empty at line 1, line 2"),
        ('{"text": "x", "label": NaN}', "a.jsonl", "column 'label' is empty at line 1"),
        ('{"text": "x", "label": 0}\n\n{"text": "x"', "a.jsonl", r"is on a line that is not JSON \(.*\) at line 3"),
        ('{"text": "x", "label": [[1]]}', "a.jsonl", "in a.jsonl, column .* has list of lists at line 1"),
        ('{"text": "x", "label": ["a|b", "c"]}', "a.jsonl", "has 'a.b' at line 1 of a.jsonl"),
        ('{"text": ["x"], "label": 1}', "a.jsonl", "in a.jsonl, column .* has list at line 1"),
        ('{"text": "x", "label": {"a": 1}}', "a.jsonl", "in a.jsonl, column .* has dict at line 1"),
        ('"x"', "a.jsonl", "must hold a JSON object; got str at line 1"),
        ('[{"text": "x", "label": 0}, 5]', "a.json", "must be a JSON object; got number at row 2"),
        ('{"text": "\\ud800", "label": 0}', "a.jsonl", "column 'text' is not at line 1"),
        ("text,label\nx,0\ny,a\x00b\n", "a.csv", "column 'label' is not at line 3"),
        ("text,label\ngut,0\nschön,1\n".encode("cp1252"), "a.csv", r"must be UTF-8 text; got byte 0xf6 at line 3"),
        ("text,label\nx,0\n".encode("utf-16")[:-1], "a.csv", "begins as UTF-16 text but is not: truncated data"),
        ("text,label\nx,0\n".encode("utf-32"), "a.csv", "a.csv must be UTF-8 text, or UTF-16 with"),
        ("[" * 100_000, "a.json", "line 1 is not JSON: it is nested too deeply"),
    ],
)
def test_faults_are_named(read: Read, content: str | bytes, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(content, name)


def test_a_line_that_names_the_columns_again_is_no_row(read: Read) -> None:
    content = "text,label\nx,0\ntext,label\ny,1\n"
    with pytest.raises(DataError, match="Only the first line of train.csv may name the columns; .*line 3"):
        read(content)
    assert read(content, spec=SPEC.model_copy(update={"drop_bad_rows": True})).labels == ("0", "1")

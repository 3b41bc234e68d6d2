from __future__ import annotations

import io
import json

import pytest

from unipelt_search.errors import DataError
from unipelt_search.tasks.json_files import json_tables
from unipelt_search.tasks.table import Table, joined_table

ROWS = [{"text": "x", "label": "a"}, {"text": "y", "label": "b"}, {"text": "z", "label": "a"}]
COLUMNS = {"text": ["x", "y", "z"], "label": ["a", "b", "a"]}
KEYED = {name: dict(zip("012", column, strict=True)) for name, column in COLUMNS.items()}
SPLIT = {"columns": ["text", "label"], "index": [0, 1, 2], "data": [list(row.values()) for row in ROWS]}
WANTED = ("text", "label")


def table_of(text: str, wanted: tuple[str, ...] | None = WANTED, rows: int = 100) -> Table:
    return joined_table(json_tables(lambda: io.StringIO(text, newline=""), "a.json", wanted, rows))


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        COLUMNS,
        KEYED,
        SPLIT,
        {"data": ROWS},
        {"version": 1, "rows": ROWS, "licence": ["free", "to use"]},
        {"schema": {"fields": [{"name": "text"}]}, "data": ROWS} | {"schema": {}},
        {"version": "2", **COLUMNS},
        {str(number): row for number, row in enumerate(ROWS)},
    ],
    ids=["rows", "columns", "keyed", "split", "wrapped", "wrapped with others", "table", "columns beside", "index"],
)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wanted", [WANTED, None])
def test_every_form_of_rows_is_read(value: object, indent: int | None, wanted: tuple[str, ...] | None) -> None:
    if wanted is None and isinstance(value, dict) and value.get("version") == "2":
        pytest.skip("what is beside the columns is told apart by the wanted ones alone")
    table = table_of(json.dumps(value, indent=indent), wanted)
    assert table.cells == COLUMNS
    assert [str(location) for location in table.locations] == [f"row {n} of a.json" for n in (1, 2, 3)]
    assert table.lines is None


def test_lines_are_read_in_pieces_with_their_numbers() -> None:
    lines = ["", *(json.dumps(row) for row in ROWS), " ", json.dumps({"label": "c", "more": 1})]
    pieces = list(json_tables(lambda: iter([f"{line}\n" for line in lines]), "a.jsonl", WANTED, 2))
    assert [len(piece) for piece in pieces] == [2, 2]
    table = joined_table(pieces)
    assert table.cells == {"text": ["x", "y", "z", None], "label": ["a", "b", "a", "c"]}
    assert [location.number for location in table.locations] == [2, 3, 4, 6]
    assert (table.lines, table.other_lines, table.names) == (6, {"blank": 2}, ("text", "label", "more"))


def test_rows_whose_cells_are_lists_are_no_columns() -> None:
    lines = "\n".join(json.dumps({"text": "x", "messages": [{"role": "user"}], "label": ["a"]}) for _ in range(2))
    assert table_of(lines).cells == {"text": ["x", "x"], "label": [["a"], ["a"]]}
    assert table_of('{"text": "x", "label": ["a", "b"], "more": [1]}').cells == {"text": ["x"], "label": [["a", "b"]]}


def test_keys_inside_of_objects_are_columns_unless_one_is_really_named_so() -> None:
    lines = ['{"text": "x", "meta": {"label": 1, "deep": {"er": null}}}', '{"text": "y", "meta": {}}']
    table = table_of("\n".join(lines), ("text", "meta.label"))
    assert table.cells == {"text": ["x", "y"], "meta.label": ["1", None]}
    assert table.names == ("text", "meta", "meta.label", "meta.deep.er")
    named = '{"text": "x", "meta": {"label": 1}, "meta.label": 2}\n{"text": "y", "meta": {"label": 1}}'
    assert table_of(named, ("meta.label",)).cells == {"meta.label": ["2", None]}
    assert set(table_of(named, None).cells) == {"text", "meta", "meta.label"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"train": [{"text": "x"}], "test": [{"text": "y"}]}', "several lists, .*: train, test. Save each"),
        ('{"text": ["x"], "label": [1, 2]}', "of different lengths: text, label"),
        ('{"text": "x"\n"label": 1}', "line 2 is not JSON: Expecting ','"),
        ('{"text": "x"}\n{"text": "y"', r"got what is not JSON \(Expecting .*\) at line 2 of"),
        ('"x"\n5', "must hold a JSON object; got str at line 1"),
        ("[1]", "must be a JSON object; got number at row 1"),
        ("[" * 100_000, "line 1 is not JSON: it is nested too deeply"),
        ("5\n{}", "object; got number at line 1"),
    ],
)
def test_other_forms_are_refused_with_those_that_are_read(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        table_of(text)


@pytest.mark.parametrize("text", ["", "\n\n", "[]"])
def test_a_file_without_rows_is_a_table_without_rows(text: str) -> None:
    assert table_of(text).cells == {"text": [], "label": []}


def test_lines_that_are_no_rows_are_left_out_and_told() -> None:
    lines = ['{"text": "x"}\n', "{\n", "5\n", '{"text": "y"}\n']
    (table,) = json_tables(lambda: iter(lines), "a.jsonl", ("text",), 10, strict=False)
    assert table.cells == {"text": ["x", "y"]}
    assert [row.location.number for row in table.broken] == [2, 3]
    assert table.broken[1].sentence == (
        "Every line of a.jsonl must hold a JSON object; got number at line 3 of a.jsonl. Correct these lines."
    )

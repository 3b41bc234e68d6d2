from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from unipelt_search.errors import DataError
from unipelt_search.exporting.table_source import (
    ROWS_AT_ONCE,
    file_pieces,
    find_files,
    outer_names,
    survey_tables,
    texts_of,
    unusable_text,
)
from unipelt_search.records.notice import Notice
from unipelt_search.tasks.table import Location, Table


def table_of(begin: int = 1, source: str = "a.csv", **cells: Sequence[object]) -> Table:
    rows = len(next(iter(cells.values())))
    lines = tuple(Location(source, number) for number in range(begin, begin + rows))
    return Table(source, tuple(cells), cells, lines)


def test_a_survey_counts_and_lists_what_objects_have() -> None:
    found = survey_tables(iter([table_of(t=["a", ""], n=[1, 2]), table_of(t=["b"], m=[3])]), ["t"])
    assert (found.rows, found.names, found.source) == (3, ("t", "n", "m"), "a.csv")


@pytest.mark.parametrize(
    ("tables", "refuse", "message"),
    [
        ([table_of(t=[])], False, "must have rows; it is empty"),
        ([table_of(n=["a"])], False, "--text must name a column of a.csv; got 't', found: n"),
        ([table_of(t=["a"]), table_of(2, t=[["b"]])], False, "Column 't' must hold text or numbers.*list at line 2"),
        (
            [table_of(t=["a", " "]), table_of(3, t=[None, "b"])],
            True,
            "none at line 2 of a.csv, line 3 of a.csv. Fill in",
        ),
        ([table_of(t=[""] * 9)], True, "line 4 of a.csv, line 5 of a.csv and 4 more"),
        ([Table("a.csv", ("t", "t"), {"t": ["a"]}, (Location("a.csv", 2),))], False, "'t' stands there 2 times"),
    ],
)
def test_a_survey_refuses_before_anything_is_predicted(tables: list[Table], refuse: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        survey_tables(iter(tables), ["t"], refuse_empty=refuse)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (("a", "b"), None),
        (("a", " \n"), "empty"),
        (("",), "empty"),
        (("a\x00",), "invalid_unicode"),
        (("a\udfff", "b"), "invalid_unicode"),
        (("\U0001f600",), None),
    ],
)
def test_texts_that_training_would_not_have_read(texts: tuple[str, ...], reason: str | None) -> None:
    assert unusable_text(texts) == reason


def test_texts_are_read_as_for_training() -> None:
    table = table_of(a=["x", None, 7, 1.5, True, float("nan")], b=["y"] * 6)
    assert texts_of(table, ["a", "b"]) == [
        ("x", "y"), ("", "y"), ("7", "y"), ("1.5", "y"), ("true", "y"), ("", "y"),
    ]  # fmt: skip
    assert texts_of(table_of(b=["y"]), ["a"]) == [("",)]


def test_every_file_must_have_the_columns() -> None:
    tables = [table_of(t=["a"], n=[1]), table_of(source="b.csv", t=["b"], m=[2])]
    found = survey_tables(iter(tables), ["t"])
    assert (found.source, found.rows, found.names) == ("the 2 files", 2, ("t", "n", "m"))
    with pytest.raises(DataError, match="--text must name a column of b.csv"):
        survey_tables(iter([*tables, table_of(source="b.csv", m=["b"])]), ["n"])
    with pytest.raises(DataError, match="c.csv must have rows"):
        survey_tables(iter([*tables, table_of(source="c.csv", t=[])]), ["t"])


def test_how_a_file_was_read_is_known() -> None:
    notice = Notice(code="quotes_are_text", values={"file": "a.tsv", "swallowed": 3})
    tables = [Table("a.tsv", ("t",), {"t": ["a"]}, (Location("a.tsv", 2),), notices=(notice,)), table_of(t=["b"])]
    assert survey_tables(iter(tables), ["t"]).notices == (notice,)


def test_blank_lines_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t\nw1\n\nw2\n\n")
    found = survey_tables(file_pieces([tmp_path / "a.csv"])(["t"]), ["t"])
    assert (found.rows, found.blank_lines) == (2, 2)


def test_files_are_found_and_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for part in (2, 1):
        (tmp_path / f"part-{part}.csv").write_text("t,n\n" + f"w{part},{part}\n" * (ROWS_AT_ONCE + 1))
    files = find_files(tmp_path / "part-*.csv")
    assert [path.name for path in files] == ["part-1.csv", "part-2.csv"]
    assert find_files(str(tmp_path / "other-*.csv")) == (tmp_path / "other-*.csv",)
    (tmp_path / "part-[1].csv").write_text("t\nw\n")
    assert find_files(tmp_path / "part-[1].csv") == (tmp_path / "part-[1].csv",)
    pieces = file_pieces(files)
    for _ in range(2):
        assert [(len(table), table.cells["n"][0]) for table in pieces(["n"])] == [
            (ROWS_AT_ONCE, "1"), (1, "1"), (ROWS_AT_ONCE, "2"), (1, "2"),
        ]  # fmt: skip


def test_columns_inside_of_others_are_no_columns_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": {"b": 1, "c.d": 2}, "x": 1, "x.1": 2}\n')
    pieces = file_pieces([tmp_path / "a.jsonl"])
    survey = survey_tables(pieces(["a.b"]), ["a.b"])
    assert set(survey.names) == {"a", "a.b", "a.c.d", "x", "x.1"}
    assert outer_names(survey.names, pieces) == ("a", "x", "x.1")
    (tmp_path / "a.csv").write_text("x,x.1\n1,2\n")
    assert outer_names(("x", "x.1"), file_pieces([tmp_path / "a.csv"])) == ("x", "x.1")

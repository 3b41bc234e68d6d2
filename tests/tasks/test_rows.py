from __future__ import annotations

import pytest

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import Rows, check_columns, format_list, make_rows

SPEC = TaskSpec(data="x", text=("text",), label="label")


def test_rows_are_taken_in_the_order_asked_for() -> None:
    rows = Rows((("x",), ("y",), ("z",)), ("a", "b", "c"))
    assert rows.take([2, 0]) == Rows((("z",), ("x",)), ("c", "a"))
    assert len(rows.take([])) == 0


def test_long_lists_are_cut() -> None:
    assert format_list(range(5)) == "0, 1, 2, 3, 4"
    assert format_list(range(8)) == "0, 1, 2, 3, 4 and 3 more"


def test_numbers_become_their_text() -> None:
    columns = {"text": [1, 2.5, True, "NA"], "label": [0, -1, 2, 3]}
    rows = make_rows(SPEC, columns, ["row 1", "row 2", "row 3", "row 4"], "x")
    assert rows == Rows((("1",), ("2.5",), ("true",), ("NA",)), ("0", "-1", "2", "3"))


@pytest.mark.parametrize("missing", [None, float("nan"), "", " \t"])
def test_missing_cells_are_named(missing: object) -> None:
    with pytest.raises(DataError, match=r"in x, column 'label' is empty at row 2\. Fill in"):
        make_rows(SPEC, {"text": ["a", "b"], "label": ["a", missing]}, ["row 1", "row 2"], "x")


def test_a_cell_without_a_text_form_is_named() -> None:
    with pytest.raises(DataError, match="'text' must hold text or numbers; x has bytes at row 1"):
        make_rows(SPEC, {"text": [b"a"], "label": ["a"]}, ["row 1"], "x")


def test_a_missing_column_is_named_by_its_option() -> None:
    with pytest.raises(
        DataError, match=r"--text must name a column of x; got 'text', found: texts, label\. Did you mean"
    ):
        check_columns(SPEC, ["texts", "label"], "x")


def test_an_empty_label_is_a_row_without_labels_where_rows_have_sets_of_them() -> None:
    columns = {"text": ["x", "y", "z"], "label": ["a|b", "", None]}
    source_lines = ["row 1", "row 2", "row 3"]
    rows = make_rows(SPEC, columns, source_lines, "x")
    assert (rows.labels, rows.source_lines[2]) == (("a|b", "", ""), "row 3 of x")
    with pytest.raises(DataError, match="empty at row 2, row 3"):
        make_rows(SPEC.model_copy(update={"kind": "classification"}), columns, source_lines, "x")
    alone = {**columns, "label": ["a", "", "b"]}
    with pytest.raises(DataError, match="write task.kind: multi_label"):
        make_rows(SPEC, alone, source_lines, "x")
    asked = SPEC.model_copy(update={"kind": "multi_label"})
    assert make_rows(asked, alone, source_lines, "x").labels == ("a", "", "b")
    with pytest.raises(DataError, match="column 'text' is empty at row 1"):
        make_rows(asked, {**alone, "text": ["", "y", "z"]}, source_lines, "x")


def test_rows_follow_others_and_share_a_text_whatever_their_blanks() -> None:
    first, second = Rows((("x  y",),), ("a",), ("line 1",)), Rows((("x y ",), ("z",)), ("b", "c"), ("line 2", "line 3"))
    both = first.followed_by(second)
    assert (both.labels, both.source_lines) == (("a", "b", "c"), ("line 1", "line 2", "line 3"))
    assert both.plain_texts() == [("x y",), ("x y",), ("z",)]
    assert Rows((("x",),), ("a",)).followed_by(second).source_lines == ()

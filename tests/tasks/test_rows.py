from __future__ import annotations

import pytest
from raw_rows import rows_of, table_of

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import Rows, check_columns, format_list
from unipelt_search.tasks.table import Location

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
    rows = rows_of(table_of(columns), SPEC)
    assert rows == Rows((("1",), ("2.5",), ("true",), ("NA",)), ("0", "-1", "2", "3"))


@pytest.mark.parametrize("missing", [None, float("nan"), "", " \t"])
def test_missing_cells_are_named(missing: object) -> None:
    with pytest.raises(DataError, match=r"in x, column 'label' is empty at row 2\. Fill in"):
        rows_of(table_of({"text": ["a", "b"], "label": ["a", missing]}), SPEC)


def test_a_cell_without_a_text_form_is_named() -> None:
    with pytest.raises(DataError, match="in x, column 'text' has bytes at row 1"):
        rows_of(table_of({"text": [b"a"], "label": ["a"]}), SPEC)


def test_a_missing_column_is_named_by_its_option() -> None:
    with pytest.raises(
        DataError, match=r"--text must name a column of x; got 'text', found: texts, label\. Did you mean"
    ):
        check_columns(SPEC, ["texts", "label"], "x")


def test_an_empty_label_is_a_row_without_labels_where_rows_have_sets_of_them() -> None:
    columns = {"text": ["x", "y", "z"], "label": ["a|b", "", None]}
    sets = {"text": ["w", *columns["text"]], "label": ["b", *columns["label"]]}
    rows = rows_of(table_of(sets), SPEC)
    assert (rows.labels, str(rows.locations[2])) == (("b", "a|b", "", ""), "row 3 of x")
    with pytest.raises(DataError, match="empty at row 2, row 3"):
        rows_of(table_of(columns), SPEC.model_copy(update={"kind": "classification"}))
    alone = {**columns, "label": ["a", "", "b"]}
    with pytest.raises(DataError, match="write --kind multi_label"):
        rows_of(table_of(alone), SPEC)
    asked = SPEC.model_copy(update={"kind": "multi_label"})
    assert rows_of(table_of(alone), asked).labels == ("a", "", "b")
    with pytest.raises(DataError, match="column 'text' is empty at row 1"):
        rows_of(table_of({**alone, "text": ["", "y", "z"]}), asked)


def test_rows_follow_others_and_share_a_text_whatever_their_blanks() -> None:
    locations = tuple(Location("x", number) for number in (1, 2, 3))
    first = Rows((("x  y",),), ("a",), locations[:1])
    second = Rows((("x y ",), ("z",)), ("b", "c"), locations[1:])
    both = first.followed_by(second)
    assert (both.labels, both.locations) == (("a", "b", "c"), locations)
    assert both.plain_texts() == [("x y",), ("x y",), ("z",)]
    assert Rows((("x",),), ("a",)).followed_by(second).locations == ()

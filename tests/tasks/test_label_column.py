from __future__ import annotations

import pytest

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.tasks.label_column import (
    BROKEN,
    LONGEST_SAMPLE,
    ColumnReading,
    LabelRequest,
    abbreviated,
    as_sets,
    found_notices,
)


def column(**asked: object) -> ColumnReading:
    return ColumnReading("label", LabelRequest(("label",), **asked))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "sets", "wanted_sets", "numbers"),
    [
        ("auto", True, False, False),
        ("multi_label", True, True, False),
        ("classification", False, False, False),
        ("regression", False, False, True),
    ],
)
def test_a_kind_says_what_may_be_looked_for(kind: str, sets: bool, wanted_sets: bool, numbers: bool) -> None:
    asked = LabelRequest(("label",), kind=kind)
    assert (asked.may_be_sets, asked.wants_sets, asked.wants_numbers) == (sets, wanted_sets, numbers)
    assert LabelRequest(("label",), kind=kind, separator=";").wants_sets


def test_cells_that_can_be_no_label_are_odd() -> None:
    reading = column()
    assert reading.plain(["a", {"b": 1}, "\x00", ["\ud800"], None]) == ["a", None, None, None, None]
    assert {row: (odd.type_name, odd.expected == BROKEN) for row, odd in reading.odd.items()} == {
        1: ("dict", False), 2: ("", True), 3: ("", True),
    }  # fmt: skip
    assert reading.samples == ("a",)


def test_sets_are_written_sorted_each_name_once() -> None:
    read = as_sets(column(), [("b", " a", "b"), (), None], of=("a", "b", "c"))
    assert read.labels == ["a|b", "", None]
    assert (read.declared.values["empty"], read.declared.values["never"]) == (1, ("c",))
    assert read.declared.values["one_each"] is False


def test_a_name_with_the_separator_is_refused_at_its_row() -> None:
    with pytest.raises(DataError, match="'b.c' at row 1"):
        as_sets(column(), [("a",), ("b|c",)])


def test_that_labels_decided_is_said_where_the_user_did_not() -> None:
    sets = find_kind("multi_label")
    reading = column()
    assert [notice.code for notice in found_notices(reading, sets)] == ["rows_have_sets"]
    reading.separator = sets.separator
    assert [notice.code for notice in found_notices(reading, sets)] == ["labels_are_sets"]
    assert [notice.code for notice in found_notices(reading, find_kind("regression"))] == ["labels_are_numbers"]
    assert found_notices(reading, find_kind("classification")) == ()
    assert found_notices(column(kind="multi_label"), sets) == ()


def test_long_cells_are_shortened() -> None:
    assert abbreviated(("a", "b")) == "[a, b]"
    assert abbreviated(None) == ""
    assert len(abbreviated("x" * 1000)) == LONGEST_SAMPLE + 1

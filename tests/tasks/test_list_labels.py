from __future__ import annotations

import pytest

from unipelt_search.tasks.label_cells import PlainCell
from unipelt_search.tasks.label_column import ColumnReading, LabelRequest
from unipelt_search.tasks.list_labels import lists_of, read_bits, read_lists


def column(**asked: object) -> ColumnReading:
    return ColumnReading("label", LabelRequest(("label",), **asked))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cells", "form", "separator", "lists"),
    [
        ([("a",), "b", None], "lists", None, [("a",), ("b",), ()]),
        (["['a', 'b']", ""], "list_text", None, [("a", "b"), ()]),
        (["[a, b]", "[a]", "[b]"], "list_text", None, [("a", "b"), ("a",), ("b",)]),
        (["[a, b]", "[a]", "[]", "[b]"], "list_text", None, [("a", "b"), ("a",), (), ("b",)]),
        (["[a, 1]", "[1]", "[a]"], "list_text", None, [("a", "1"), ("1",), ("a",)]),
        (["[]", "[]"], "list_text", None, [(), ()]),
        (["0 1 1", "0 0 1"], "separator", " ", [("0", "1", "1"), ("0", "0", "1")]),
        (["0,1,1", "0,0,1"], "separator", ",", [("0", "1", "1"), ("0", "0", "1")]),
    ],
)
def test_lists_are_found_however_they_are_written(
    cells: list[PlainCell], form: str, separator: str | None, lists: list[tuple[str, ...]]
) -> None:
    reading = column()
    assert lists_of(reading, cells) == lists
    assert (reading.form, reading.separator) == (form, separator)


@pytest.mark.parametrize(
    "cells", [["a", "b"], ["0,1", "1,0"], ["[PER]", "[LOC]"], ["0 1", "0 1 1"], [None, ""], [], ["nan", "nan"]]
)
def test_other_cells_are_no_lists(cells: list[PlainCell]) -> None:
    assert lists_of(column(), cells) is None


def test_a_separator_that_the_user_gives_is_taken() -> None:
    reading = column(separator=" and ")
    assert lists_of(reading, ["a and b", "c"]) == [("a", "b"), ("c",)]


def test_a_few_vectors_of_another_length_are_odd() -> None:
    reading = column()
    read = read_lists(reading, [("0", "1", "1")] * 20 + [("1", "0"), None])
    assert set(read.odd) == {20, 21}
    assert read.labels[0] == "label_1|label_2"


def test_bits_are_the_names_to_which_they_say_yes() -> None:
    assert read_bits(column(), [(True, False), None, (True, True)], ("x", "y")).labels == ["x", None, "x|y"]

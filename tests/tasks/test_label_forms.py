"""Odd label columns: each is read rightly, or refused with the remedy; single odd cells are told by their rows."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from unipelt_search.errors import DataError
from unipelt_search.tasks.label_column import LabelColumn, LabelRequest
from unipelt_search.tasks.label_forms import read_label_column

AUTO = LabelRequest(("label",))
CLASSES = LabelRequest(("label",), kind="classification")
NUMBERS = LabelRequest(("label",), kind="regression")
SETS = LabelRequest(("label",), kind="multi_label")
NAMED = LabelRequest(("label",), label_names=("x", "y", "z"))
PRICES = [str(100 + 37 * number) for number in range(20)]
VECTORS = [[1, 0, 1], [0, 0, 1]] * 5


def read(cells: list[object], asked: LabelRequest = AUTO) -> LabelColumn:
    return read_label_column({"label": cells}, asked)


@pytest.mark.parametrize(
    ("cells", "asked", "kind", "labels", "form"),
    [
        (["a", "b"], AUTO, "classification", ["a", "b"], "cells"),
        (["1", "2"], AUTO, "classification", ["1", "2"], "cells"),
        ([1.0, 2.0], AUTO, "classification", ["1.0", "2.0"], "cells"),
        ([True, np.bool_(False)], AUTO, "classification", ["true", "false"], "cells"),
        ([np.int64(1), np.int64(0)], AUTO, "classification", ["1", "0"], "cells"),
        (["[PER]", "[LOC]"], AUTO, "classification", ["[PER]", "[LOC]"], "cells"),
        (["5 stars", "1 star"] * 5, AUTO, "classification", ["5 stars", "1 star"] * 5, "cells"),
        (["Home | Garden", "Toys"], AUTO, "classification", ["Home | Garden", "Toys"], "cells"),
        (["Smith, John", "Doe, Jane"], AUTO, "classification", ["Smith, John", "Doe, Jane"], "cells"),
        (["n/a", "a", "b"], AUTO, "classification", ["n/a", "a", "b"], "cells"),
        ([["a"], ["b"]], AUTO, "classification", ["a", "b"], "lists_of_one"),
        ([[1, 0], [0, 1]], CLASSES, "classification", ["label_0", "label_1"], "vectors"),
        (PRICES, CLASSES, "classification", PRICES, "cells"),
        (["3,5", "2"], CLASSES, "classification", ["3,5", "2"], "cells"),
        (["1.5", "2"], AUTO, "regression", ["1.5", "2"], "cells"),
        (["3,5", "2"], AUTO, "regression", ["3.5", "2.0"], "cells"),
        (["12.5%", "3%"], AUTO, "regression", ["12.5", "3.0"], "cells"),
        (["1,234.5", "12"], AUTO, "regression", ["1234.5", "12.0"], "cells"),
        ([Decimal("0.50"), Decimal("1.00")], AUTO, "regression", ["0.50", "1.00"], "cells"),
        ([[1.5], [2.0]], AUTO, "regression", ["1.5", "2.0"], "lists_of_one"),
        (["1", "2"], NUMBERS, "regression", ["1", "2"], "cells"),
        (["1,2", "1,3", "2,3"], NUMBERS, "regression", ["1.2", "1.3", "2.3"], "cells"),
        (["joy, fear", "fear", "joy"], AUTO, "multi_label", ["fear|joy", "fear", "joy"], "separator"),
        (["a|b", "", "b", None], AUTO, "multi_label", ["a|b", "", "b", ""], "separator"),
        (["1,2", "1,2,3", "3", "2"], AUTO, "multi_label", ["1|2", "1|2|3", "3", "2"], "separator"),
        (["a b", "b"], LabelRequest(("label",), separator=" "), "multi_label", ["a|b", "b"], "separator"),
        (["Home | Garden", "Toys"], SETS, "multi_label", ["Garden|Home", "Toys"], "separator"),
        (["a", ""], SETS, "multi_label", ["a", ""], "separator"),
        (["['a']", "['a', 'b']"], AUTO, "multi_label", ["a", "a|b"], "list_text"),
        (["['a' 'b']", "[]"], AUTO, "multi_label", ["a|b", ""], "list_text"),
        (["[a, b]", "[b]", "[a]"], AUTO, "multi_label", ["a|b", "b", "a"], "list_text"),
        ([["a", "b"], ["a"], [], "b", None], AUTO, "multi_label", ["a|b", "a", "", "b", ""], "lists"),
        ([np.array(["a", "b"]), ("a",)], AUTO, "multi_label", ["a|b", "a"], "lists"),
        (VECTORS, AUTO, "multi_label", ["label_0|label_2", "label_2"] * 5, "vectors"),
        (VECTORS, NAMED, "multi_label", ["x|z", "z"] * 5, "vectors"),
        (["[1 0 1]", "[0 0 0]"], NAMED, "multi_label", ["x|z", ""], "vectors"),
        (["1|0|1", "0|0|0"], NAMED, "multi_label", ["x|z", ""], "vectors"),
        ([[1, 0], [0, 1]], AUTO, "multi_label", ["label_0", "label_1"], "vectors"),
        ([[True, False], [True, True]], AUTO, "multi_label", ["label_0", "label_0|label_1"], "vectors"),
        ([[2, 0], [1]], NAMED, "multi_label", ["x|z", "y"], "positions"),
    ],
)
def test_a_column_is_read_in_the_form_that_it_has(
    cells: list[object], asked: LabelRequest, kind: str, labels: list[str], form: str
) -> None:
    column = read(cells, asked)
    assert (column.kind.name, column.labels, column.odd) == (kind, labels, {})
    assert column.declared.values["form"] == form
    assert column.declared.severity == "fact"


@pytest.mark.parametrize(
    ("cells", "asked", "told"),
    [
        (PRICES, AUTO, "--kind regression predicts numbers"),
        ([f"c-{number}" for number in range(20)], AUTO, "an identifier or a text"),
        (["$3.50", "$4"], AUTO, "without a unit"),
        (["3.5 kg", "4 kg"], AUTO, "without a unit"),
        (["1,234", "2,345"], AUTO, "'1,234' in column 'label' at row 0 may be 1.234 or 1234.0"),
        (["1,2", "1,3", "2,3"], AUTO, "'1,2' in column 'label' at row 0 may be a number or two labels"),
        ([[0.2, 0.8], [0.5, 0.5]], AUTO, "holds a list of numbers"),
        ([[1, 2, 2], [3, 1, 2]], AUTO, "holds a list of numbers"),
        ([["a|b"], ["c", "d"]], AUTO, "must not hold '|'"),
        ([["a", "b"], ["b", "c"]], CLASSES, "exactly one label"),
        (["a", "b"], NUMBERS, "column 'label' has 'a'"),
        ([None, ""], NUMBERS, "column 'label' has nothing"),
        (VECTORS, LabelRequest(("label",), label_names=("x",)), "got 1 names for 3 numbers at row 0"),
        (["a", "b"], NAMED, "needs 0/1 vectors"),
        ([["a", "c"], ["b"]], NAMED, "needs 0/1 vectors or lists of positions"),
    ],
)
def test_what_nobody_can_mean_is_refused_with_the_remedy(cells: list[object], asked: LabelRequest, told: str) -> None:
    with pytest.raises(DataError) as refused:
        read(cells, asked)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("cells", "asked", "odd"),
    [
        (["3.5", "1.2"] * 10 + ["n/a"], AUTO, {20: "n/a"}),
        (["3,5", "1,2"] * 10 + ["4.5"], AUTO, {20: "4.5"}),
        (["1", "x"], NUMBERS, {1: "x"}),
        ([*VECTORS, [1, 0]], AUTO, {10: "[1, 0]"}),
        ([*VECTORS, [1, 0, 2]], AUTO, {10: "[1, 0, 2]"}),
        ([*VECTORS, None], AUTO, {10: "[]"}),
        (["['a', 'b']", "['a']", "['a'; 'b']"], AUTO, {2: "['a'; 'b']"}),
        ([["a", ""], ["a", "b"]], AUTO, {0: "[a, ]"}),
        (["['a', 'b']"] * 9 + ["['a', 'b"], AUTO, {9: "['a', 'b"}),
        (["['a', 'b']", "['a']", "nan"], AUTO, {2: "nan"}),
        (["1 0 1", "0 0 1"] * 5 + ["n/a"], AUTO, {10: "[n/a]"}),
        ([["a", "b"], ["a"], ["b"]], CLASSES, {0: "[a, b]"}),
        ([{"a": 1}, "x", "y"], AUTO, {0: ""}),
        ([[["a"]], ["b", "c"]], AUTO, {0: ""}),
        ([[3], [1]], NAMED, {0: "[3]"}),
    ],
)
def test_single_odd_cells_are_told_by_their_rows(cells: list[object], asked: LabelRequest, odd: dict[int, str]) -> None:
    column = read(cells, asked)
    assert {row: found.text for row, found in column.odd.items()} == odd
    assert all(column.labels[row] is None for row in odd)


def test_the_type_of_a_cell_that_is_no_label_is_told() -> None:
    odd = read([{"a": 1}, [["a"]], "x", "y"]).odd
    assert [odd[row].type_name for row in (0, 1)] == ["dict", "list of lists"]


def test_missing_labels_are_none_where_rows_have_one_each() -> None:
    assert read(["a", None, " ", "b"]).labels == ["a", None, None, "b"]
    assert read(["1.5", None, "", "2"]).labels == ["1.5", None, None, "2"]


def test_swapped_columns_are_told() -> None:
    asked = LabelRequest(("label",), text="stars", different_texts=2)
    with pytest.raises(DataError, match="swapped"):
        read([f"a long text {number}" for number in range(20)], asked)


def test_a_column_for_each_label_has_sets_of_the_columns_names() -> None:
    asked = LabelRequest(("price", "taste"))
    column = read_label_column({"price": ["1", "yes", "False", "0"], "taste": [0, "y", 0, None]}, asked)
    assert column.kind.name == "multi_label"
    assert column.labels == ["price", "price|taste", "", None]
    assert column.odd[3].column == "taste"
    assert column.declared.values["form"] == "columns"
    assert column.declared.values["empty"] == 1
    assert [notice.code for notice in column.notices] == ["rows_have_sets"]


def test_columns_with_exactly_one_1_can_be_read_as_names() -> None:
    asked = LabelRequest(("price", "taste"), kind="classification")
    column = read_label_column({"price": [1, 0], "taste": [0, 1]}, asked)
    assert (column.kind.name, column.labels) == ("classification", ["price", "taste"])


def test_a_label_that_no_row_has_is_told() -> None:
    column = read_label_column({"a": [1, 1], "b": [0, 0]}, LabelRequest(("a", "b")))
    assert column.declared.values["never"] == ("b",)


@pytest.mark.parametrize("asked", [{"separator": ","}, {"label_names": ("a", "b")}, {}])
def test_columns_that_are_no_0_1_columns_are_refused(asked: dict[str, object]) -> None:
    with pytest.raises(DataError, match="--label"):
        read_label_column({"a": ["x", "y"], "b": ["u", "v"]}, LabelRequest(("a", "b"), **asked))  # type: ignore[arg-type]


def test_numbers_are_declared_with_their_notation() -> None:
    values = read(["1.234,5", "0,5"]).declared.values
    assert (values["low"], values["high"]) == (0.5, 1234.5)
    assert (values["decimal"], values["thousands"], values["percent"]) == (",", ".", False)
    assert (values["samples"], values["numbers"]) == (("1.234,5", "0,5"), (1234.5, 0.5))


def test_a_separator_that_stays_in_names_is_declared() -> None:
    assert read(["Smith, John", "Doe, Jane"]).declared.values["kept"] == ","
    assert read(["a", "b"]).declared.values["kept"] is None

from __future__ import annotations

import pytest

from unipelt_search.kinds.label_separators import (
    LONGEST_PART,
    find_pair,
    find_separator,
    kept_separator,
    separation,
    split_cell,
)

GRID = [f"{first}, {last}" for first in ("Shoes", "Shirts") for last in ("Men", "Women", "Kids", "Sale")]


@pytest.mark.parametrize(
    ("texts", "separator"),
    [
        (["joy, fear", "fear", "love, joy", "joy"], ","),
        (["a,b", "a", "b"], ","),
        (["a, b", "a, c", "b, c"], ","),
        (["a", "a|b"], "|"),
        (["a|b", "a|c", "b|c"], "|"),
        (["x;y", "y", "x;z"], ";"),
        (["a/b", "a", "b"], "/"),
    ],
)
def test_parts_that_are_met_elsewhere_are_labels(texts: list[str], separator: str) -> None:
    assert find_separator(texts, asked=False) == separator


@pytest.mark.parametrize(
    "texts",
    [
        ["Smith, John", "Smith, Jane", "Doe, John"],
        ["Home | Garden", "Home | Kitchen", "Toys | Games"],
        ["Home | Garden", "Toys"],
        ["Paris, France", "Lyon, France", "Rome, Italy"],
        ["News | Other", "Sports | Other"],
        ["sport/tennis", "sport/golf", "news"],
        ["TCP/IP", "UDP"],
        ["yes", "no", "no, never", "yes, but later"],
        GRID,
        ["a", "b", ""],
    ],
)
def test_names_and_paths_stay_names(texts: list[str]) -> None:
    assert find_separator(texts, asked=False) is None


def test_a_user_who_asks_for_sets_needs_less_evidence() -> None:
    assert find_separator(["Home | Garden", "Toys"], asked=True) == "|"
    assert find_separator(["a", "b"], asked=True) is None


def test_sentences_are_not_split() -> None:
    long = "x" * (LONGEST_PART + 1)
    assert separation({f"{long},a", "a"}, ",").free == 0


def test_measures_count_the_different_parts() -> None:
    found = separation({"a,b", "b,c", "a"}, ",")
    assert (found.cells, found.alone) == (2, pytest.approx(1 / 3))
    assert found.free == pytest.approx(2 / 3)


def test_the_separator_that_names_hold_is_told() -> None:
    assert kept_separator(["Smith, John", "Doe, Jane", "a/b"]) == ","
    assert kept_separator(["a", "b"]) is None


@pytest.mark.parametrize(
    ("texts", "pair"),
    [
        (["1,2", "1,3", "2,3"], "1,2"),
        (["0,5", "1", "1,5", "2,5", "4,5"], None),
        (["3,5", "2,04", "4,1"], None),
        (["1,2", "1,2"], None),
    ],
)
def test_pairs_of_numbered_labels_are_told_from_decimal_commas(texts: list[str], pair: str | None) -> None:
    assert find_pair(texts) == pair


def test_cells_are_split_without_blanks_and_empty_parts() -> None:
    assert split_cell(" a ,, b ", ",") == ("a", "b")

from __future__ import annotations

from dataclasses import replace

import pytest

from unipelt_search.tasks.table import BrokenRow, Location, Table, WrittenNumber, joined_table, wanted_names


def test_a_location_is_named_with_and_without_its_source() -> None:
    location = Location("train.csv", 7)
    assert (str(location), location.in_source) == ("line 7 of train.csv", "line 7")
    assert str(Location("split train of glue", 3, "row")) == "row 3 of split train of glue"


def test_rows_of_a_table_are_taken_with_their_locations() -> None:
    locations = tuple(Location("x.csv", number) for number in (2, 3, 4))
    table = Table("x.csv", ("a", "b"), {"a": ["1", "2", "3"]}, locations, lines=4)
    taken = table.take([2, 0])
    assert (len(taken), taken.cells, taken.locations) == (2, {"a": ["3", "1"]}, (locations[2], locations[0]))
    assert (taken.names, taken.lines) == (("a", "b"), 4)


def piece(names: tuple[str, ...], start: int, **cells: list[object]) -> Table:
    rows = len(next(iter(cells.values())))
    locations = tuple(Location("x.csv", start + number) for number in range(rows))
    return Table("x.csv", names, cells, locations, lines=rows + 1, other_lines={"header": 1})


def test_pieces_are_one_table_with_what_each_of_them_lacks_missing() -> None:
    first = piece(("a", "a", "b"), 2, b=[1, 2])
    second = replace(piece(("b", "c"), 9, b=[3], c=["x"]), changed="this is new", broken=(BROKEN,))
    table = joined_table([first, second, second], "train (3 files)")
    assert (table.source, table.names) == ("train (3 files)", ("a", "a", "b", "c"))
    assert table.cells == {"b": [1, 2, 3, 3], "c": [None, None, "x", "x"]}
    assert [location.number for location in table.locations] == [2, 3, 9, 9]
    assert (table.lines, table.other_lines, table.changed) == (7, {"header": 3}, "this is new")
    assert table.broken == (BROKEN, BROKEN)
    assert joined_table([first]) == first


BROKEN = BrokenRow(Location("x.csv", 5), "Every row must fit", "3 fields", "is in a row of 3 fields", "Correct it")


def test_a_row_that_is_alone_in_being_wrong_is_one_sentence() -> None:
    assert BROKEN.sentence == "Every row must fit; got 3 fields at line 5 of x.csv. Correct it."


def test_columns_are_read_once_and_as_far_as_they_are_there() -> None:
    assert wanted_names(("a", "b", "a"), None) == ["a", "b"]
    assert wanted_names(("a", "b", "a"), ("c", "a")) == ["a"]


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("-0", 0), ("1.50", 1.5), ("1e3", 1000.0), ("9" * 30, 10**30 - 1)]
)
def test_a_number_as_written_is_text_and_a_number(text: str, number: float) -> None:
    written = WrittenNumber(text)
    assert written == text
    assert written.value == number
    assert type(written.value) is type(number)

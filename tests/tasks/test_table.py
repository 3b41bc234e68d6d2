from __future__ import annotations

import pytest

from unipelt_search.tasks.table import Location, Table, WrittenNumber


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


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("-0", 0), ("1.50", 1.5), ("1e3", 1000.0), ("9" * 30, 10**30 - 1)]
)
def test_a_number_as_written_is_text_and_a_number(text: str, number: float) -> None:
    written = WrittenNumber(text)
    assert written == text
    assert written.value == number
    assert type(written.value) is type(number)

from __future__ import annotations

import pytest

from unipelt_search.kinds.label_texts import add_weights, list_names, number_of, order_names, positions


@pytest.mark.parametrize(
    ("found", "ordered"),
    [
        ({"10", "9", "-1"}, ("-1", "9", "10")),
        ({"b", "a", "10", "9"}, ("10", "9", "a", "b")),
        ({"1.0", "0.5"}, ("0.5", "1.0")),
        ({"01", "1", "0"}, ("0", "01", "1")),
        ({"9" * 19, "8"}, ("8", "9" * 19)),
    ],
)
def test_names_are_sorted_and_integers_by_value(found: set[str], ordered: tuple[str, ...]) -> None:
    assert order_names(found) == ordered


def test_names_have_positions() -> None:
    assert positions(("b", "a")) == {"b": 0, "a": 1}
    assert list_names(("b", "a")) == "0. `b`\n1. `a`"


def test_cells_are_read_as_numbers() -> None:
    found = [number_of(text) for text in ("1", " -2.5e1 ", ".5", "5.", "1e999", "nan", "1_0", "", "1,5", "٣")]
    assert found == [1.0, -25.0, 0.5, 5.0, None, None, None, None, None, None]


def test_rows_of_a_name_are_counted_or_weighed() -> None:
    sets = [("a", "b"), ("a",), ()]
    assert add_weights(sets) == {"a": 2, "b": 1}
    assert add_weights(sets, (1.0, 0.5, 9.0)) == {"a": 1.5, "b": 1.0}

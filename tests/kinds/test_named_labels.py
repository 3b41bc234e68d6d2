from __future__ import annotations

import pytest

from unipelt_search.kinds.named_labels import list_names, order_names, positions


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

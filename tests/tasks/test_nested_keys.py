from __future__ import annotations

import pytest

from unipelt_search.tasks.nested_keys import nested_value, row_table, with_nested_names

ROW = {"a": {"b": {"c": 1}, "b.c": 2}, "x.y": {"z": 3}, "n": None}


@pytest.mark.parametrize(
    ("name", "value"), [("a.b.c", 2), ("a.b", {"c": 1}), ("x.y.z", 3), ("n", None), ("n.m", None), ("a.q", None)]
)
def test_keys_lead_to_values(name: str, value: object) -> None:
    assert nested_value(ROW, name) == value


def test_a_wanted_key_is_found_in_any_row() -> None:
    rows: list[dict[str, object]] = [{"a": 1}] * 500 + [{"a": {"late": 2}}]
    assert with_nested_names(["a"], rows, None) == ["a"]
    assert with_nested_names(["a"], rows, ("a.late",)) == ["a", "a.late"]
    table = row_table(rows, "mine", ("a.late", "gone"))
    assert table.cells["a.late"][-1] == 2
    assert "gone" not in table.cells
    assert str(table.locations[-1]) == "row 501 of mine"


def test_names_that_are_known_are_columns_without_a_row() -> None:
    table = row_table([], "mine", ("text",), ("text", "label"))
    assert (table.names, table.cells) == (("text", "label"), {"text": []})

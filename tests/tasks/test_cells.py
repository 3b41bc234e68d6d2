from __future__ import annotations

import pytest
from raw_rows import table_of

from unipelt_search.tasks.cells import check_filled, is_unicode, read_cells, read_weights, text_of
from unipelt_search.tasks.findings import EMPTY_TEXT, Findings, TableFindings


def found_in(*values: object) -> TableFindings:
    return Findings().of("train", table_of({"text": list(values)}))


@pytest.mark.parametrize(
    ("value", "text"),
    [("NA", "NA"), (None, ""), (float("nan"), ""), (True, "true"), (7, "7"), (0.5, "0.5"), (b"x", None), ([], None)],
)
def test_a_cell_has_a_text_or_none(value: object, text: str | None) -> None:
    assert text_of(value) == text


def test_cells_that_are_no_text_are_found_and_empty() -> None:
    values = ["a", b"x", "\ud800", "a\x00", {}, None]
    found = found_in(*values)
    assert read_cells("text", values, found) == ["a", "", "", "", "", ""]
    assert {(one.code, one.numbers) for one in found.findings.found} == {
        ("unreadable_cell", (2,)), ("unreadable_cell", (5,)), ("bad_unicode", (3, 4)),
    }  # fmt: skip
    check_filled("text", ["a", "", "", "", "", ""], found, EMPTY_TEXT)
    assert [one.numbers for one in found.findings.found if one.code == "empty_text"] == [(6,)]


def test_weights_are_positive_numbers() -> None:
    values = ["1", 2.5, "1e-2", "0", "-1", "", None, "1,5", "nan", [1]]
    found = found_in(*values)
    assert read_weights("w", values, found)[:3] == [1.0, 2.5, 0.01]
    assert found.good_rows() == [0, 1, 2]
    assert {one.code for one in found.findings.found} == {"bad_weight", "unreadable_cell"}


def test_half_a_surrogate_pair_and_nul_are_no_text() -> None:
    assert [is_unicode(text) for text in ("é😀", "\udfff", "\x00")] == [True, False, False]

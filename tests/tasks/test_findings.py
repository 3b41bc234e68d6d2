from __future__ import annotations

import pytest
from raw_rows import table_of

from unipelt_search.errors import DataError
from unipelt_search.records.finding import MAX_NUMBERS, FindingsError
from unipelt_search.tasks.findings import (
    BAD_WEIGHT,
    EMPTY_TEXT,
    MAX_CHARACTERS,
    MAX_KEPT,
    MISSING_LABEL,
    Findings,
    Problem,
)
from unipelt_search.tasks.table import Location

TABLE = table_of({"text": list("abcd"), "label": list("xyxy")}, "a.csv")
ODD = Problem("odd", "A row is usual", "is odd", "Look at it")


def test_what_is_said_with_the_same_words_is_one_finding() -> None:
    findings = Findings()
    found = findings.of("train", TABLE)
    for row in (0, 2):
        found.bad_row(row, "text", EMPTY_TEXT)
    found.bad_row(2, "label", MISSING_LABEL)
    findings.add(ODD, Location("b.csv", 9), "text", severity="info")
    assert [(one.code, one.source, one.numbers) for one in findings.found] == [
        ("empty_text", "a.csv", (1, 3)), ("missing_label", "a.csv", (3,)), ("odd", "b.csv", (9,)),
    ]  # fmt: skip
    assert found.good_rows() == [1, 3]
    assert findings.dropped("train", 4) is None
    with pytest.raises(FindingsError) as caught:
        findings.raise_errors()
    assert caught.value.findings == findings.found
    assert "--drop-bad-rows" in findings.found[0].fix


def test_rows_that_may_be_left_out_are_counted_by_what_was_found_first() -> None:
    findings = Findings(drop=True)
    found = findings.of("train", TABLE)
    found.bad_row(1, "text", EMPTY_TEXT)
    found.bad_row(1, "weight", BAD_WEIGHT, "0")
    found.bad_row(3, "text", EMPTY_TEXT)
    findings.raise_errors()
    assert found.good_rows() == [0, 2]
    notice = findings.dropped("train", 4)
    assert notice is not None
    assert notice.values == {
        "split": "train", "count": 2, "of": 4, "reasons": ("empty_text",), "reason_rows": (2,),
    }  # fmt: skip
    assert findings.dropped("test", 4) is None


def test_what_is_odd_is_no_error() -> None:
    findings = Findings()
    findings.add(ODD, Location("b.csv", 1), "text", severity="warning")
    with findings.gathered():
        pass
    assert not findings.has_errors


def test_errors_come_first_and_each_file_from_its_top() -> None:
    findings = Findings()
    findings.add(ODD, Location("train.csv", 9), "a", severity="warning")
    findings.add(ODD, Location("test.csv", 1), "b")
    findings.add(ODD, Location("train.csv", 8), "c")
    findings.add(ODD, Location("train.csv", 2), "d")
    assert [one.column for one in findings.found] == ["d", "c", "b", "a"]


def test_an_error_that_ends_the_reading_brings_what_was_found_before() -> None:
    findings = Findings()
    with pytest.raises(DataError) as plain, findings.gathered():
        raise DataError("Too few rows.")
    assert not isinstance(plain.value, FindingsError)
    findings.add(ODD, Location("a.csv", 1), "text")
    with pytest.raises(FindingsError) as both, findings.gathered():
        raise DataError("Too few rows.")
    assert (both.value.other, both.value.findings) == ("Too few rows.", findings.found)
    with pytest.raises(FindingsError) as once, findings.gathered(), findings.gathered():
        raise DataError("Too few rows.")
    assert str(once.value) == str(both.value)


def test_what_is_kept_is_bounded() -> None:
    findings = Findings()
    for number in range(1, 2 * MAX_KEPT + 1):
        findings.add(ODD, Location("a.csv", number), "text", value=str(number) * MAX_CHARACTERS)
        findings.add(ODD, Location("a.csv", number), f"column {number}")
    first, *others = findings.found
    assert (first.count, len(first.numbers), len(others)) == (2 * MAX_KEPT, MAX_NUMBERS, MAX_KEPT - 1)
    assert all(len(value) == MAX_CHARACTERS for value in first.values)
    assert findings.count == 2 * MAX_KEPT + 1

from __future__ import annotations

import pickle
from typing import Any

import pytest

from unipelt_search.records.finding import MAX_DISPLAYED, Finding, FindingsError


def finding(**changes: Any) -> Finding:
    values = {
        "code": "empty_text", "severity": "error", "source": "a.csv", "unit": "line", "numbers": (3, 7), "count": 2,
        "column": "text", "rule": "Every row must have a text", "what": "is empty", "fix": "Fill it in.",
    }  # fmt: skip
    return Finding.model_validate({**values, **changes})


def test_places_and_values_are_bounded() -> None:
    assert finding().where == "line 3, line 7"
    many = finding(numbers=tuple(range(1, 101)), count=500, unit="row", values=("0", "x"), values_count=7)
    assert many.where == "row 1, row 2, row 3, row 4, row 5 and 495 more"
    assert many.statement == "is empty ('0', 'x' and 5 more)"


def test_a_single_finding_is_the_rule_what_was_found_and_what_to_do() -> None:
    error = FindingsError([finding()])
    assert str(error) == ("Every row must have a text; in a.csv, column 'text' is empty at line 3, line 7. Fill it in.")
    assert str(error) == error.headline


def test_several_findings_are_a_sentence_and_a_line_each() -> None:
    odd = finding(severity="warning", source="b.csv", what="is odd", numbers=(1,), count=1)
    first, *lines = str(FindingsError([finding(), finding(column="label", count=1, numbers=(9,)), odd])).splitlines()
    assert "2 problems at 3 locations" in first
    assert lines[0] == "- a.csv, line 3, line 7, column 'text': Every row must have a text; it is empty. Fill it in."
    assert lines[2].startswith("- b.csv, line 1, column 'text': Every row must have a text; it is odd")
    assert len(lines) == 3


def test_what_is_wrong_with_the_whole_stands_last() -> None:
    assert str(FindingsError([finding()], other="Validation must have 2 rows.")).splitlines()[1:] == [
        "- a.csv, line 3, line 7, column 'text': Every row must have a text; it is empty. Fill it in.",
        "- Without these rows: Validation must have 2 rows.",
    ]


def test_a_long_list_is_cut_and_the_error_can_be_copied() -> None:
    error = FindingsError([finding(column=str(number)) for number in range(30)], 1234)
    assert len(str(error).splitlines()) == 1 + MAX_DISPLAYED + 1
    assert f"{1234 - MAX_DISPLAYED} more" in str(error).splitlines()[-1]
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.findings, copy.count, str(copy)) == (error.findings, 1234, str(error))


@pytest.mark.parametrize("severity", ["fatal", ""])
def test_a_severity_is_one_of_three(severity: str) -> None:
    with pytest.raises(ValueError, match="severity"):
        finding(severity=severity)

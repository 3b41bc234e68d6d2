"""Studies of the first two editions go on with the rule for labels that they began with."""

from __future__ import annotations

import pytest
from raw_rows import table_of

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.findings import Findings
from unipelt_search.tasks.first_label_rule import are_marked_withheld, read_by_first_rule
from unipelt_search.tasks.rows import read_rows
from unipelt_search.tasks.table import Tables

SPEC = TaskSpec(data="x", text=("text",), label="label")


def columns(labels: list[object]) -> dict[str, list[object]]:
    return {"text": [f"text {number}" for number in range(len(labels))], "label": labels}


def read(labels: list[object]) -> list[str]:
    table = table_of(columns(labels))
    return read_by_first_rule({"train": Findings().of("train", table)}, SPEC)["train"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["3,5", "2"], ["3,5", "2"]),
        (["joy, fear", "joy", "fear"], ["joy, fear", "joy", "fear"]),
        ([["b", "a"], []], ["b|a", ""]),
        ([["1", "0", "1"], ["0", "0", "1"]], ["1|0|1", "0|0|1"]),
        (["Home | Garden", ""], ["Home | Garden", ""]),
        ([1, True], ["1", "true"]),
    ],
)
def test_labels_are_read_as_they_were(labels: list[object], expected: list[str]) -> None:
    assert read(labels) == expected


@pytest.mark.parametrize(
    ("labels", "kinds"),
    [
        (["3,5", "2"] * 15, ("classification", "regression")),
        (["joy, fear", "joy", "fear"] * 10, ("classification", "multi_label")),
        (["Home | Garden", "Toys"] * 15, ("multi_label", "classification")),
    ],
)
def test_the_edition_of_a_study_decides_what_its_labels_are(labels: list[object], kinds: tuple[str, str]) -> None:
    tables = Tables("mine", {"train": table_of(columns(labels))})
    found = []
    for edition in (2, 3):
        raw = read_rows(tables, SPEC, edition=edition)
        found.append(build_task(raw, SPEC, 0, edition=edition).kind)
    assert tuple(found) == kinds


def test_rows_without_a_label_are_found() -> None:
    with pytest.raises(DataError, match="is empty at row 2"):
        read_rows(Tables("mine", {"train": table_of(columns(["a", ""]))}), SPEC, edition=2)


def test_labels_that_are_withheld_are_minus_one_or_nothing() -> None:
    assert are_marked_withheld([-1, None, "-1"])
    assert not are_marked_withheld([""])

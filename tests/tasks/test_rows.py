from __future__ import annotations

import pytest
from raw_rows import rows_of, table_of

from unipelt_search.errors import DataError
from unipelt_search.records.finding import FindingsError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.findings import Findings
from unipelt_search.tasks.rows import Rows, check_columns, format_list, read_rows
from unipelt_search.tasks.table import Location, Tables

SPEC = TaskSpec(data="x", text=("text",), label="label")


def test_rows_are_taken_in_the_order_asked_for() -> None:
    rows = Rows((("x",), ("y",), ("z",)), ("a", "b", "c"))
    assert rows.take([2, 0]) == Rows((("z",), ("x",)), ("c", "a"))
    assert len(rows.take([])) == 0


def test_long_lists_are_cut() -> None:
    assert format_list(range(5)) == "0, 1, 2, 3, 4"
    assert format_list(range(8)) == "0, 1, 2, 3, 4 and 3 more"


def test_numbers_become_their_text() -> None:
    columns = {"text": [1, 2.5, True, "NA"], "label": [0, -1, 2, 3]}
    rows = rows_of(table_of(columns), SPEC)
    assert rows == Rows((("1",), ("2.5",), ("true",), ("NA",)), ("0", "-1", "2", "3"))


@pytest.mark.parametrize("missing", [None, float("nan"), "", " \t"])
def test_missing_cells_are_named(missing: object) -> None:
    with pytest.raises(DataError, match=r"in x, column 'label' is empty at row 2\. Fill in"):
        rows_of(table_of({"text": ["a", "b"], "label": ["a", missing]}), SPEC)


def test_a_cell_without_a_text_form_is_named() -> None:
    with pytest.raises(DataError, match="in x, column 'text' has bytes at row 1"):
        rows_of(table_of({"text": [b"a"], "label": ["a"]}), SPEC)


def test_a_missing_column_is_named_by_its_option() -> None:
    with pytest.raises(
        DataError, match=r"--text must name a column of x; got 'text', found: texts, label\. Did you mean"
    ):
        check_columns(SPEC, ["texts", "label"], "x")


def test_several_columns_in_one_option_are_told_apart() -> None:
    spec = SPEC.model_copy(update={"label": ("price, taste",)})
    with pytest.raises(DataError, match="write --label price --label taste"):
        check_columns(spec, ["text", "price", "taste"], "x")


def test_an_empty_label_is_a_row_without_labels_where_rows_have_sets_of_them() -> None:
    columns = {"text": ["x", "y", "z"], "label": ["a|b", "", None]}
    sets = {"text": ["w", *columns["text"]], "label": ["b", *columns["label"]]}
    rows = rows_of(table_of(sets), SPEC)
    assert (rows.labels, str(rows.locations[2])) == (("b", "a|b", "", ""), "row 3 of x")
    with pytest.raises(DataError, match="empty at row 2, row 3"):
        rows_of(table_of(columns), SPEC.model_copy(update={"kind": "classification"}))
    alone = {**columns, "label": ["a", "", "b"]}
    with pytest.raises(DataError, match="write --kind multi_label"):
        rows_of(table_of(alone), SPEC)
    asked = SPEC.model_copy(update={"kind": "multi_label"})
    assert rows_of(table_of(alone), asked).labels == ("a", "", "b")
    with pytest.raises(DataError, match="column 'text' is empty at row 1"):
        rows_of(table_of({**alone, "text": ["", "y", "z"]}), asked)


def test_rows_follow_others_and_share_a_text_whatever_their_blanks() -> None:
    locations = tuple(Location("x", number) for number in (1, 2, 3))
    first = Rows((("x  y",),), ("a",), locations[:1])
    second = Rows((("x y ",), ("z",)), ("b", "c"), locations[1:])
    both = first.followed_by(second)
    assert (both.labels, both.locations) == (("a", "b", "c"), locations)
    assert both.plain_texts() == [("x y",), ("x y",), ("z",)]
    assert Rows((("x",),), ("a",)).followed_by(second).locations == ()


WEIGHED = SPEC.model_copy(update={"weight": "w"})
FLAWED = {
    "text": ["a", "", "c", None, "e", b"f", "g"],
    "label": ["x", "y", "", "y", "x", "y", "\x00"],
    "w": [1, 2, 3, 4, "0", 6, 7.5],
}


def test_every_row_that_cannot_be_used_is_found_at_once() -> None:
    with pytest.raises(FindingsError) as caught:
        rows_of(table_of(FLAWED), WEIGHED)
    assert {(one.code, one.column, one.numbers) for one in caught.value.findings} == {
        ("empty_text", "text", (2, 4)), ("missing_label", "label", (3,)), ("bad_weight", "w", (5,)),
        ("unreadable_cell", "text", (6,)), ("bad_unicode", "label", (7,)),
    }  # fmt: skip


def test_rows_that_cannot_be_used_are_dropped_and_counted_split_by_split() -> None:
    spec = WEIGHED.model_copy(update={"drop_bad_rows": True})
    more = {"text": ["a", " "], "label": ["x", "y"], "w": [1, 1]}
    tables = Tables("mine", {"train": table_of(FLAWED), "test": table_of(more)})
    raw = read_rows(tables, spec)
    assert raw.splits["train"] == Rows((("a",),), ("x",), weights=(1.0,))
    assert len(raw.splits["test"]) == 1
    train, test, _ = raw.notices
    assert (train.values["split"], train.values["count"], train.values["of"]) == ("train", 6, 7)
    assert sum(train.values["reason_rows"]) == 6  # type: ignore[arg-type]
    assert test.values["reasons"] == ("empty_text",)
    with pytest.raises(DataError, match="all 2 are left out"):
        rows_of(table_of({"text": ["", ""], "label": ["x", "y"], "w": [1, 1]}), spec)


def test_findings_of_the_caller_are_added_to_and_not_raised() -> None:
    findings = Findings()
    raw = read_rows(Tables("mine", {"train": table_of(FLAWED)}), WEIGHED, findings)
    assert len(raw.splits["train"]) == 1
    assert raw.findings is findings
    assert findings.has_errors


def test_a_group_is_one_however_a_table_with_gaps_stores_its_number() -> None:
    table = table_of({"text": list("abcde"), "label": list("xyxyx"), "who": [12, 12.0, "12 ", "012", "1.2"]})
    rows = rows_of(table, SPEC.model_copy(update={"group": "who"}))
    assert rows.groups == ("12", "12", "12", "012", "1.2")


def test_rows_of_a_split_without_weights_count_like_a_usual_training_row() -> None:
    train = table_of({"text": ["a", "b"], "label": ["x", "y"], "w": [1, 3]})
    test = table_of({"text": ["c"], "label": ["x"]})
    raw = read_rows(Tables("mine", {"train": train, "test": test}), WEIGHED)
    assert (raw.splits["train"].weights, raw.splits["test"].weights) == ((1.0, 3.0), (2.0,))
    read, absent = raw.notices
    assert (read.code, read.values["low"], read.values["high"]) == ("weights_read", 1.0, 3.0)
    assert (absent.code, absent.values["split"]) == ("weights_absent", "test")
    with pytest.raises(DataError, match="--weight must name a column"):
        read_rows(Tables("mine", {"train": test}), WEIGHED)

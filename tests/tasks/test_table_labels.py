from __future__ import annotations

import pytest
from raw_rows import table_of

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.findings import Findings
from unipelt_search.tasks.rows import RawData, read_rows
from unipelt_search.tasks.table import Table, Tables
from unipelt_search.tasks.table_labels import read_table_labels, why_without_labels

SPEC = TaskSpec(data="x", text=("text",), label="label")
COLUMNS = SPEC.model_copy(update={"label": ("price", "taste")})


def table(labels: list[object], source: str = "train.csv") -> Table:
    return table_of({"text": [f"{source} {number}" for number in range(len(labels))], "label": labels}, source)


def read(splits: dict[str, list[object]], **task: object) -> RawData:
    tables = {name: table(labels, f"{name}.csv") for name, labels in splits.items()}
    return read_rows(Tables("mine", tables), SPEC.model_copy(update=task))


def test_one_form_holds_for_all_splits() -> None:
    raw = read({"train": [["a"], ["a", "b"], ["a"]], "test": [[], ["a"]]})
    assert raw.splits["train"].labels == ("a", "a|b", "a")
    assert raw.splits["test"].labels == ("", "a")
    assert raw.form is not None
    assert raw.form.kind.name == "multi_label"
    assert [notice.code for notice in raw.form.notices] == ["label_sets", "rows_have_sets"]
    alone = read({"train": [["a"], ["b"]], "test": [["a"]]})
    assert alone.splits["test"].labels == ("a",)


def test_an_odd_label_is_named_by_its_file_and_row() -> None:
    splits = {"train": ["1.5", "2.5"] * 10, "test": ["3.5", "n/a"]}
    with pytest.raises(DataError) as refused:
        read(splits)
    assert "in test.csv, column 'label' is not ('n/a') at row 2" in str(refused.value)
    dropped = read(splits, drop_bad_rows=True)
    assert dropped.splits["test"].labels == ("3.5",)


def test_among_numbers_a_missing_label_is_no_empty_set() -> None:
    with pytest.raises(DataError) as refused:
        read({"train": ["1", "0", ""]})
    assert "multi_label" not in str(refused.value)
    with pytest.raises(DataError, match="--kind multi_label"):
        read({"train": ["a", "b", ""]})


def test_one_number_written_in_two_ways_gets_a_hint() -> None:
    for test in (["1.0", "0"], ["1.0"] * 30):
        with pytest.raises(DataError, match="read it as one with '1' by --merge-labels"):
            build_task(read({"train": ["1", "0"] * 5, "test": test}), SPEC, 0)


def test_a_whole_column_that_is_refused_names_its_first_cell() -> None:
    with pytest.raises(DataError, match=r"'\$3' at row 1 of train.csv"):
        read({"train": ["$3", "$4"]})
    with pytest.raises(DataError, match="at row 2 of test.csv"):
        read({"train": [["a"], ["b", "c"]], "test": [["b"], ["c|d"]]})


def test_the_labels_of_tables_are_as_long_as_the_tables() -> None:
    findings = Findings(drop=True)
    tables = {"train": findings.of("train", table(["a", None, "b"]))}
    labels = read_table_labels(tables, SPEC, edition=3)
    assert labels.by_split["train"] == ["a", "", "b"]
    assert findings.bad_rows("train") == {1}


@pytest.mark.parametrize(
    ("columns", "spec", "edition", "code"),
    [
        ({"text": ["x"]}, SPEC, 3, "labels_absent"),
        ({"text": ["x"]}, COLUMNS, 3, "labels_absent"),
        ({"text": ["x"]}, SPEC, 2, None),
        ({"text": ["x"], "Label ": ["a"]}, SPEC, 3, None),
        ({"text": ["x"], "price": [1]}, COLUMNS, 3, None),
        ({"text": ["x"], "label": ["-1"]}, SPEC, 3, "labels_withheld"),
        ({"text": ["x"], "label": ["-1"]}, SPEC, 2, "labels_withheld"),
        ({"text": ["x"], "label": [" "]}, SPEC, 3, "labels_absent"),
        ({"text": ["x"], "label": [" "]}, SPEC, 2, None),
        ({"text": ["x"], "label": [[-1, -1]]}, SPEC, 3, "labels_withheld"),
        ({"text": ["x"], "price": [-1], "taste": [-1]}, COLUMNS, 3, "labels_withheld"),
        ({"text": ["x"], "label": ["a"]}, SPEC, 3, None),
        ({"text": ["x"], "label": [[]]}, SPEC, 3, None),
    ],
)
def test_a_split_without_labels_is_left_out_with_the_reason(
    columns: dict[str, list[object]], spec: TaskSpec, edition: int, code: str | None
) -> None:
    notice = why_without_labels(table_of(columns, "test.csv"), spec, "mine", edition=edition)
    assert (None if notice is None else notice.code) == code


def test_a_test_file_without_labels_is_not_scored() -> None:
    splits = {"train": table(["a", "b"] * 20), "test": table_of({"text": ["new"]}, "test.csv")}
    raw = read_rows(Tables("mine", splits), SPEC)
    assert set(raw.splits) == {"train"}
    task = build_task(raw, SPEC, 0)
    assert [notice.code for notice in task.notices][:1] == ["labels_absent"]
    assert "test_split_off" in {notice.code for notice in task.notices}
    assert all(text != ("new",) for text in task.test.texts)


def test_a_column_for_each_label_is_read_over_all_splits() -> None:
    one = table_of({"text": ["a", "b"], "price": [1, 0], "taste": ["1", "yes"]}, "train.csv")
    other = table_of({"text": ["c"], "price": ["no"], "taste": ["false"]}, "test.csv")
    raw = read_rows(Tables("mine", {"train": one, "test": other}), COLUMNS)
    assert (raw.splits["train"].labels, raw.splits["test"].labels) == (("price|taste", "taste"), ("",))

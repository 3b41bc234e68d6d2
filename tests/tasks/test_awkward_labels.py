"""Label tables that people reported for other tools, read as their authors meant them."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_rows import read_data

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.load import load_task
from unipelt_search.tasks.rows import RawData

CASES = Path(__file__).parents[3] / "shared" / "cases" / "data"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"the awkward tables are not at {CASES}")
pytestmark = needs_cases
ASPECTS = ("price", "service", "taste")


def spec(name: str, label: str | tuple[str, ...] = "label", text: str = "text", **task: object) -> TaskSpec:
    return TaskSpec(data=str(CASES / name), text=(text,), label=label, **task)  # type: ignore[arg-type]


def form(raw: RawData) -> tuple[str, str, dict[str, object]]:
    """Return the kind, the code of the declared form, and its values."""
    assert raw.form is not None
    declared = raw.form.notices[0]
    return raw.form.kind.name, declared.code, dict(declared.values)


def test_one_0_1_column_per_label_is_sets_and_empty_ones_are_counted() -> None:
    raw = read_data(spec("03_one_hot_columns.csv", ASPECTS))
    kind, code, values = form(raw)
    assert (kind, code, values["form"], values["labels"]) == ("multi_label", "label_sets", "columns", ASPECTS)
    train = raw.splits["train"]
    assert (len(train), values["empty"]) == (80, train.labels.count(""))
    for (text,), label in zip(train.texts, train.labels, strict=True):
        named = text.rpartition(" on ")[2]
        assert label == ("" if named == "nothing" else "|".join(sorted(named.split("-"))))


def test_a_decimal_comma_is_read_and_declared() -> None:
    raw = read_data(spec("04_decimal_comma.csv", "score"))
    kind, code, values = form(raw)
    assert (kind, code, values["decimal"]) == ("regression", "label_numbers", ",")
    assert raw.splits["train"].labels[:2] == ("3.11", "0.39")
    assert values["samples"][0] == "3,11"  # type: ignore[index]
    assert values["numbers"][0] == 3.11  # type: ignore[index]


def test_a_test_file_without_labels_is_not_scored() -> None:
    task = load_task(spec("05_kaggle", "target"), seed=0)
    absent = [notice for notice in task.notices if notice.code == "labels_absent"]
    assert [notice.values["source"] for notice in absent] == ["test.csv"]
    assert sum(len(split) for split in (task.train, task.tune, task.select, task.test)) >= 100
    assert task.labels == ("0", "1")


@pytest.mark.parametrize("metric", ["auto", "f1"])
def test_the_positive_class_can_be_named(metric: str) -> None:
    task = load_task(spec("08_hate_normal.csv", metric=metric, positive="hate"), seed=0)
    assert task.target.positive == task.labels.index("hate")
    assert task.summary().target.positive == task.target.positive


def test_without_a_name_the_notice_says_which_class_was_taken() -> None:
    task = load_task(spec("08_hate_normal.csv", metric="f1"), seed=0)
    (notice,) = (notice for notice in task.notices if notice.code == "positive_label")
    assert notice.values["label"] == "normal"
    with pytest.raises(DataError, match="Did you mean 'hate'"):
        load_task(spec("08_hate_normal.csv", metric="f1", positive="hat"), seed=0)


@pytest.mark.parametrize(
    ("name", "label", "how", "separator", "sets"),
    [
        ("09_lists.parquet", "labels", "lists", None, ("a|b", "a")),
        ("19_comma_sets.csv", "labels", "separator", ",", ("love", "anger|joy|love")),
        ("25_list_strings.csv", "label", "list_text", None, ("a", "a|b")),
    ],
)
def test_sets_are_read_and_declared(name: str, label: str, how: str, separator: str | None, sets: tuple[str]) -> None:
    raw = read_data(spec(name, label))
    kind, code, values = form(raw)
    assert (kind, code, values["form"], values["separator"]) == ("multi_label", "label_sets", how, separator)
    assert raw.splits["train"].labels[:2] == sets


def test_decimal_numbers_of_arrow_are_numbers() -> None:
    raw = read_data(spec("09_decimal.parquet", "score"))
    assert form(raw)[0] == "regression"
    assert raw.splits["train"].labels[:3] == ("0.00", "0.50", "1.00")


def test_swapped_columns_are_refused() -> None:
    with pytest.raises(DataError, match="swapped"):
        load_task(spec("14_swapped.csv", label="text", text="label"), seed=0)


def test_prices_are_a_number_or_an_identifier() -> None:
    with pytest.raises(DataError, match="a number or an identifier"):
        load_task(spec("24_whole_prices.csv"), seed=0)
    assert load_task(spec("24_whole_prices.csv", kind="regression"), seed=0).kind == "regression"


def test_one_decision_for_all_splits() -> None:
    raw = read_data(spec("26_lists_test_without_pairs"))
    assert form(raw)[0] == "multi_label"
    assert set(raw.splits["test"].labels) == {"", "a"}

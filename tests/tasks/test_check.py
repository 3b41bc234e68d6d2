from __future__ import annotations

import pytest

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import Target, find_kind
from unipelt_search.records.finding import FindingsError
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.check import (
    check_columns_differ,
    check_rows,
    decide_kind,
    order_labels,
    read_labels,
    without_unknown,
)
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.split import RawSplits


def labelled(*labels: str, start: str = "text") -> Rows:
    return Rows(tuple((f"{start} {number}",) for number in range(len(labels))), labels)


def notices(train: Rows, validation: Rows, test: Rows, whole: Rows | None = None) -> tuple[Notice, ...]:
    half = len(validation) // 2
    tune, select = validation.take(range(half)), validation.take(range(half, len(validation)))
    splits = RawSplits(whole or train, train, tune, select, test, ())
    return check_rows(splits, Target("classification", ("a", "b")), allow_overlap=True)


CLASSES = find_kind("classification")
NUMBERS = find_kind("regression")
TWO = Target("classification", ("a", "b"))
FIVE_EACH = labelled(*"aaaaabbbbb")
MANY = labelled(*"ab" * 100, start="validation")
TEST = labelled(*"abab", start="test")


@pytest.mark.parametrize(
    ("found", "ordered"),
    [
        (("10", "9", "-1"), ("-1", "9", "10")),
        (("b", "a", "10", "9"), ("10", "9", "a", "b")),
        (("1.0", "0.5"), ("0.5", "1.0")),
        (("01", "1", "0"), ("0", "01", "1")),
    ],
)
def test_labels_are_sorted_and_integers_by_value(found: tuple[str, ...], ordered: tuple[str, ...]) -> None:
    assert order_labels(RawData("x", {"train": labelled(*found)}), CLASSES) == ordered


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2 labels; all 3 have 'a'"):
        order_labels(RawData("x", {"train": labelled("a", "a", "a")}), CLASSES)


def test_labels_that_train_lacks_are_named_with_their_rows() -> None:
    raw = RawData("x", {"train": labelled("a", "b"), "test": labelled("a", "c", "b", "B", "c")})
    known = without_unknown(raw, CLASSES, {"B": "b"}, "label")
    assert known.splits == {"train": raw.splits["train"], "test": raw.splits["test"].take([0, 2])}
    found = {finding.what: (finding.numbers, finding.fix) for finding in raw.findings.found}
    assert [numbers for numbers, _ in found.values()] == [(2, 5), (4,)]
    assert "--merge-labels" in found["has 'B'"][1]
    assert "--merge-labels" not in found["has 'c'"][1]
    with pytest.raises(FindingsError):
        without_unknown(RawData("x", {"train": labelled("a"), "test": labelled("b")}), CLASSES, {}, "label")


def test_labels_that_look_alike_are_merged_where_asked() -> None:
    raw = RawData("x", {"train": labelled("a", "a", "A", "b"), "test": labelled("B", "a")})
    spec = TaskSpec(data="x", text=("text",), label="label")
    merged = read_labels(raw, spec.model_copy(update={"merge_labels": True}))
    assert merged.labels == ("a", "b")
    assert merged.raw.splits["test"].labels == ("b", "a")
    assert [notice.code for notice in merged.raw.notices] == ["labels_merged"]
    assert read_labels(raw, spec).labels == ("A", "a", "b")


@pytest.mark.parametrize(("text", "label"), [(("l",), "l"), (("t", "t"), "l"), (("t", "l"), "l")])
def test_a_column_has_one_job(text: tuple[str, ...], label: str) -> None:
    with pytest.raises(DataError, match="must name different columns"):
        check_columns_differ(TaskSpec(data="x", text=text, label=label))


def test_a_group_is_not_the_label() -> None:
    check_columns_differ(TaskSpec(data="x", text=("t",), label="l", group="t", order="l"))
    with pytest.raises(DataError, match="--group and --label must name different columns; got 'l' twice"):
        check_columns_differ(TaskSpec(data="x", text=("t",), label="l", group="l"))


def test_clean_data_has_no_notices() -> None:
    assert notices(FIVE_EACH, MANY, TEST) == ()


def test_overlap_is_measured_without_regard_to_white_space() -> None:
    test = Rows((("text  0\n",), ("new",), ("text\t3",), ("Text 4",)), tuple("abab"))
    (notice,) = notices(FIVE_EACH, MANY, test)
    values = {"split": "test", "count": 2, "rows": 4}
    assert notice == Notice(code="overlap", severity="warning", values=values)


def test_test_rows_that_are_validation_rows_are_counted() -> None:
    found = notices(FIVE_EACH, MANY, Rows((*TEST.texts[:2], *MANY.texts[:1]), tuple("aba")))
    assert Notice(code="test_rows_in_validation", severity="warning", values={"count": 1, "rows": 3}) in found


def test_overlap_of_pairs_needs_both_texts() -> None:
    train = Rows((("x", "y"),) * 10, tuple("a" * 5 + "b" * 5))
    test = Rows((("x", "z"), ("y", "x")), ("a", "b"))
    assert "overlap" not in {notice.code for notice in notices(train, MANY, test)}


def test_few_rows_two_labels_rare_and_lost_labels_are_said() -> None:
    train = Rows((("same",), ("same ",), ("other",)), ("a", "b", "b"))
    got = notices(train, MANY.take(range(10)), TEST)
    assert {notice.code: dict(notice.values) for notice in got} == {
        "rare_labels": {"labels": ("a", "b"), "labels_count": 2, "fewer_than": 5},
        "texts_with_two_labels": {"count": 1},
        "few_validation_rows": {"rows": 10, "fewer_than": 200},
    }
    (lost,) = notices(FIVE_EACH.take([0, 1]), MANY, TEST, whole=FIVE_EACH)
    assert (lost.code, lost.severity) == ("labels_without_rows", "warning")
    assert lost.values == {"labels": ("b",), "labels_count": 1, "of": 2, "rows": 2}


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (("a", "b", "1.5"), "classification"),
        (("1", "2.0", "3"), "classification"),
        (("1", "2.5", "-3e-1"), "regression"),
        (("1", "2.5", "nan"), "classification"),
        (("1.5", "1_0"), "classification"),
        (("a|b", "a"), "multi_label"),
        (("a|", "b", "|"), "classification"),
        (("1.5|2", "2"), "multi_label"),
    ],
)
def test_the_kind_is_seen_in_the_labels_and_said(labels: tuple[str, ...], kind: str) -> None:
    raw = RawData("x", {"train": labelled(*labels[:1]), "test": labelled(*labels[1:])})
    spec = TaskSpec(data="x", text=("t",), label="l")
    _, found, said = decide_kind(raw, spec)
    assert found.name == kind
    code = {"regression": "labels_are_numbers", "multi_label": "labels_are_sets"}.get(kind)
    assert [notice.code for notice in said] == ([code] if code else [])
    assert decide_kind(raw, spec.model_copy(update={"kind": "classification"})) == (raw, CLASSES, ())


def test_sets_of_labels_are_written_in_one_way() -> None:
    raw = RawData("x", {"train": labelled("b| a", "a|b|a", "", "c")})
    written, _, _ = decide_kind(raw, TaskSpec(data="x", text=("t",), label="l", kind="multi_label"))
    assert written.splits["train"].labels == ("a|b", "a|b", "", "c")
    assert order_labels(written, find_kind("multi_label")) == ("a", "b", "c")


def test_regression_that_is_asked_for_needs_numbers() -> None:
    rows = Rows((("x",), ("y",)), ("1", "2,5"), ("line 2 of a.csv", "line 3 of a.csv"))
    spec = TaskSpec(data="x", text=("t",), label="l", kind="regression")
    with pytest.raises(DataError, match=r"finite number with a decimal point .*got '2,5' at line 3 of a.csv"):
        decide_kind(RawData("x", {"train": rows}), spec)
    with pytest.raises(DataError, match="at least 2 labels; all 2 have '1'"):
        order_labels(RawData("x", {"train": labelled("1", "1")}), NUMBERS)
    assert order_labels(RawData("x", {"train": labelled("1", "2"), "test": labelled("3")}), NUMBERS) == ()


def test_more_than_a_tenth_of_the_test_among_the_training_rows_is_refused() -> None:
    test = Rows((*(("new",),) * 9, ("text 3",)), tuple("ab" * 5))
    half = MANY.take(range(100))
    check_rows(RawSplits(FIVE_EACH, FIVE_EACH, half, half, test, ()), TWO, allow_overlap=False)
    more = Rows((*test.texts[1:], ("text  0",)), test.labels)
    with pytest.raises(DataError, match=r"of the test rows .*; got 2 of 10 \(20.0%\)\. .* --allow-overlap"):
        check_rows(RawSplits(FIVE_EACH, FIVE_EACH, half, half, more, ()), TWO, allow_overlap=False)


def test_labels_are_read_in_one_pass() -> None:
    raw = RawData("x", {"train": labelled("b|a", "c"), "test": labelled("b | c")})
    spec = TaskSpec(data="x", text=("t",), label="l")
    data = read_labels(raw, spec)
    assert (data.kind.name, data.labels, len(data.notices)) == ("multi_label", ("a", "b", "c"), 1)
    assert data.raw.splits["test"].labels == ("b|c",)
    numbers = RawData("x", {"train": labelled("0.5", "1")})
    with pytest.raises(DataError, match="class_weights must be none for regression, which has no classes"):
        read_labels(numbers, spec.model_copy(update={"class_weights": "balanced"}))

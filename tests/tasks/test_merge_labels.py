from __future__ import annotations

import pytest

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.tasks.merge_labels import MAX_NAMED_MERGES, merge_labels, similar_labels
from unipelt_search.tasks.rows import RawData, Rows

CLASSES = find_kind("classification")


def raw(train: list[str], test: list[str]) -> RawData:
    def rows(labels: list[str]) -> Rows:
        return Rows(tuple((f"text {number}",) for number in range(len(labels))), tuple(labels))

    return RawData("d", {"train": rows(train), "test": rows(test)})


def test_look_alikes_are_read_as_the_usual_one_in_every_split() -> None:
    # The two spellings of the typo are one form, and that is one letter away from the usual label.
    data = raw(["positive"] * 60 + ["negative", "Postive", "postive", "postive"], ["POSITIVE", "negative"])
    similar = similar_labels(data, CLASSES)
    assert similar == {"POSITIVE": "positive", "Postive": "positive", "postive": "positive"}
    merged = merge_labels(data, CLASSES, similar, "label")
    assert set(merged.splits["train"].labels) == {"positive", "negative"}
    assert merged.splits["test"].labels == ("positive", "negative")
    (notice,) = merged.notices
    assert (notice.code, notice.values["labels"]) == ("labels_merged", ("POSITIVE", "Postive", "postive"))
    assert (notice.values["read_as"], notice.values["label_rows"]) == (("positive",) * 3, (1, 1, 2))
    assert {(one.what, one.count) for one in merged.findings.found} == {
        ("has 'POSITIVE', which is read as 'positive'", 1), ("has 'Postive', which is read as 'positive'", 1),
        ("has 'postive', which is read as 'positive'", 2),
    }  # fmt: skip


def test_labels_of_a_set_are_merged_one_by_one() -> None:
    sets = find_kind("multi_label")
    data = raw(["joy|love", "joy", "Joy|love", "Joy|joy"], ["love"])
    merged = merge_labels(data, sets, similar_labels(data, sets), "label")
    assert merged.splits["train"].labels == ("joy|love", "joy", "joy|love", "joy")


def test_nothing_alike_is_left_as_it_is_and_numbers_are_refused() -> None:
    data = raw(["a", "b"], ["a"])
    assert merge_labels(data, CLASSES, similar_labels(data, CLASSES), "label") == data
    numbers = find_kind("regression")
    assert similar_labels(raw(["1", "1.0"], ["2"]), numbers) == {}
    with pytest.raises(DataError, match="--merge-labels"):
        merge_labels(data, numbers, {}, "label")


def test_a_long_list_of_merged_labels_is_cut() -> None:
    names = [f"label{chr(97 + a)}{chr(97 + b)}{chr(97 + a)}" for a in range(9) for b in range(9)]
    data = raw([name for name in names for _ in range(2)] + [name.upper() for name in names], ["x"])
    (notice,) = merge_labels(data, CLASSES, similar_labels(data, CLASSES), "label").notices
    labels = notice.values["labels"]
    assert isinstance(labels, tuple)
    assert (len(labels), notice.values["labels_count"]) == (MAX_NAMED_MERGES, 81)

from __future__ import annotations

import pytest

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.rows import RawData, Rows

SPEC = TaskSpec(data="x", text=("t",), label="l")


def rows(*labels: str, texts: int = 1) -> Rows:
    return Rows(tuple((f"{n} {label}",) * texts for n, label in enumerate(labels)), labels)


def test_labels_have_numbers_and_texts_stay_with_them() -> None:
    task = build_task(RawData("mine", {"train": rows(*["10", "9"] * 10)}, ("read",)), SPEC, 1)
    assert task.labels == ("9", "10")
    for split in (task.train, task.tune, task.select, task.test):
        assert [text.split()[1] for (text,) in split.texts] == [task.labels[label] for label in split.labels]
    assert (task.name, task.kind, task.metric) == ("mine", "classification", "accuracy")
    assert task.notices[0] == "read"
    assert any("No test split was given" in notice for notice in task.notices)


def test_pairs_and_other_metrics_are_kept() -> None:
    spec = TaskSpec(data="x", text=("t", "u"), label="l", metric="matthews")
    task = build_task(RawData("mine", {"train": rows(*["a", "b"] * 10, texts=2)}), spec, 1)
    assert (task.kind, task.metric) == ("pair_classification", "matthews")


def test_a_class_that_drawing_loses_keeps_its_place_and_is_named() -> None:
    raw = RawData("x", {"train": rows(*"abcd" * 6), "validation": rows(*"abcd"), "test": rows(*"abcd")})
    task = build_task(raw, SPEC.model_copy(update={"train_size": 3}), 1)
    assert task.labels == ("a", "b", "c", "d")
    assert len(set(task.train.labels)) == 3
    assert any("1 of 4 labels have no row among the 3 training rows" in notice for notice in task.notices)


def test_one_class_is_refused_before_anything_is_carved() -> None:
    with pytest.raises(DataError, match="at least 2 labels"):
        build_task(RawData("x", {"train": rows("a", "a")}), SPEC, 1)

"""On generated data with leaking groups, time drift and repeated texts, no split that we make lets anything across."""

from __future__ import annotations

import csv
import os
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.brought_splits import check_brought
from unipelt_search.tasks.load import load_task
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.split import RawSplits, split_rows

CASES = Path(os.environ.get("UNIPELT_TEST_CASES", Path(__file__).parents[3] / "shared" / "cases" / "data"))
CLASSES = find_kind("classification")
GROUP, ORDER = {"group": "user"}, {"order": "day"}
RULES: tuple[dict[str, Any], ...] = ({}, GROUP, ORDER, {**GROUP, **ORDER})


def made(count: int, seed: int, first: int = 0) -> Rows:
    """The label hangs on the customer and drifts with time; a third of the texts are said by many customers."""
    random = np.random.default_rng(seed)
    customers = random.integers(first, first + count // 8, count)
    days = np.sort(random.integers(0, count // 4, count)) + 1000 * first
    labels = np.where(random.random(count) < 0.5 * days / days.max(), "late", np.where(customers % 2, "odd", "even"))
    common = random.integers(0, 50, count)
    said = [f"common {first} {common[row]}" if row % 3 == 0 else f"own {first} {row // 2}" for row in range(count)]
    return Rows(
        tuple((text,) for text in said),
        tuple(map(str, labels)),
        groups=tuple(map(str, customers)),
        times=tuple(map(float, days)),
    )


def assert_nothing_crosses(parts: dict[str, Rows], asked: dict[str, Any]) -> None:
    """Check each pair of jobs, the earlier job first."""
    for (name, one), (other_name, other) in combinations(parts.items(), 2):
        where = f"{name} and {other_name}"
        assert set(one.plain_texts()).isdisjoint(other.plain_texts()), where
        if "group" in asked:
            assert set(one.groups).isdisjoint(other.groups), where
        if "order" in asked:
            assert max(one.times) < min(other.times), where


def splits_of(data: dict[str, Rows], seed: int, **asked: Any) -> RawSplits:
    task = TaskSpec(data="x", text=("t",), label="l", **asked)
    got = split_rows(RawData("x", data), task, seed, CLASSES, repeats=2)
    assert check_brought(got, task) == ()
    return got


@pytest.mark.parametrize("asked", RULES)
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_crosses_what_is_split_off_of_one_file(asked: dict[str, Any], seed: int) -> None:
    got = splits_of({"train": made(500, seed)}, seed, **asked, folds="never")
    parts = {"train": got.train, "tune": got.tune, "select": got.select, "test": got.test}
    assert_nothing_crosses(parts, asked)
    assert min(map(len, parts.values())) >= 5


@pytest.mark.parametrize("asked", [{}, GROUP])
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_crosses_folds(asked: dict[str, Any], seed: int) -> None:
    for more in ({}, {"train_size": 150}):
        got = splits_of({"train": made(400, seed)}, seed, **asked, **more)
        assert len(got.folds) == 10
        for fold in got.folds:
            parts = {name: got.select.take(getattr(fold, name)) for name in ("train", "tune", "select")}
            assert_nothing_crosses({**parts, "test": got.test}, asked)
        of_repeat = [row for fold in got.folds[:5] for row in fold.select]
        assert sorted(of_repeat) == list(range(len(got.select)))


@pytest.mark.parametrize("asked", RULES)
@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_rows_of_a_given_validation_file_decide_alone(asked: dict[str, Any], seed: int) -> None:
    data = {"train": made(400, seed), "validation": made(80, seed, first=1000), "test": made(80, seed, first=2000)}
    for more in ({}, {"train_size": 120}, {"train_size": 120, "redraw": True}):
        got = splits_of(data, seed, **asked, **more)
        assert got.select == data["validation"]
        assert got.test == data["test"]
        assert got.validation_decides
        assert not got.folds
        for train in (got.train, *got.resamples):
            assert_nothing_crosses({"train": train, "tune": got.tune, "select": got.select}, asked)
            assert len(train) == more.get("train_size", len(train))


@pytest.mark.parametrize("asked", RULES)
def test_a_test_that_is_split_off_beside_a_given_validation_shares_nothing_with_training(asked: dict[str, Any]) -> None:
    data = {"train": made(400, 3), "validation": made(80, 3, first=1000)}
    got = splits_of(data, 3, **asked)
    assert got.select == data["validation"]
    assert_nothing_crosses({"train": got.train, "tune": got.tune, "test": got.test}, asked)


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the awkward tables are not at {CASES}")
def test_the_gold_labels_of_a_validation_file_decide_beside_weak_ones() -> None:
    spec = TaskSpec(data=str(CASES / "07_weak_labels"), text=("text",), label="label")
    task = load_task(spec, 0, repeats=3)
    with (CASES / "07_weak_labels" / "validation.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [text for (text,) in task.select.texts] == [row["text"] for row in rows]
    assert [task.labels[label] for label in task.select.labels] == [row["label"] for row in rows]  # type: ignore[index]
    assert (len(task.tune), task.folds) == (60, ())

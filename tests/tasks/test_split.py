from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.records.history import EDITION
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.split import RawSplits, choose_test, split_rows

CLASSES = find_kind("classification")
NUMBERS = find_kind("regression")
SETS = find_kind("multi_label")


def rows(name: str, *counts: int) -> Rows:
    labels = tuple(label for label, count in zip("abcdefgh", counts, strict=False) for _ in range(count))
    return Rows(tuple((f"{name} {number}",) for number in range(len(labels))), labels)


def split(spec: dict[str, Any] | None = None, seed: int = 5, edition: int = EDITION, **splits: Rows) -> RawSplits:
    task = TaskSpec(data="x", text=("t",), label="l", **(spec or {}))
    return split_rows(RawData("x", splits), task, seed, CLASSES, edition=edition)


def texts(*parts: Rows) -> list[str]:
    return sorted(text for part in parts for (text,) in part.texts)


def test_one_file_gives_60_20_20() -> None:
    got = split(train=rows("x", 60, 30, 10))
    assert [Counter(part.labels)["c"] for part in (got.train, got.tune, got.select, got.test)] == [6, 1, 1, 2]
    assert [len(part) for part in (got.train, got.tune, got.select, got.test)] == [60, 10, 10, 20]
    assert texts(got.train, got.tune, got.select, got.test) == texts(rows("x", 60, 30, 10))
    assert len(got.notices) == 2


def test_given_splits_stay_as_they_are() -> None:
    given_splits = {"train": rows("x", 8, 8), "validation": rows("v", 3, 3), "test": rows("t", 2, 2)}
    for asked in ({"edition": 2}, {"spec": {"validation": "shared"}}):
        got = split(**asked, **given_splits)
        assert got.train == got.train_pool == given_splits["train"]
        assert got.test == given_splits["test"]
        assert texts(got.tune, got.select) == texts(given_splits["validation"])
        assert got.notices == ()


@pytest.mark.parametrize(("size", "expected"), [(100, 20), (6000, 1000)])
def test_validation_beside_a_test_is_a_fifth_and_at_most_1000(size: int, expected: int) -> None:
    got = split(train=rows("x", size // 2, size // 2), test=rows("t", 2, 2))
    assert len(got.tune) + len(got.select) == expected
    assert len(got.train) == size - expected


@pytest.mark.parametrize(("size", "expected"), [(100, 20), (12000, 2000)])
def test_test_beside_a_validation_is_a_fifth_and_at_most_2000(size: int, expected: int) -> None:
    got = split(edition=2, train=rows("x", size // 2, size // 2), validation=rows("v", 2, 2))
    assert len(got.test) == expected
    assert texts(got.tune, got.select) == texts(rows("v", 2, 2))


def test_carving_follows_the_papers_protocol() -> None:
    """A lone validation file becomes test; N further train rows become validation; K are trained on."""
    got = split({"carve": 10, "train_size": 6}, train=rows("x", 20, 20), validation=rows("v", 3, 3))
    assert got.test == rows("v", 3, 3)
    assert len(got.tune) + len(got.select) == 10
    assert len(got.train) == 6
    assert len(got.train_pool) == 30
    assert not set(texts(got.train_pool)) & set(texts(got.tune, got.select))


def test_carving_beside_a_test_keeps_that_test() -> None:
    got = split({"carve": 10}, train=rows("x", 20, 20), validation=rows("v", 3, 3), test=rows("t", 2, 2))
    assert got.test == rows("t", 2, 2)
    assert all(text.startswith("x") for text in texts(got.tune, got.select))
    assert "validation_file_unused" in {notice.code for notice in got.notices}


def chosen(spec: dict[str, Any], **splits: Rows) -> RawData:
    return choose_test(RawData("x", splits, (Notice(code="read"),)), TaskSpec(data="x", text=("t",), label="l", **spec))


def test_the_validation_split_can_be_the_test_split() -> None:
    given_splits = {"train": rows("x", 30, 30), "validation": rows("v", 3, 3), "test": rows("t", 2, 2)}
    assert chosen({}, **given_splits) == RawData("x", given_splits, (Notice(code="read"),))
    raw = chosen({"test": "validation"}, **given_splits)
    assert raw.splits == {"train": given_splits["train"], "test": given_splits["validation"]}
    made = Notice(code="validation_is_test", values={"data": "x", "test_unused": True})
    assert raw.notices == (Notice(code="read"), made)
    for more, rest in (({}, 48), ({"carve": 20}, 40)):
        got = split(more, **raw.splits)
        assert got.test == rows("v", 3, 3)
        assert len(got.train) == rest
        assert all(text.startswith("x") for text in texts(got.train, got.tune, got.select))
    alone = chosen({"test": "validation"}, train=rows("x", 3, 3), validation=rows("v", 3, 3))
    assert alone.notices[-1].values == {"data": "x", "test_unused": False}
    with pytest.raises(DataError, match="task.test: validation needs a validation split; x has: train, test"):
        chosen({"test": "validation"}, train=rows("x", 3, 3), test=rows("t", 2, 2))


def test_drawing_leaves_validation_and_test_whole() -> None:
    pool, drawn = split(train=rows("x", 90, 10)), split({"train_size": 8}, train=rows("x", 90, 10))
    assert (pool.tune, pool.select, pool.test) == (drawn.tune, drawn.select, drawn.test)
    assert Counter(drawn.train.labels) == {"a": 7, "b": 1}
    assert set(texts(drawn.train)) < set(texts(pool.train))


def test_a_class_with_one_row_stays_in_train() -> None:
    for seed in range(20):
        got = split(seed=seed, train=rows("x", 20, 20, 1, 1))
        assert Counter(got.train.labels)["c"] == Counter(got.train.labels)["d"] == 1
        assert texts(got.train, got.tune, got.select, got.test) == texts(rows("x", 20, 20, 1, 1))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="--train-size must be at most the number of training rows, 4; got 5"):
        split({"train_size": 5}, train=rows("x", 2, 2), validation=rows("v", 1, 1), test=rows("t", 1, 1))
    with pytest.raises(DataError, match="must leave training rows; got 4 training rows and 4 to split off"):
        split({"carve": 4}, train=rows("x", 2, 2), test=rows("t", 1, 1))
    with pytest.raises(DataError, match="Validation must have at least 2 rows.*got 1"):
        split(train=rows("x", 2, 2), validation=rows("v", 1), test=rows("t", 1, 1))
    with pytest.raises(DataError, match="Give more rows"):
        split(train=rows("x", 1, 1))


def test_all_rows_of_a_given_validation_split_decide_and_training_rows_tune() -> None:
    parts = {"train": rows("x", 60, 40), "validation": rows("v", 40, 40), "test": rows("t", 2, 2)}
    got = split(**parts)
    assert (got.select, got.test, got.folds) == (parts["validation"], parts["test"], ())
    assert texts(got.train, got.tune) == texts(parts["train"])
    assert Counter(got.tune.labels) == {"a": 12, "b": 8}
    (notice,) = got.notices
    assert (notice.code, notice.values) == ("tune_split_off", {"count": 20, "of": 100, "left": 80, "validation": 80})
    assert split(seed=6, **parts).tune != got.tune
    shorter = split(validation=rows("v", 1, 1), train=parts["train"], test=parts["test"])
    assert (shorter.tune, shorter.train) == (got.tune, got.train)


@pytest.mark.parametrize(("size", "count"), [(4000, 500), (1000, 200), (60, 20), (30, 15), (2, 1)])
def test_a_fifth_of_training_tunes_twenty_to_five_hundred_rows(size: int, count: int) -> None:
    got = split(train=rows("x", size // 2, size // 2), validation=rows("v", 3, 3), test=rows("t", 2, 2))
    assert (len(got.tune), len(got.train)) == (count, size - count)
    assert (got.notices[0].severity == "warning") == (count < 20)


@pytest.mark.parametrize(("asked", "count"), [(50, 500), (900, 100), (999, 1)])
def test_tuning_rows_are_left_over_and_all_that_are_asked_for_train(asked: int, count: int) -> None:
    parts = {"train": rows("x", 500, 500), "validation": rows("v", 3, 3), "test": rows("t", 2, 2)}
    got = split({"train_size": asked}, **parts)
    assert (len(got.tune), len(got.train)) == (count, asked)
    assert set(texts(got.tune)).isdisjoint(texts(got.train_pool))
    with pytest.raises(DataError, match="must leave training rows that choose settings.* Give at most 980"):
        split({"train_size": 1000}, **parts)


def test_no_sample_of_a_confirm_run_has_a_tuning_row() -> None:
    parts = {"train": rows("x", 60, 40), "validation": rows("v", 20, 20), "test": rows("t", 2, 2)}
    task = TaskSpec(data="x", text=("t",), label="l", train_size=60, redraw=True)
    raw = RawData("x", parts)
    got, more = (split_rows(raw, task, 5, CLASSES, repeats=repeats) for repeats in (3, 4))
    assert len(got.tune) == 20
    assert (more.tune, more.resamples[:3]) == (got.tune, got.resamples)
    for sample in (got.train, *more.resamples):
        assert len(sample) == 60
        assert set(texts(sample)).isdisjoint(texts(got.tune))
    assert len({tuple(texts(sample)) for sample in (got.train, *more.resamples)}) == 5


GIVEN = {"train": rows("x", 60, 60), "validation": rows("v", 20, 20), "test": rows("t", 2, 2)}


@pytest.mark.parametrize(
    ("asked", "given", "edition", "decides"),
    [
        ({}, ("train", "validation", "test"), 3, "validation"),
        ({}, ("train", "validation"), 3, "validation"),
        ({"folds": "never"}, ("train", "validation", "test"), 3, "validation"),
        ({"folds": "always"}, ("train", "validation", "test"), 3, "folds"),
        ({"validation": "shared"}, ("train", "validation", "test"), 3, "folds"),
        ({}, ("train", "validation", "test"), 2, "folds"),
        ({}, ("train", "validation", "test"), 1, "folds"),
        ({}, ("train", "test"), 3, "folds"),
        ({}, ("train",), 3, "folds"),
        ({"folds": "never"}, ("train",), 3, "half"),
        ({"carve": 30}, ("train", "validation"), 3, "folds"),
        ({"carve": 30, "folds": "never"}, ("train", "validation"), 3, "half"),
        ({"redraw": True, "train_size": 20}, ("train",), 3, "half"),
        ({"redraw": True, "train_size": 20}, ("train", "validation"), 3, "validation"),
    ],
)
def test_what_decides(asked: dict[str, Any], given: tuple[str, ...], edition: int, decides: str) -> None:
    task = TaskSpec(data="x", text=("t",), label="l", **asked)
    raw = RawData("x", {name: GIVEN[name] for name in given})
    got = split_rows(raw, task, 5, CLASSES, repeats=2, edition=edition)
    found = "folds" if got.folds else "validation" if got.validation_decides else "half"
    assert found == decides
    if decides == "validation":
        assert got.select == GIVEN["validation"]


def test_enough_validation_rows_that_were_split_off_are_halved_unless_folds_are_asked_for() -> None:
    raw = RawData("x", {"train": rows("x", 600, 600)})
    for folds, count in (("auto", 0), ("never", 0), ("always", 10)):
        got = split_rows(raw, TaskSpec(data="x", text=("t",), label="l", folds=folds), 5, CLASSES, repeats=2)
        assert (len(got.folds), got.folds_asked) == (count, folds == "always")


@pytest.mark.parametrize("asked", [{"carve": 40}, {"test": "validation"}, {"validation": "shared"}, {}])
def test_requests_and_older_editions_split_row_for_row_as_before(asked: dict[str, Any]) -> None:
    twice = rows("x", 60, 60).followed_by(rows("x", 60, 60))  # every text stands twice
    raw = RawData("x", {"train": twice, "validation": rows("v", 30, 30), "test": rows("t", 2, 2)})
    task = TaskSpec(data="x", text=("t",), label="l", **asked)
    raw = choose_test(raw, task)
    old, new = (split_rows(raw, task, 5, CLASSES, repeats=1, edition=edition) for edition in (2, 3))
    same = all(getattr(old, part) == getattr(new, part) for part in ("train", "tune", "select", "test", "folds"))
    assert same == bool(asked)


def test_folds_cannot_be_asked_for_with_redraw_order_or_few_texts() -> None:
    always = {"folds": "always"}
    with pytest.raises(DataError, match="--folds always and --redraw must not"):
        split({**always, "redraw": True, "train_size": 3}, **GIVEN)
    with pytest.raises(DataError, match="--folds always and --order must not"):
        split({**always, "order": "day"}, **GIVEN)
    few = Rows((("same",),) * 40, tuple("ab" * 20))
    task = TaskSpec(data="x", text=("t",), label="l", folds="always")
    with pytest.raises(DataError, match="--folds always needs at least 10 different texts .* got 3"):
        split_rows(RawData("x", {"train": few, "validation": rows("v", 2), "test": few}), task, 5, CLASSES, repeats=1)

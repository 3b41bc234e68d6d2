from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.split import FOLDS, RawSplits, choose_test, split_rows, strata_of, stratified_take

CLASSES = find_kind("classification")
NUMBERS = find_kind("regression")
SETS = find_kind("multi_label")


def rows(name: str, *counts: int) -> Rows:
    labels = tuple(label for label, count in zip("abcdefgh", counts, strict=False) for _ in range(count))
    return Rows(tuple((f"{name} {number}",) for number in range(len(labels))), labels)


def split(spec: dict[str, int] | None = None, seed: int = 5, **splits: Rows) -> RawSplits:
    return split_rows(RawData("x", splits), TaskSpec(data="x", text=("t",), label="l", **(spec or {})), seed, CLASSES)


def texts(*parts: Rows) -> list[str]:
    return sorted(text for part in parts for (text,) in part.texts)


@given(
    st.lists(st.sampled_from("aaaaaabbbcd"), min_size=1, max_size=60),
    st.floats(0, 1),
    st.integers(0, 2**62),
    st.booleans(),
)
def test_taking_keeps_every_row_and_every_share(labels: list[str], share: float, seed: int, every: bool) -> None:
    count = round(share * len(labels))
    drawn, others = stratified_take(labels, count, seed, every_class=every)
    assert len(drawn) == count
    assert sorted([*drawn, *others]) == list(range(len(labels)))
    sizes, got = Counter(labels), Counter(labels[number] for number in drawn)
    for label, size in sizes.items():
        exact = size * count / len(labels)
        if not every:
            assert np.floor(exact) <= got[label] <= np.ceil(exact)
        elif count >= len(sizes):
            assert got[label] >= 1
            assert got[label] <= max(np.ceil(exact), 1)
    again, _ = stratified_take(labels, count, seed, every_class=every)
    assert (again == drawn).all()


def test_other_seeds_take_other_rows() -> None:
    takes = {tuple(stratified_take(["a"] * 50 + ["b"] * 50, 10, seed)[0]) for seed in range(5)}
    assert len(takes) == 5


def test_one_file_gives_60_20_20() -> None:
    got = split(train=rows("x", 60, 30, 10))
    assert [Counter(part.labels)["c"] for part in (got.train, got.tune, got.select, got.test)] == [6, 1, 1, 2]
    assert [len(part) for part in (got.train, got.tune, got.select, got.test)] == [60, 10, 10, 20]
    assert texts(got.train, got.tune, got.select, got.test) == texts(rows("x", 60, 30, 10))
    assert len(got.notices) == 2


def test_given_splits_stay_as_they_are() -> None:
    given_splits = {"train": rows("x", 8, 8), "validation": rows("v", 3, 3), "test": rows("t", 2, 2)}
    got = split(**given_splits)
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
    got = split(train=rows("x", size // 2, size // 2), validation=rows("v", 2, 2))
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


def test_strata_are_classes_tenths_and_sets_of_labels() -> None:
    assert strata_of(("b", "a"), CLASSES) == ("b", "a")
    tenths = Counter(strata_of([str(number) for number in range(100)], NUMBERS))
    assert sorted(tenths.values()) == [10] * 10
    assert len(set(strata_of(["1", "1", "1", "2"], NUMBERS))) == 2
    sets = ["a|b"] * 6 + ["a|c", "", "d|b"]
    assert strata_of(sets, SETS) == ["a|b"] * 6 + ["c", "", "d"]
    assert strata_of(sets, SETS, 3) == ["a"] * 6 + ["c", "", "d"]
    assert strata_of((), NUMBERS) == ()


def folded(labels: str, size: int, repeats: int = 2, seed: int = 3, texts: list[str] | None = None) -> RawSplits:
    """Split so many training rows of these labels; the other ones are validation."""
    own = texts or [f"row {number}" for number in range(len(labels))]
    parts = [
        Rows(tuple((text,) for text in own[part]), tuple(labels[part])) for part in (slice(size), slice(size, None))
    ]
    raw = RawData("x", {"train": parts[0], "validation": parts[1], "test": rows("t", 2, 2)})
    return split_rows(raw, TaskSpec(data="x", text=("t",), label="l"), seed, CLASSES, repeats=repeats)


@given(st.lists(st.sampled_from("aaaaaabbbcd"), min_size=12, max_size=90), st.floats(0.1, 0.9), st.integers(0, 2**62))
def test_folds_hold_every_row_once_and_no_run_trains_or_stops_on_its_own(
    labels: list[str], share: float, seed: int
) -> None:
    assume(max(Counter(labels).values()) >= FOLDS)  # scikit-learn refuses less
    size = min(max(round(share * len(labels)), 1), len(labels) - 2)
    got = folded("".join(labels), size, seed=seed)
    assert got.select == got.train.followed_by(got.tune)
    assert got.validation == (got.tune,)
    assert len(got.folds) == 2 * FOLDS
    for repeat in (got.folds[:FOLDS], got.folds[FOLDS:]):
        assert sorted(row for fold in repeat for row in fold.select) == list(range(len(labels)))
        sizes = [len(fold.select) for fold in repeat]
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= 2
        # Any stratified folds share out a class alike, those of scikit-learn too.
        codes = np.unique(labels, return_inverse=True)[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with fewer rows than folds
            theirs = list(StratifiedKFold(FOLDS).split(codes, codes))
        for label in set(labels):
            ours = sorted(sum(labels[row] == label for row in fold.select) for fold in repeat)
            assert ours == sorted(sum(labels[row] == label for row in held_out) for _, held_out in theirs)
    for fold in got.folds:
        assert sorted((*fold.train, *fold.tune, *fold.select)) == list(range(len(labels)))
        others = len(labels) - len(fold.select)
        assert len(fold.tune) >= 0.1 * others
        assert len(fold.train) == size or (len(fold.train) < size and len(fold.tune) < 0.1 * others + 1)
        known = {labels[row] for row in (*fold.train, *fold.tune)}
        assert {labels[row] for row in fold.train} == known or len(fold.train) < len(known)


def test_every_repeat_deals_anew_and_more_of_them_change_none() -> None:
    labels = "aab" * 30
    two, three, other = folded(labels, 60), folded(labels, 60, repeats=3), folded(labels, 60, seed=4)
    assert three.folds[: 2 * FOLDS] == two.folds
    assert len({fold.select for fold in (*three.folds, *other.folds)}) == 5 * FOLDS


def test_rows_with_the_same_text_lie_in_one_fold() -> None:
    texts = [f"row {number % 40}" + " " * (number // 40) + "x" for number in range(60)]
    got = folded("ab" * 30, 40, texts=texts)
    for fold in got.folds:
        held_out = {texts[row].split()[1] for row in fold.select}
        assert held_out.isdisjoint(texts[row].split()[1] for row in (*fold.train, *fold.tune))


def test_numbers_are_dealt_by_their_tenths() -> None:
    numbers = Rows(tuple((f"{n}",) for n in range(100)), tuple(f"{n}.5" for n in range(100)))
    raw = RawData("x", {"train": numbers.take(range(0, 100, 2)), "validation": numbers.take(range(1, 100, 2)),
                        "test": numbers})  # fmt: skip
    got = split_rows(raw, TaskSpec(data="x", text=("t",), label="l"), 1, NUMBERS, repeats=1)
    for fold in got.folds:
        assert {float(got.select.labels[row]) // 10 for row in fold.select} == set(range(10))


@pytest.mark.parametrize("repeats", [0, 2])
def test_enough_validation_rows_too_few_texts_and_redraw_need_no_folds(repeats: int) -> None:
    assert not folded("ab" * 150, 100, repeats).folds
    assert bool(folded("ab" * 149, 100, repeats).folds) == bool(repeats)
    assert not folded("ab" * 30, 40, repeats, texts=[f"row {number % 9}" for number in range(60)]).folds
    task = TaskSpec(data="x", text=("t",), label="l", train_size=8, redraw=True)
    resamples = split_rows(RawData("x", {"train": rows("x", 60, 60)}), task, 1, CLASSES, repeats=repeats)
    assert (len(resamples.resamples), resamples.folds) == (repeats, ())
    assert len(resamples.validation) == 2

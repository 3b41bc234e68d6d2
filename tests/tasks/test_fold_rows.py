from __future__ import annotations

import random
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.divide import SplitRule
from unipelt_search.tasks.fold_rows import FOLDS, make_folds
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.split import RawSplits, split_rows

CLASSES = find_kind("classification")
NUMBERS = find_kind("regression")
TEST = Rows((("t 1",), ("t 2",), ("t 3",), ("t 4",)), tuple("aabb"))


def folded(labels: str, size: int, repeats: int = 2, seed: int = 3, texts: list[str] | None = None) -> RawSplits:
    """Split so many training rows of these labels; the other ones are validation."""
    own = texts or [f"row {number}" for number in range(len(labels))]
    parts = [
        Rows(tuple((text,) for text in own[part]), tuple(labels[part])) for part in (slice(size), slice(size, None))
    ]
    raw = RawData("x", {"train": parts[0], "validation": parts[1], "test": TEST})
    return split_rows(raw, TaskSpec(data="x", text=("t",), label="l"), seed, CLASSES, repeats=repeats, edition=2)


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
    got = split_rows(raw, TaskSpec(data="x", text=("t",), label="l"), 1, NUMBERS, repeats=1, edition=2)
    for fold in got.folds:
        assert {float(got.select.labels[row]) // 10 for row in fold.select} == set(range(10))


@pytest.mark.parametrize("repeats", [0, 2])
def test_enough_validation_rows_too_few_texts_and_redraw_need_no_folds(repeats: int) -> None:
    assert not folded("ab" * 150, 100, repeats).folds
    assert bool(folded("ab" * 149, 100, repeats).folds) == bool(repeats)
    assert not folded("ab" * 30, 40, repeats, texts=[f"row {number % 9}" for number in range(60)]).folds
    task = TaskSpec(data="x", text=("t",), label="l", train_size=8, redraw=True)
    many = Rows(tuple((f"x {number}",) for number in range(120)), tuple("ab" * 60))
    resamples = split_rows(RawData("x", {"train": many}), task, 1, CLASSES, repeats=repeats)
    assert (len(resamples.resamples), resamples.folds) == (repeats, ())
    assert len(resamples.validation) == 2


def grouped(count: int, groups: int, seed: int) -> Rows:
    """Rows of customers who mostly say the same kind of thing, some of it word for word what others say."""
    chance = random.Random(seed)
    group = [chance.randrange(groups) for _ in range(count)]
    labels = tuple("aab"[(number + (chance.random() < 0.2)) % 3] for number in group)
    texts = tuple((f"text {chance.randrange(3 * count)}",) for _ in range(count))
    return Rows(texts, labels, groups=tuple(f"customer {number}" for number in group))


@pytest.mark.parametrize("texts", [False, True])
def test_no_group_is_on_both_sides_of_a_fold(texts: bool) -> None:
    rows = grouped(240, 40, 1)
    found = list(make_folds(rows, 120, 7, 1, CLASSES, SplitRule(texts=texts, groups=True)))
    assert sorted(row for fold in found for row in fold.select) == list(range(len(rows)))
    for fold in found:
        for parts in ((fold.select, fold.train), (fold.select, fold.tune), (fold.train, fold.tune)):
            one, other = (rows.take(part) for part in parts)
            assert set(one.groups).isdisjoint(other.groups)
            assert not texts or set(one.texts).isdisjoint(other.texts)
            assert len(one) > 2
            assert len(other) > 2


def test_groups_are_shared_out_about_as_evenly_as_scikit_learn_does() -> None:
    worst = {"ours": 0.0, "theirs": 0.0}
    for seed in range(5):
        rows = grouped(300, 60, seed)
        labels = np.array([label == "a" for label in rows.labels])
        groups = np.array(rows.groups)
        ours = [list(fold.select) for fold in make_folds(rows, 200, seed, 1, CLASSES, SplitRule(groups=True))]
        theirs = [
            held
            for _, held in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels, groups)
        ]
        for name, folds in (("ours", ours), ("theirs", theirs)):
            off = [abs(labels[fold].mean() - labels.mean()) + abs(len(fold) / 60 - 1) for fold in folds]
            worst[name] = max(worst[name], *off)
    assert worst["ours"] < 1.2 * worst["theirs"]

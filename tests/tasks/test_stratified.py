from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.tasks.stratified import as_objects, strata_of, stratified_take

CLASSES = find_kind("classification")
NUMBERS = find_kind("regression")
SETS = find_kind("multi_label")


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


def test_strata_are_classes_tenths_and_sets_of_labels() -> None:
    assert strata_of(("b", "a"), CLASSES) == ("b", "a")
    tenths = Counter(strata_of([str(number) for number in range(100)], NUMBERS))
    assert sorted(tenths.values()) == [10] * 10
    assert len(set(strata_of(["1", "1", "1", "2"], NUMBERS))) == 2
    sets = ["a|b"] * 6 + ["a|c", "", "d|b"]
    assert strata_of(sets, SETS) == ["a|b"] * 6 + ["c", "", "d"]
    assert strata_of(sets, SETS, 3) == ["a"] * 6 + ["c", "", "d"]
    assert strata_of((), NUMBERS) == ()


def test_long_texts_are_not_copied_for_every_row() -> None:
    assert as_objects(["a", "b" * 1000]).dtype == object

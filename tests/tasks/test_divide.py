from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.tasks.divide import Division, SplitRule, Staying, blocks_of, divide
from unipelt_search.tasks.rows import Rows
from unipelt_search.tasks.stratified import stratified_take

CLASSES = find_kind("classification")
TEXTS = SplitRule(texts=True)
BOTH = SplitRule(texts=True, groups=True)
RULES = [TEXTS, SplitRule(groups=True), BOTH, SplitRule(texts=True, order=True), SplitRule(True, True, True)]


def made(seed: int, count: int = 200, texts: int = 100, groups: int = 30) -> Rows:
    """Rows whose texts repeat, within groups and across them, and whose label drifts with time."""
    random = np.random.default_rng(seed)
    labels = tuple("ab"[int(random.random() < 0.2 + 0.6 * row / count)] for row in range(count))
    return Rows(
        tuple((f"text {number}",) for number in random.integers(0, texts, count)),
        labels,
        groups=tuple(f"group {number}" for number in random.integers(0, groups, count)),
        times=tuple(float(number // 3) for number in range(count)),
    )


def assert_apart(one: Rows, other: Rows, rule: SplitRule) -> None:
    """Check that two sides share nothing that the rule keeps together."""
    assert not rule.texts or set(one.plain_texts()).isdisjoint(other.plain_texts())
    assert not rule.groups or set(one.groups).isdisjoint(other.groups)
    assert not rule.order or max(one.times) < min(other.times)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(RULES), st.integers(10, 150), st.integers(20, 400), st.integers(4, 150))
def test_nothing_is_on_both_sides_and_no_row_is_invented(
    seed: int, rule: SplitRule, count: int, texts: int, groups: int
) -> None:
    rows = made(seed, texts=texts, groups=groups)
    try:
        division = divide(rows, count, seed, CLASSES, rule)
    except DataError:
        return  # where all rows hang together, nothing can be divided
    everything = np.concatenate([division.stay, division.out, division.left_out])
    assert sorted(everything) == list(range(len(rows)))
    assert_apart(rows.take(division.stay), rows.take(division.out), rule)
    again = divide(rows, count, seed, CLASSES, rule)
    assert (again.out == division.out).all()


def sizes(division: Division) -> tuple[int, int, int]:
    return len(division.stay), len(division.out), len(division.left_out)


def test_where_all_texts_differ_rows_are_taken_as_if_nothing_was_asked() -> None:
    rows = Rows(tuple((f"text {number}",) for number in range(90)), tuple("aab" * 30))
    for rule in (SplitRule(), TEXTS):
        division = divide(rows, 20, 3, CLASSES, rule)
        stay, out = stratified_take(rows.labels, 70, 3, every_class=True)
        assert (division.stay.tolist(), division.out.tolist()) == (stay.tolist(), out.tolist())


def test_texts_that_stand_four_times_lose_no_row_and_keep_the_shares() -> None:
    rows = Rows(
        tuple((f"text {number % 150}",) for number in range(600)), tuple("aaab"[n % 150 % 4] for n in range(600))
    )
    division = divide(rows, 120, 3, CLASSES, TEXTS)
    assert sizes(division) == (480, 120, 0)
    assert Counter(rows.labels[row] for row in division.out)["b"] == pytest.approx(30, abs=4)


def test_groups_that_share_few_texts_are_one_block_and_lose_no_row() -> None:
    groups = [number // 5 for number in range(200)]
    texts = ["hello" if number in {0, 7} else f"text {number}" for number in range(200)]
    rows = Rows(tuple((text,) for text in texts), tuple("ab" * 100), groups=tuple(map(str, groups)))
    blocks = blocks_of(rows, BOTH)
    assert len(set(blocks.tolist())) == 39
    assert blocks[0] == blocks[7]
    assert sizes(divide(rows, 40, 1, CLASSES, BOTH)) == (160, 40, 0)


def test_groups_keep_the_shares_of_the_labels_as_well_as_those_of_scikit_learn() -> None:
    """Groups are of very different sizes, and the label hangs on the group."""
    off: dict[str, list[float]] = {"ours": [], "theirs": [], "any": []}
    for seed in range(6):
        random = np.random.default_rng(seed)
        group = random.choice(200, 1000, p=random.dirichlet(np.full(200, 0.7)))
        label = random.random(1000) < random.beta(0.5, 1.5, 200)[group]
        texts = tuple((str(row),) for row in range(1000))
        rows = Rows(texts, tuple(np.where(label, "b", "a").tolist()), groups=tuple(map(str, group.tolist())))
        ours = divide(rows, 200, seed, CLASSES, SplitRule(groups=True)).out
        theirs = next(StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(label, label, group))[1]
        some = np.flatnonzero(np.isin(group, random.permutation(200)[:40]))
        for name, found in (("ours", ours), ("theirs", theirs), ("any", some)):
            off[name].append(abs(label[found].mean() - label.mean()) + abs(len(found) / 200 - 1))
    assert np.mean(off["ours"]) < np.mean(off["theirs"]) + 0.03
    assert np.mean(off["ours"]) < 0.3 * np.mean(off["any"])


def test_texts_that_join_all_groups_are_left_out_on_one_side_instead() -> None:
    groups = [number // 5 for number in range(200)]
    texts = ["hello" if number % 5 == 0 else f"text {number}" for number in range(200)]
    rows = Rows(tuple((text,) for text in texts), tuple("ab" * 100), groups=tuple(map(str, groups)))
    division = divide(rows, 40, 1, CLASSES, BOTH)
    assert len(division.left_out) in {8, 32}
    assert_apart(rows.take(division.stay), rows.take(division.out), BOTH)


def test_a_group_is_taken_only_where_enough_rows_stay_and_its_class_has_others() -> None:
    rows = Rows(
        tuple((f"text {number}",) for number in range(100)),
        tuple("b" if number >= 90 else "a" for number in range(100)),
        groups=tuple(str(number // 10) for number in range(100)),
    )
    for seed in range(10):
        division = divide(rows, 40, seed, CLASSES, SplitRule(groups=True), Staying(fewest=65))
        assert len(division.out) == 30
        assert "b" in {rows.labels[row] for row in division.stay}


def test_equal_times_are_on_one_side() -> None:
    rows = Rows(tuple((str(n),) for n in range(10)), tuple("ab" * 5), times=(1.0, 1, 1, 2, 2, 2, 2, 3, 3, 3))
    for count, out in ((1, 3), (3, 3), (5, 3), (6, 7), (9, 7)):
        assert sizes(divide(rows, count, 1, CLASSES, SplitRule(order=True))) == (10 - out, out, 0)
    assert sizes(divide(rows, 9, 1, CLASSES, SplitRule(order=True), Staying(fewest=4))) == (7, 3, 0)
    with pytest.raises(DataError, match="--order must tell rows apart.* of 10 rows with 3 different times"):
        divide(rows, 2, 1, CLASSES, SplitRule(order=True), Staying(fewest=8))


def test_one_group_cannot_be_divided() -> None:
    rows = Rows(tuple((str(n),) for n in range(10)), tuple("ab" * 5), groups=("one",) * 10)
    with pytest.raises(DataError, match="on both sides.* as --group asks, one side has none.*have 1 different groups"):
        divide(rows, 2, 1, CLASSES, SplitRule(groups=True))

from __future__ import annotations

from dataclasses import replace

import pytest

from unipelt_search.kinds.label_kind import Target, find_kind
from unipelt_search.records.notice import Notice
from unipelt_search.tasks.task import Split, Task, fingerprint_of


def split(*labels: int) -> Split:
    return Split(tuple((f"text {number}",) for number in range(len(labels))), labels)


TASK = Task(
    name="x", target=Target("classification", ("a", "b", "c")), metric="accuracy", train=split(2, 1, 1, 2, 1),
    tune=split(0), select=split(1, 1, 0), test=split(1, 2, 0, 0), fingerprint="f", notices=(Notice(code="careful"),),
)  # fmt: skip


def test_the_summary_counts_rows_and_holds_no_text() -> None:
    summary = TASK.summary()
    assert summary.rows == {"train": 5, "validation": 4, "test": 4, "tune": 1, "select": 3}
    assert (summary.direction, summary.notices) == ("maximize", (Notice(code="careful"),))
    assert "text 1" not in summary.model_dump_json()


def test_majority_answers_the_most_frequent_training_label() -> None:
    majority = TASK.summary().majority
    assert majority["select"]["accuracy"] == pytest.approx(2 / 3)
    assert majority["select"]["macro_f1"] == pytest.approx((0.8 + 0) / 2)
    assert [majority["test"][name] for name in ("accuracy", "macro_f1", "matthews")] == pytest.approx(
        [0.25, 0.4 / 3, 0.0]
    )
    assert majority["test"]["roc_auc"] == 0.5
    first_of_two = replace(TASK, train=split(2, 1), test=split(1)).summary().majority
    assert first_of_two["test"]["accuracy"] == 1.0


def test_the_kind_says_what_is_predicted_and_whether_texts_are_pairs() -> None:
    pairs = Split((("x", "y"),), (0,))
    assert TASK.kind == "classification"
    assert replace(TASK, train=pairs).kind == "pair_classification"
    assert replace(TASK, train=pairs, target=Target("regression", ())).kind == "pair_regression"


def test_the_majority_of_numbers_is_their_mean() -> None:
    numbers = Split((("x",),) * 4, (1.0, 2.0, 4.0, 5.0))
    target = find_kind("regression").fit((), ["1", "5"], balanced=False)
    task = replace(TASK, target=target, metric="r2", train=numbers, select=numbers, test=numbers)
    majority = task.summary(0.25).majority
    expected = {"spearman": 0.0, "pearson": 0.0, "r2": 0.0, "mae": 1.5, "rmse": 2.5**0.5}  # 3 is the mean here too
    assert majority["select"] == pytest.approx(expected)


def test_the_summary_has_the_share_of_cut_rows_once_it_is_known() -> None:
    assert TASK.summary().truncated_share is None
    assert TASK.summary(0.25).truncated_share == 0.25


def test_a_fingerprint_changes_with_every_part() -> None:
    def of(labels: tuple[str, ...] = ("a", "b"), **splits: Split) -> str:
        return fingerprint_of(Target("classification", labels), splits)

    row, other = Split((("x",),), (0,)), Split((("y",),), (1,))
    both, pair = Split((("x",), ("y",)), (0, 1)), Split((("x", "y"),), (0,))
    prints = [
        of(train=row, test=other), of(train=other, test=row), of(train=both), of(train=Split(both.texts, (1, 0))),
        of(("a", "c"), train=both), of(train=pair), of(test=pair), of(train=Split((("xy",),), (0,))),
    ]  # fmt: skip
    assert len(set(prints)) == len(prints)
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in prints)
    assert of(train=both) == of(train=both)

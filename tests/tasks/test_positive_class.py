from __future__ import annotations

import pytest

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import Target, find_kind
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.positive_class import with_positive
from unipelt_search.tasks.rows import RawData, Rows

TWO = find_kind("classification").of_labels(("hate", "normal"))
SPEC = TaskSpec(data="x", text=("text",), label="label", metric="f1")
RAW = RawData("x", {"train": Rows(tuple((f"text {number}",) for number in range(40)), ("hate", "normal") * 20)})


@pytest.mark.parametrize(("label", "position"), [(None, 1), ("hate", 0), ("normal", 1)])
def test_a_user_names_the_positive_class_or_a_rule_does(label: str | None, position: int) -> None:
    assert with_positive(TWO, label).positive == position


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (TWO, "'hate' and 'normal'; got 'hat'. Did you mean 'hate'?"),
        (Target("classification", ("a", "b", "hat")), "exactly 2 labels"),
        (Target("regression", ()), "exactly 2 labels"),
    ],
)
def test_a_label_that_cannot_be_the_positive_one_is_refused(target: Target, told: str) -> None:
    with pytest.raises(DataError) as refused:
        with_positive(target, "hat")
    assert told in str(refused.value)


def test_every_target_of_a_task_has_the_named_class() -> None:
    task = build_task(RAW, SPEC.model_copy(update={"positive": "hate"}), 0, repeats=1)
    assert {task.target.positive, *(fold.target.positive for fold in task.folds)} == {0}
    assert [notice.code for notice in task.notices if "positive" in notice.code] == ["positive_named"]
    assert task.summary().positive == "hate"


def test_the_class_that_a_rule_chose_is_said() -> None:
    task = build_task(RAW, SPEC, 0)
    (notice,) = (notice for notice in task.notices if notice.code == "positive_label")
    assert notice.values["label"] == "normal"
    assert task.summary().positive is None

from __future__ import annotations

import pytest

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.brought_splits import check_brought
from unipelt_search.tasks.rows import Rows
from unipelt_search.tasks.split import RawSplits

ASKED = TaskSpec(data="x", text=("t",), label="l", group="user", order="day")


def rows(name: str, groups: list[str], times: list[float]) -> Rows:
    texts = tuple((f"{name} {number}",) for number in range(len(groups)))
    return Rows(texts, tuple("ab" * len(groups))[: len(groups)], groups=tuple(groups), times=tuple(times))


def splits(validation: Rows, test: Rows, **more: object) -> RawSplits:
    train = rows("train", ["u1", "u2"] * 10, [float(day) for day in range(20)])
    tune = rows("tune", ["u3"] * 4, [20.0] * 4)
    return RawSplits(train, train, tune, validation, test, (), validation_decides=True, **more)  # type: ignore[arg-type]


CLEAN = rows("later", ["u9"] * 20, [20.0] * 20)


def test_groups_and_times_that_are_as_asked_give_no_notice() -> None:
    assert check_brought(splits(CLEAN, CLEAN), ASKED) == ()


def test_what_is_not_as_asked_is_counted_and_refused_above_a_tenth() -> None:
    some = rows("v", ["u1", "u3", *["u8"] * 18], [18.0, *[30.0] * 19])
    codes = {(notice.code, notice.values["count"]) for notice in check_brought(splits(some, CLEAN), ASKED)}
    assert codes == {("shared_groups", 2), ("times_out_of_order", 1)}
    many = rows("t", ["u1", "u3", "u2", *["u8"] * 17], [30.0] * 20)
    with pytest.raises(DataError, match="10% of the test rows may have a group .* got 3 of 20 by column 'user'"):
        check_brought(splits(CLEAN, many), ASKED)
    early = rows("t", ["u8"] * 20, [1.0] * 3 + [30.0] * 17)
    with pytest.raises(DataError, match="be earlier than a training row; got 3 of 20 by column 'day'"):
        check_brought(splits(early, CLEAN), ASKED)
    accepted = ASKED.model_copy(update={"allow_overlap": True})
    assert [notice.values["split"] for notice in check_brought(splits(many, early), accepted)] == ["validation", "test"]


def test_with_folds_validation_rows_are_trained_on_and_only_test_is_scored_apart() -> None:
    train = rows("train", ["u1"] * 20, [0.0] * 20)
    validation = rows("v", ["u1", "u3"] * 5, [0.0] * 10)
    folded = RawSplits(train, train, validation, validation, rows("t", ["u3"] * 20, [0.0] * 20), (), folds=(None,))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="of the test rows .* got 20 of 20"):
        check_brought(folded, ASKED.model_copy(update={"order": None}))

"""Splits that the user brought stay as they are: what of their groups and times is not as asked is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from unipelt_search.errors import DataError
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import Rows
from unipelt_search.tasks.split import RawSplits

MOST_MISPLACED = 0.1
"""Share of the validation or test rows whose group is in training too, or that are earlier than a training row, which
is accepted without being asked for."""


def check_brought(splits: RawSplits, spec: TaskSpec) -> tuple[Notice, ...]:
    """Count validation and test rows whose group is among the training rows, or that are earlier than one of them.

    Args:
        splits: The rows by job; in those that were made here there is no such row.
        spec: Which columns say group and time, and whether any number is accepted.

    Returns:
        A notice for each split that has some.

    Raises:
        DataError: More than a tenth of a split's rows are such, and that is not accepted.
    """
    training = splits.train_pool
    if splits.validation_decides or splits.folds:
        training = training.followed_by(splits.tune)
    notices: list[Notice] = []
    for name, rows in _scored(splits):
        notices += _notices(training, name, rows, spec)
    return tuple(notices)


def _scored(splits: RawSplits) -> Iterator[tuple[str, Rows]]:
    """Yield the splits that are only scored; with folds validation is trained on too."""
    if not splits.folds:
        first, *others = splits.validation
        for part in others:
            first = first.followed_by(part)
        yield "validation", first
    yield "test", splits.test


def _notices(training: Rows, name: str, rows: Rows, spec: TaskSpec) -> Iterator[Notice]:
    if spec.group is not None:
        known = set(training.groups)
        count = sum(group in known for group in rows.groups)
        values = _values(name, count, rows, spec.group)
        _check(values, "have a group that training rows have too", accepted=spec.allow_overlap)
        if count:
            yield Notice(code="shared_groups", severity="warning", values=values)
    if spec.order is not None:
        last = max(training.times)
        count = sum(time < last for time in rows.times)
        values = _values(name, count, rows, spec.order)
        _check(values, "be earlier than a training row", accepted=spec.allow_overlap)
        if count:
            yield Notice(code="times_out_of_order", severity="warning", values=values)


def _values(name: str, count: int, rows: Rows, column: str) -> dict[str, Any]:
    return {"split": name, "count": count, "rows": len(rows), "column": column}


def _check(values: Mapping[str, Any], what: str, *, accepted: bool) -> None:
    count, rows = values["count"], values["rows"]
    if count > MOST_MISPLACED * rows and not accepted:
        raise DataError(
            f"At most {MOST_MISPLACED:.0%} of the {values['split']} rows may {what}; got {count} of {rows} by column "
            f"{values['column']!r}. Split them otherwise, or accept it: --allow-overlap, task.allow_overlap in a study "
            "file."
        )

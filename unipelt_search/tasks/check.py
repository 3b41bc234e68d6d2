"""What is wrong with a dataset's labels and texts, and what a user should know about them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import RawData, Rows, listed
from unipelt_search.tasks.split import RawSplits

FEW_ROWS = 5
"""A class with fewer training rows is called rare."""
FEW_VALIDATION_ROWS = 200
INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)


def check_question(spec: TaskSpec) -> None:
    """Check that texts and label are different columns.

    Args:
        spec: Which columns.

    Raises:
        DataError: A column stands twice.
    """
    for column in spec.text:
        if column == spec.label or spec.text.count(column) > 1:
            raise DataError(f"--text and --label must name different columns; got {column!r} twice.")


def order_labels(raw: RawData) -> tuple[str, ...]:
    """Fix a task's labels from its whole train split.

    Args:
        raw: What was read.

    Returns:
        The labels: ascending numbers if all are integers, else in alphabetical order.

    Raises:
        DataError: Train has one class only, or another split has a label that train has not.
    """
    found = set(raw.splits["train"].labels)
    if len(found) < 2:
        raise DataError(
            f"The training rows must have at least 2 labels; all {len(raw.splits['train'])} have {found.pop()!r}."
        )
    for name, rows in raw.splits.items():
        strange = {row: label for row, label in enumerate(rows.labels, start=1) if label not in found}
        if strange:
            names = sorted(set(strange.values()))
            raise DataError(
                f"Every label of {name} must occur in train; got {listed(map(repr, names))} "
                f"in row {listed(strange)} of {name}. Train has: {listed(map(repr, sorted(found)))}."
            )
    if all(INTEGER.fullmatch(label) for label in found):
        return tuple(sorted(found, key=lambda label: (int(label), label)))
    return tuple(sorted(found))


def find_notices(splits: RawSplits, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Find what a user should know about the rows before trusting a score.

    Args:
        splits: The rows by job.
        labels: The task's labels.

    Returns:
        One sentence for each finding.
    """
    notices = (
        _lost_labels(splits.train, labels),
        _rare_labels(splits.whole_train),
        _two_labels(splits.train),
        _overlap(splits.train, (splits.tune, splits.select), "validation"),
        _overlap(splits.train, (splits.test,), "test"),
        _few_validation_rows(len(splits.tune) + len(splits.select)),
    )
    return tuple(notice for notice in notices if notice)


def _lost_labels(train: Rows, labels: tuple[str, ...]) -> str:
    lost = sorted(set(labels) - set(train.labels), key=labels.index)
    if not lost:
        return ""
    return f"{len(lost)} of {len(labels)} labels have no row among the {len(train)} training rows: {listed(lost)}."


def _rare_labels(train: Rows) -> str:
    rare = sorted(label for label, count in Counter(train.labels).items() if count < FEW_ROWS)
    return f"Fewer than {FEW_ROWS} training rows have the label: {listed(rare)}." if rare else ""


def _two_labels(train: Rows) -> str:
    seen = defaultdict(set)
    for texts, label in zip(_normalised(train), train.labels, strict=True):
        seen[texts].add(label)
    count = sum(len(labels) > 1 for labels in seen.values())
    return f"{count} training texts stand there with two or more labels." if count else ""


def _overlap(train: Rows, parts: tuple[Rows, ...], name: str) -> str:
    known = set(_normalised(train))
    texts = [row for part in parts for row in _normalised(part)]
    count = sum(row in known for row in texts)
    if not count:
        return ""
    return f"{count} of {len(texts)} {name} texts ({count / len(texts):.1%}) are among the training texts too."


def _few_validation_rows(rows: int) -> str:
    if rows >= FEW_VALIDATION_ROWS:
        return ""
    return (
        f"Validation has {rows} rows, fewer than {FEW_VALIDATION_ROWS}: they are halved all the same, and intervals "
        "will be wide."
    )


def _normalised(rows: Rows) -> list[tuple[str, ...]]:
    return [tuple(" ".join(text.split()) for text in texts) for texts in rows.texts]

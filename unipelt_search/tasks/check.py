"""What is wrong with a dataset's labels and texts, and what a user should know about them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import RawData, Rows, format_list
from unipelt_search.tasks.spelling import look_alikes
from unipelt_search.tasks.split import FEW_VALIDATION_ROWS, FOLDS, RawSplits
from unipelt_search.tasks.target import SEPARATOR, PlainKind, Target, has_sets, names_of, number_of

FEW_ROWS = 5
"""A class with fewer training rows is called rare."""
MOST_OVERLAP = 0.1
"""Share of the validation or test rows that may be among the training rows without being asked for."""
INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
OTHER_KIND = "task.kind in the study file says otherwise"


def check_columns_differ(spec: TaskSpec) -> None:
    """Check that texts and label are different columns.

    Args:
        spec: Which columns.

    Raises:
        DataError: A column stands twice.
    """
    for column in spec.text:
        if column == spec.label or spec.text.count(column) > 1:
            raise DataError(f"--text and --label must name different columns; got {column!r} twice.")


def decide_kind(raw: RawData, spec: TaskSpec) -> tuple[RawData, PlainKind, tuple[str, ...]]:
    """Decide what a label is.

    Args:
        raw: What was read.
        spec: The user's word; `auto` looks at the labels.

    Returns:
        The rows, sets of labels written in one way; the kind; and what to say about it.

    Raises:
        DataError: A label is no finite number where the user asked for regression.
    """
    if spec.kind == "classification":
        return raw, "classification", ()
    everything = [label for rows in raw.splits.values() for label in rows.labels]
    if spec.kind == "multi_label" or (spec.kind == "auto" and has_sets(everything)):
        written = {
            name: replace(rows, labels=tuple(SEPARATOR.join(names_of(label)) for label in rows.labels))
            for name, rows in raw.splits.items()
        }
        notice = f"Labels hold {SEPARATOR!r} between names, so a row has a set of labels; {OTHER_KIND}."
        return replace(raw, splits=written), "multi_label", (notice,) if spec.kind == "auto" else ()
    numbers = [number_of(label) for label in everything]
    if spec.kind == "regression":
        _check_numbers(raw)
        return raw, "regression", ()
    if all(number is not None for number in numbers) and any(number % 1 for number in numbers if number is not None):
        notice = f"Every label is a number and some have fractions, so numbers are predicted; {OTHER_KIND}."
        return raw, "regression", (notice,)
    return raw, "classification", ()


def order_labels(raw: RawData, kind: PlainKind = "classification") -> tuple[str, ...]:
    """Fix a task's labels from its whole train split.

    Args:
        raw: What was read.
        kind: What a label is.

    Returns:
        The labels: ascending numbers if all are integers, else in alphabetical order; none for regression.

    Raises:
        DataError: Train has one label only, or another split has a label that train has not.
    """
    train = raw.splits["train"]
    found = {name for label in train.labels for name in _parts(label, kind)}
    if len(found) < 2:
        has = f"all {len(train)} have {found.pop()!r}" if found else f"all {len(train)} have none"
        raise DataError(f"The training rows must have at least 2 labels; {has}.")
    if kind == "regression":
        return ()
    for name, rows in raw.splits.items():
        strange = {
            row: part for row, label in enumerate(rows.labels, start=1) for part in _parts(label, kind)
            if part not in found
        }  # fmt: skip
        if strange:
            names = sorted(set(strange.values()))
            raise DataError(
                f"Every label of {name} must occur in train; got {format_list(map(repr, names))} in row "
                f"{format_list(strange)} of {name}. Train has: {format_list(map(repr, sorted(found)))}."
                f"{did_you_mean(names[0], sorted(found))}"
            )
    if all(INTEGER.fullmatch(label) for label in found):
        return tuple(sorted(found, key=lambda label: (int(label), label)))
    return tuple(sorted(found))


def check_overlap(splits: RawSplits) -> None:
    """Check that validation and test are not among the training rows.

    Args:
        splits: The rows by job.

    Raises:
        DataError: More than a tenth of a split's rows are.
    """
    for name, parts in _scored(splits):
        count, rows = _count_overlap(splits.train, parts)
        if count > MOST_OVERLAP * rows:
            raise DataError(
                f"At most {MOST_OVERLAP:.0%} of the {name} rows may be among the training rows; got {count} of {rows} "
                f"({count / rows:.1%}). Remove them, or allow it: --allow-overlap, task.allow_overlap in a study file."
            )


def find_notices(splits: RawSplits, target: Target) -> tuple[str, ...]:
    """Find what a user should know about the rows before trusting a score.

    Args:
        splits: The rows by job.
        target: What is predicted.

    Returns:
        One sentence for each finding.
    """
    notices = [
        _lost_labels(splits.train, target),
        _rare_labels(splits.whole_train, target),
        _possible_typos(splits.whole_train, target),
        _two_labels(splits.train),
    ]
    for name, parts in _scored(splits):
        count, rows = _count_overlap(splits.train, parts)
        if count:
            notices.append(f"{count} of {rows} {name} texts ({count / rows:.1%}) are among the training texts too.")
    notices.append(_few_validation_rows(splits))
    return tuple(notice for notice in notices if notice)


def _parts(label: str, kind: PlainKind) -> Iterable[str]:
    return names_of(label) if kind == "multi_label" else (label,)


def _check_numbers(raw: RawData) -> None:
    for name, rows in raw.splits.items():
        for index, label in enumerate(rows.labels):
            if number_of(label) is None:
                where = rows.source_lines[index] if rows.source_lines else f"row {index + 1} of {name}"
                raise DataError(
                    f"Every label must be a finite number with a decimal point for task.kind: regression; got "
                    f"{label!r} at {where}. Correct it, or choose another kind."
                )


def _lost_labels(train: Rows, target: Target) -> str:
    found = {part for label in train.labels for part in _parts(label, target.kind)}
    lost = [label for label in target.labels if label not in found]
    if not lost:
        return ""
    return (
        f"{len(lost)} of {len(target.labels)} labels have no row among the {len(train)} training rows: "
        f"{format_list(lost)}."
    )


def _rare_labels(train: Rows, target: Target) -> str:
    counts = _label_counts(train, target)
    rare = sorted(label for label, count in counts.items() if count < FEW_ROWS)
    return f"Fewer than {FEW_ROWS} training rows have the label: {format_list(rare)}." if rare else ""


def _possible_typos(train: Rows, target: Target) -> str:
    counts = _label_counts(train, target)
    pairs = [
        f"{rare!r} ({counts[rare]} rows) looks like {usual!r} ({counts[usual]} rows)"
        for rare, usual in look_alikes(counts)
    ]
    return f"Labels may be misspelt: {format_list(pairs)}." if pairs else ""


def _label_counts(train: Rows, target: Target) -> Counter[str]:
    if target.kind == "regression":
        return Counter()
    return Counter(part for label in train.labels for part in _parts(label, target.kind))


def _two_labels(train: Rows) -> str:
    seen = defaultdict(set)
    for texts, label in zip(train.plain_texts(), train.labels, strict=True):
        seen[texts].add(label)
    count = sum(len(labels) > 1 for labels in seen.values())
    return f"{count} training texts stand there with two or more labels." if count else ""


def _scored(splits: RawSplits) -> tuple[tuple[str, tuple[Rows, ...]], ...]:
    return ("validation", splits.validation), ("test", (splits.test,))


def _count_overlap(train: Rows, parts: tuple[Rows, ...]) -> tuple[int, int]:
    """Count the rows whose text, or both texts of a pair, are among the training rows; and all rows."""
    known = set(train.plain_texts())
    texts = [row for part in parts for row in part.plain_texts()]
    return sum(row in known for row in texts), len(texts)


def _few_validation_rows(splits: RawSplits) -> str:
    rows = sum(map(len, splits.validation))
    if rows >= FEW_VALIDATION_ROWS:
        return ""
    few = f"Validation has {rows} rows, fewer than {FEW_VALIDATION_ROWS}"
    if not splits.folds:
        return f"{few}: they are halved all the same, and intervals will be wide."
    sizes = sorted(len(fold.train) for fold in splits.folds)
    trained = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    return (
        f"{few}: confirm runs are scored on {FOLDS} folds of the {len(splits.select)} train and validation rows, each "
        f"trained on {trained} rows of the other folds. The validation rows had chosen the hyperparameters."
    )

"""What is wrong with a dataset's labels and texts, and what a user should know about them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.records.notice import MAX_LISTED, Notice, NoticeValue, first_values
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


def decide_kind(raw: RawData, spec: TaskSpec) -> tuple[RawData, PlainKind, tuple[Notice, ...]]:
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
        notice = Notice(code="labels_are_sets", values={"separator": SEPARATOR})
        return replace(raw, splits=written), "multi_label", (notice,) if spec.kind == "auto" else ()
    numbers = [number_of(label) for label in everything]
    if spec.kind == "regression":
        _check_numbers(raw)
        return raw, "regression", ()
    if all(number is not None for number in numbers) and any(number % 1 for number in numbers if number is not None):
        return raw, "regression", (Notice(code="labels_are_numbers"),)
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


def find_notices(splits: RawSplits, target: Target) -> tuple[Notice, ...]:
    """Find what a user should know about the rows before trusting a score.

    Args:
        splits: The rows by job.
        target: What is predicted.

    Returns:
        One notice for each finding.
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
            values: dict[str, NoticeValue] = {"split": name, "count": count, "rows": rows}
            notices.append(Notice(code="overlap", severity="warning", values=values))
    notices.append(_few_validation_rows(splits))
    return tuple(notice for notice in notices if notice is not None)


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


def _lost_labels(train: Rows, target: Target) -> Notice | None:
    found = {part for label in train.labels for part in _parts(label, target.kind)}
    lost = [label for label in target.labels if label not in found]
    if not lost:
        return None
    values = {**first_values("labels", lost), "of": len(target.labels), "rows": len(train)}
    return Notice(code="labels_without_rows", severity="warning", values=values)


def _rare_labels(train: Rows, target: Target) -> Notice | None:
    counts = _label_counts(train, target)
    rare = sorted(label for label, count in counts.items() if count < FEW_ROWS)
    if not rare:
        return None
    return Notice(
        code="rare_labels", severity="warning", values={**first_values("labels", rare), "fewer_than": FEW_ROWS}
    )


def _possible_typos(train: Rows, target: Target) -> Notice | None:
    counts = _label_counts(train, target)
    pairs = list(look_alikes(counts))
    if not pairs:
        return None
    first = pairs[:MAX_LISTED]
    values: dict[str, NoticeValue] = {
        "labels": tuple(rare for rare, _ in first),
        "label_rows": tuple(counts[rare] for rare, _ in first),
        "similar": tuple(usual for _, usual in first),
        "similar_rows": tuple(counts[usual] for _, usual in first),
        "labels_count": len(pairs),
    }
    return Notice(code="possible_typos", severity="warning", values=values)


def _label_counts(train: Rows, target: Target) -> Counter[str]:
    if target.kind == "regression":
        return Counter()
    return Counter(part for label in train.labels for part in _parts(label, target.kind))


def _two_labels(train: Rows) -> Notice | None:
    seen = defaultdict(set)
    for texts, label in zip(train.plain_texts(), train.labels, strict=True):
        seen[texts].add(label)
    count = sum(len(labels) > 1 for labels in seen.values())
    return Notice(code="texts_with_two_labels", severity="warning", values={"count": count}) if count else None


def _scored(splits: RawSplits) -> tuple[tuple[str, tuple[Rows, ...]], ...]:
    return ("validation", splits.validation), ("test", (splits.test,))


def _count_overlap(train: Rows, parts: tuple[Rows, ...]) -> tuple[int, int]:
    """Count the rows whose text, or both texts of a pair, are among the training rows; and all rows."""
    known = set(train.plain_texts())
    texts = [row for part in parts for row in part.plain_texts()]
    return sum(row in known for row in texts), len(texts)


def _few_validation_rows(splits: RawSplits) -> Notice | None:
    rows = sum(map(len, splits.validation))
    if rows >= FEW_VALIDATION_ROWS:
        return None
    values: dict[str, NoticeValue] = {"rows": rows, "fewer_than": FEW_VALIDATION_ROWS}
    if not splits.folds:
        return Notice(code="few_validation_rows", severity="warning", values=values)
    sizes = [len(fold.train) for fold in splits.folds]
    values |= {"folds": FOLDS, "select": len(splits.select), "fewest_trained": min(sizes), "most_trained": max(sizes)}
    return Notice(code="few_validation_rows_folds", values=values)

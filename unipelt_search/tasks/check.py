"""What is wrong with a dataset's labels and texts, and what a user should know about them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.kinds.label_kind import AUTO, LabelKind, Target, find_kind, recognise
from unipelt_search.records.notice import MAX_NAMED, Notice, NoticeValue, first_values
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.findings import Problem
from unipelt_search.tasks.fold_rows import FOLDS
from unipelt_search.tasks.merge_labels import merge_labels, similar_labels
from unipelt_search.tasks.oddities import find_oddities, find_typos, location_of
from unipelt_search.tasks.rows import RawData, Rows, format_list
from unipelt_search.tasks.spelling import look_alikes
from unipelt_search.tasks.split import FEW_VALIDATION_ROWS, RawSplits

FEW_ROWS = 5
"""A class with fewer training rows is called rare."""
MOST_OVERLAP = 0.1
"""Share of the validation or test rows that may be among the training rows without being asked for."""


@dataclass(frozen=True)
class LabelledData:
    """What was read, once it is known what a label is."""

    raw: RawData
    """With every label written in the one way of its kind."""
    kind: LabelKind
    labels: tuple[str, ...]
    """The names in the order of a model's outputs; none for regression."""
    notices: tuple[Notice, ...]


def check_columns_differ(spec: TaskSpec) -> None:
    """Check that texts and label are different columns.

    Args:
        spec: Which columns.

    Raises:
        DataError: A column stands twice.
    """
    for column in spec.text:
        if column in spec.label or spec.text.count(column) > 1:
            raise DataError(f"--text and --label must name different columns; got {column!r} twice.")
    if spec.group in spec.label:
        raise DataError(f"--group and --label must name different columns; got {spec.group!r} twice.")
    for column in spec.label:
        if spec.label.count(column) > 1:
            raise DataError(f"Each --label must name a column of its own; got {column!r} twice.")


def read_labels(raw: RawData, spec: TaskSpec) -> LabelledData:
    """Decide what a label is, check every one, and fix the names from the complete train split.

    Args:
        raw: What was read.
        spec: The user's word for the kind; `auto` looks at the labels. And whether classes are weighted.

    Returns:
        The rows with their labels, without those whose label train has not: these are among the findings of `raw`, as
        is what is odd in the others.

    Raises:
        DataError: A label is none of the kind, train has one label only, no row of another split has a label that train
            has, or classes are to be weighted or labels merged where there are none.
    """
    raw, kind, notices = decide_kind(raw, spec)
    similar = similar_labels(raw, kind)
    column = " and ".join(spec.label)
    if spec.merge_labels:
        raw = merge_labels(raw, kind, similar, column)
    raw = without_unknown(raw, kind, similar, column)
    if not spec.merge_labels:
        find_typos(raw, kind, similar, column)
    find_oddities(raw, " and ".join(spec.text))
    if spec.class_weights != "none" and not kind.has_labels:
        raise DataError(
            f"task.class_weights must be none for {kind.name}, which has no classes; got {spec.class_weights!r}."
        )
    return LabelledData(raw, kind, order_labels(raw, kind), notices)


def decide_kind(raw: RawData, spec: TaskSpec) -> tuple[RawData, LabelKind, tuple[Notice, ...]]:
    """Decide what a label is.

    Args:
        raw: What was read.
        spec: The user's word; `auto` looks at the labels.

    Returns:
        The rows, each label written in the one way of its kind; the kind; and what to say about it.

    Raises:
        DataError: A label is none of the kind that the user asked for.
    """
    notices: tuple[Notice, ...] = ()
    if raw.form is not None:
        kind, notices = raw.form.kind, raw.form.notices
    elif spec.kind == AUTO:
        kind = recognise([label for rows in raw.splits.values() for label in rows.labels])
        if kind.notice is not None:
            values: dict[str, NoticeValue] = {} if kind.separator is None else {"separator": kind.separator}
            notices = (Notice(code=kind.notice, values=values),)
    else:
        kind = find_kind(spec.kind)
    splits = {}
    for name, rows in raw.splits.items():
        kind.check(rows.labels, partial(_where, name, rows))
        splits[name] = replace(rows, labels=tuple(map(kind.canonical, rows.labels)))
    return replace(raw, splits=splits), kind, notices


def order_labels(raw: RawData, kind: LabelKind) -> tuple[str, ...]:
    """Fix a task's labels from its complete train split.

    Args:
        raw: What was read.
        kind: What a label is.

    Returns:
        The labels: ascending numbers if all are integers, else in alphabetical order; none for regression.

    Raises:
        DataError: Train has one label only.
    """
    train = raw.splits["train"]
    found = set(_names(train, kind))
    if len(found) < 2:
        has = f"all {len(train)} have {found.pop()!r}" if found else f"all {len(train)} have none"
        raise DataError(f"The training rows must have at least 2 labels; {has}.")
    return kind.order(found)


def without_unknown(raw: RawData, kind: LabelKind, similar: Mapping[str, str], column: str) -> RawData:
    """Leave out rows with a label that train has not, and add them to the findings: the data cannot be used with them.

    Args:
        raw: What was read.
        kind: What a label is.
        similar: Labels that look like a more frequent one, each with that one.
        column: What to call the column of the labels.

    Returns:
        The other rows.

    Raises:
        DataError: A split has no other rows.
    """
    if not kind.has_labels:
        return raw
    known = set(_names(raw.splits["train"], kind))
    splits = {}
    for split, rows in raw.splits.items():
        kept = []
        for row, label in enumerate(rows.labels):
            strange = [name for name in kind.names(label) if name not in known]
            for name in strange:
                raw.findings.add(_unknown_label(split, name, known, similar), location_of(split, rows, row), column)
            if not strange:
                kept.append(row)
        if not kept:
            raw.findings.raise_errors()
        splits[split] = rows if len(kept) == len(rows) else rows.take(kept)
    return replace(raw, splits=splits)


def check_rows(splits: RawSplits, target: Target, *, allow_overlap: bool) -> tuple[Notice, ...]:
    """Check the rows by job, and find what a user should know about them before trusting a score.

    Args:
        splits: The rows by job.
        target: What is predicted.
        allow_overlap: Whether any number of validation and test rows may be among the training rows.

    Returns:
        One notice for each finding.

    Raises:
        DataError: More than a tenth of a split's rows are among the training rows, and that is not allowed.
    """
    known = set(splits.train.plain_texts())
    if splits.validation_decides:
        known.update(splits.tune.plain_texts())
    overlaps = [
        _Overlap.of(known, "validation", splits.validation),
        _Overlap.of(known, "test", (splits.test,)),
    ]
    if not allow_overlap:
        for overlap in overlaps:
            overlap.check()
    notices = [*_label_notices(splits, target), _two_labels(splits.train)]
    notices += [overlap.notice() for overlap in overlaps]
    notices += [_test_rows_seen(splits), _few_validation_rows(splits)]
    return tuple(notice for notice in notices if notice is not None)


@dataclass(frozen=True)
class _Overlap:
    """How many rows of a split have a text, or both texts of a pair, that is among the training rows."""

    split: str
    count: int
    rows: int

    @classmethod
    def of(cls, known: set[tuple[str, ...]], split: str, parts: Sequence[Rows]) -> _Overlap:
        texts = [row for part in parts for row in part.plain_texts()]
        return cls(split, sum(row in known for row in texts), len(texts))

    def check(self) -> None:
        if self.count > MOST_OVERLAP * self.rows:
            raise DataError(
                f"At most {MOST_OVERLAP:.0%} of the {self.split} rows may be among the training rows; got {self.count} "
                f"of {self.rows} ({self.count / self.rows:.1%}). Remove them, or allow it: --allow-overlap, "
                "task.allow_overlap in a study file."
            )

    def notice(self) -> Notice | None:
        if not self.count:
            return None
        values: dict[str, NoticeValue] = {"split": self.split, "count": self.count, "rows": self.rows}
        return Notice(code="overlap", severity="warning", values=values)


def _test_rows_seen(splits: RawSplits) -> Notice | None:
    """Say how many test rows have a text that a validation row has: they confirm nothing that validation has not."""
    known: set[tuple[str, ...]] = set()
    for part in splits.validation:
        known.update(part.plain_texts())
    count = sum(text in known for text in splits.test.plain_texts())
    if not count:
        return None
    return Notice(code="test_rows_in_validation", severity="warning", values={"count": count, "rows": len(splits.test)})


def _names(rows: Rows, kind: LabelKind) -> Iterator[str]:
    """Yield the names of all rows, row by row."""
    for label in rows.labels:
        yield from kind.names(label)


def _where(split: str, rows: Rows, row: int) -> str:
    return str(location_of(split, rows, row))


def _unknown_label(split: str, name: str, known: set[str], similar: Mapping[str, str]) -> Problem:
    labels = sorted(known)
    fix = f"Correct or remove these rows; train has {format_list(map(repr, labels))}.{did_you_mean(name, labels)}"
    # Which of two that look alike is the usual one, does not matter here: with --merge-labels they are one.
    alike = similar.get(name) or next((label for label in labels if similar.get(label) == name), None)
    if alike is not None:
        fix = f"Correct it, or read it as one with {alike!r} by --merge-labels"
    rule = f"Every label of {split} must occur in train"
    return Problem("unknown_label", rule, f"has {name!r}", fix.removesuffix("."))


def _label_notices(splits: RawSplits, target: Target) -> Iterator[Notice | None]:
    """Yield what is to be said of the labels of the training rows."""
    kind = target.label_kind
    if not kind.has_labels:
        return
    found = set(_names(splits.train, kind))
    # Counted before `train_size` took its rows: what is rare or misspelt is so in the data, not in a sample of it.
    counts = Counter(_names(splits.train_pool, kind))
    yield _untested_labels(splits.test, target)
    yield _lost_labels([label for label in target.labels if label not in found], splits.train, target)
    yield _rare_labels(counts)
    yield _possible_typos(counts)


def _lost_labels(lost: Sequence[str], train: Rows, target: Target) -> Notice | None:
    if not lost:
        return None
    values = first_values("labels", lost)
    values |= {"of": len(target.labels), "rows": len(train)}
    return Notice(code="labels_without_rows", severity="warning", values=values)


def _untested_labels(test: Rows, target: Target) -> Notice | None:
    found = set(_names(test, target.label_kind))
    missing = [label for label in target.labels if label not in found]
    if not missing:
        return None
    values = {**first_values("labels", missing), "of": len(target.labels), "rows": len(test)}
    return Notice(code="labels_without_test_rows", severity="warning", values=values)


def _rare_labels(counts: Counter[str]) -> Notice | None:
    rare = sorted(label for label, count in counts.items() if count < FEW_ROWS)
    if not rare:
        return None
    values = {**first_values("labels", rare), "fewer_than": FEW_ROWS}
    return Notice(code="rare_labels", severity="warning", values=values)


def _possible_typos(counts: Counter[str]) -> Notice | None:
    pairs = look_alikes(counts)
    if not pairs:
        return None
    first = pairs[:MAX_NAMED]
    values: dict[str, NoticeValue] = {
        "labels": tuple(rare for rare, _ in first),
        "label_rows": tuple(counts[rare] for rare, _ in first),
        "similar": tuple(usual for _, usual in first),
        "similar_rows": tuple(counts[usual] for _, usual in first),
        "labels_count": len(pairs),
    }
    return Notice(code="possible_typos", severity="warning", values=values)


def _two_labels(train: Rows) -> Notice | None:
    seen = defaultdict(set)
    for texts, label in zip(train.plain_texts(), train.labels, strict=True):
        seen[texts].add(label)
    count = sum(len(labels) > 1 for labels in seen.values())
    return Notice(code="texts_with_two_labels", severity="warning", values={"count": count}) if count else None


def _few_validation_rows(splits: RawSplits) -> Notice | None:
    rows = sum(map(len, splits.validation))
    if splits.folds_asked:
        return Notice(code="folds_asked", values=_fold_values(splits))
    # A given split that decides whole is not halved.
    if rows >= FEW_VALIDATION_ROWS or splits.validation_decides:
        return None
    values: dict[str, NoticeValue] = {"rows": rows, "fewer_than": FEW_VALIDATION_ROWS}
    if not splits.folds:
        return Notice(code="few_validation_rows", severity="warning", values=values)
    return Notice(code="few_validation_rows_folds", values=values | _fold_values(splits))


def _fold_values(splits: RawSplits) -> dict[str, NoticeValue]:
    sizes = [len(fold.train) for fold in splits.folds]
    return {
        "folds": FOLDS,
        "select": len(splits.select),
        "fewest_trained": min(sizes),
        "most_trained": max(sizes),
    }

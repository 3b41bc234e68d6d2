"""What is wrong with a dataset's labels and texts, and what a user should know about them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from unipelt_search.errors import DataError, did_you_mean
from unipelt_search.kinds.label_kind import AUTO, LabelKind, Target, find_kind, recognise
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import RawData, Rows, format_list
from unipelt_search.tasks.spelling import look_alikes
from unipelt_search.tasks.split import FEW_VALIDATION_ROWS, FOLDS, RawSplits

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
    notices: tuple[str, ...]


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


def read_labels(raw: RawData, spec: TaskSpec) -> LabelledData:
    """Decide what a label is, check every one, and fix the names from the whole train split.

    Args:
        raw: What was read.
        spec: The user's word for the kind; `auto` looks at the labels. And whether classes are weighted.

    Returns:
        The rows with their labels.

    Raises:
        DataError: A label is none of the kind, train has one label only, another split has a label that train has
            not, or classes are to be weighted where there are none.
    """
    raw, kind, notices = decide_kind(raw, spec)
    if spec.class_weights != "none" and not kind.has_labels:
        raise DataError(
            f"task.class_weights must be none for {kind.name}, which has no classes; got {spec.class_weights!r}."
        )
    return LabelledData(raw, kind, order_labels(raw, kind), notices)


def decide_kind(raw: RawData, spec: TaskSpec) -> tuple[RawData, LabelKind, tuple[str, ...]]:
    """Decide what a label is.

    Args:
        raw: What was read.
        spec: The user's word; `auto` looks at the labels.

    Returns:
        The rows, each label written in the one way of its kind; the kind; and what to say about it.

    Raises:
        DataError: A label is none of the kind that the user asked for.
    """
    notices: tuple[str, ...] = ()
    if spec.kind == AUTO:
        kind = recognise([label for rows in raw.splits.values() for label in rows.labels])
        if kind.notice is not None:
            notices = (f"{_RECOGNISED[kind.notice]}; task.kind in the study file says otherwise.",)
    else:
        kind = find_kind(spec.kind)
    splits = {}
    for name, rows in raw.splits.items():
        kind.check(rows.labels, partial(_line_of, name, rows))
        splits[name] = replace(rows, labels=tuple(map(kind.canonical, rows.labels)))
    return replace(raw, splits=splits), kind, notices


def order_labels(raw: RawData, kind: LabelKind) -> tuple[str, ...]:
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
    found = set(_names(train, kind))
    if len(found) < 2:
        has = f"all {len(train)} have {found.pop()!r}" if found else f"all {len(train)} have none"
        raise DataError(f"The training rows must have at least 2 labels; {has}.")
    if kind.has_labels:
        for name, rows in raw.splits.items():
            _check_known(name, rows, kind, found)
    return kind.order(found)


def check_rows(splits: RawSplits, target: Target, *, allow_overlap: bool) -> tuple[str, ...]:
    """Check the rows by job, and find what a user should know about them before trusting a score.

    Args:
        splits: The rows by job.
        target: What is predicted.
        allow_overlap: Whether any number of validation and test rows may be among the training rows.

    Returns:
        One sentence for each finding.

    Raises:
        DataError: More than a tenth of a split's rows are among the training rows, and that is not allowed.
    """
    known = set(splits.train.plain_texts())
    overlaps = [_Overlap.of(known, "validation", splits.validation), _Overlap.of(known, "test", (splits.test,))]
    if not allow_overlap:
        for overlap in overlaps:
            overlap.check()
    notices = [*_label_notices(splits, target), _two_labels(splits.train)]
    notices += [overlap.notice() for overlap in overlaps]
    notices.append(_few_validation_rows(splits))
    return tuple(notice for notice in notices if notice)


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

    def notice(self) -> str:
        if not self.count:
            return ""
        share = f"{self.count / self.rows:.1%}"
        return f"{self.count} of {self.rows} {self.split} texts ({share}) are among the training texts too."


def _names(rows: Rows, kind: LabelKind) -> Iterator[str]:
    """Yield the names of all rows, row by row."""
    for label in rows.labels:
        yield from kind.names(label)


def _line_of(name: str, rows: Rows, position: int) -> str:
    return rows.source_lines[position] if rows.source_lines else f"row {position + 1} of {name}"


def _check_known(name: str, rows: Rows, kind: LabelKind, known: set[str]) -> None:
    """Check that a split has no label that train has not."""
    strange: dict[int, str] = {}
    for row, label in enumerate(rows.labels, start=1):
        # Of several strange names in one row the last one is told.
        strange.update((row, part) for part in kind.names(label) if part not in known)
    if strange:
        names = sorted(set(strange.values()))
        raise DataError(
            f"Every label of {name} must occur in train; got {format_list(map(repr, names))} in row "
            f"{format_list(strange)} of {name}. Train has: {format_list(map(repr, sorted(known)))}."
            f"{did_you_mean(names[0], sorted(known))}"
        )


def _label_notices(splits: RawSplits, target: Target) -> Iterator[str]:
    """Yield what is to be said of the labels of the training rows."""
    kind = target.label_kind
    if not kind.has_labels:
        return
    found = set(_names(splits.train, kind))
    # Counted before `train_size` took its rows: what is rare or misspelt is so in the data, not in a sample of it.
    counts = Counter(_names(splits.whole_train, kind))
    yield _lost_labels([label for label in target.labels if label not in found], splits.train, target)
    yield _rare_labels(counts)
    yield _possible_typos(counts)


def _lost_labels(lost: Sequence[str], train: Rows, target: Target) -> str:
    if not lost:
        return ""
    return (
        f"{len(lost)} of {len(target.labels)} labels have no row among the {len(train)} training rows: "
        f"{format_list(lost)}."
    )


def _rare_labels(counts: Counter[str]) -> str:
    rare = sorted(label for label, count in counts.items() if count < FEW_ROWS)
    return f"Fewer than {FEW_ROWS} training rows have the label: {format_list(rare)}." if rare else ""


def _possible_typos(counts: Counter[str]) -> str:
    pairs = [
        f"{rare!r} ({counts[rare]} rows) looks like {usual!r} ({counts[usual]} rows)"
        for rare, usual in look_alikes(counts)
    ]
    return f"Labels may be misspelt: {format_list(pairs)}." if pairs else ""


def _two_labels(train: Rows) -> str:
    seen = defaultdict(set)
    for texts, label in zip(train.plain_texts(), train.labels, strict=True):
        seen[texts].add(label)
    count = sum(len(labels) > 1 for labels in seen.values())
    return f"{count} training texts stand there with two or more labels." if count else ""


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


_RECOGNISED = {
    "labels_are_sets": "Labels hold '|' between names, so a row has a set of labels",
    "labels_are_numbers": "Every label is a number and some have fractions, so numbers are predicted",
}

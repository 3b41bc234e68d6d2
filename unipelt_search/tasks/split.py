"""Which rows train, which choose, which decide and which are scored once: splits, stratified and seeded, no row lost.

Order: the validation split may become the test split, missing splits are split off from train, then ``train_size``
samples what is left of it, then validation is halved into tune and select. Where that would leave too few rows, all of
validation tunes, and confirm runs are scored on folds of train and validation together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import LabelKind
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.specs.seeds import derive_seed
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.rows import RawData, Rows

SPLIT_OFF_SHARE = 0.2
MOST_VALIDATION = 1000
"""Rows that are split off for validation at most, where a test split is given."""
MOST_TEST = 2000
"""Rows that are split off for the test at most, where a validation split is given."""
FEW_VALIDATION_ROWS = 200
"""Fewer are not halved: folds decide."""
FOLDS = 5
FEWEST_TEXTS = 2 * FOLDS
"""With fewer different texts a fold could have a single row, which has no spread."""
STOPPING_SHARE = 0.1
"""At least so much of the rows outside of a fold is not trained on: it chooses the checkpoint."""


@dataclass(frozen=True)
class FoldRows:
    """What one confirm run does with the rows of train and validation, which are numbered from 0 in this order."""

    train: tuple[int, ...]
    tune: tuple[int, ...]
    """What chooses the checkpoint."""
    select: tuple[int, ...]
    """The fold: what the run is scored on."""


@dataclass(frozen=True)
class RawSplits:
    """Rows by job."""

    train_pool: Rows
    """The training rows before `train_size` sampled them."""
    train: Rows
    tune: Rows
    select: Rows
    """With folds the rows of train and then those of validation."""
    test: Rows
    notices: tuple[Notice, ...]
    resamples: tuple[Rows, ...] = ()
    """Other samples of as many training rows."""
    folds: tuple[FoldRows, ...] = ()
    """Repeat by repeat."""

    @property
    def validation(self) -> tuple[Rows, ...]:
        """The rows of the validation split."""
        return (self.tune,) if self.folds else (self.tune, self.select)


@dataclass
class _Parts:
    """The three splits while missing ones are split off, and what to say about that."""

    train: Rows
    validation: Rows | None
    test: Rows | None
    notices: list[Notice] = field(default_factory=list)


def choose_test(raw: RawData, spec: TaskSpec) -> RawData:
    """Make the validation split the test split, where the user wants that.

    Args:
        raw: What was read.
        spec: The user's word.

    Returns:
        The splits by the jobs that they will have, with a notice where that changes them.

    Raises:
        DataError: There is no validation split.
    """
    if spec.test == "test":
        return raw
    if "validation" not in raw.splits:
        raise DataError(
            f"task.test: validation needs a validation split; {raw.name} has: {', '.join(raw.splits)}. Leave it out, "
            "or add that split."
        )
    values: dict[str, NoticeValue] = {"data": raw.name, "test_unused": "test" in raw.splits}
    notice = Notice(code="validation_is_test", values=values)
    splits = {"train": raw.splits["train"], "test": raw.splits["validation"]}
    return replace(raw, splits=splits, notices=(*raw.notices, notice))


def stratified_take(
    labels: Sequence[str], count: int, seed: int, *, every_class: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Sample rows so that each class keeps its share (largest remainders), and return them and the others.

    Args:
        labels: ``(n,)``, each row's label.
        count: Rows to sample, at most n.
        seed: Decides which rows, and which classes get the rows that shares leave over.
        every_class: Take at least one row of every class, where ``count`` allows it.

    Returns:
        The row numbers of the sample ``(count,)`` and the other ones ``(n - count,)``, both ascending.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    # As objects: an array of text would be as wide as the longest label for every row.
    known = np.asarray(labels, dtype=object)
    _, classes, sizes = np.unique(known, return_inverse=True, return_counts=True)
    quota = _quotas(sizes, count, random, every_class=every_class)
    taken = np.zeros(len(labels), dtype=bool)
    rows = np.argsort(classes, kind="stable")
    by_class = np.split(rows, np.cumsum(sizes)[:-1])
    for own, size in zip(by_class, quota, strict=True):
        taken[random.permutation(own)[:size]] = True
    return np.flatnonzero(taken), np.flatnonzero(~taken)


def strata_of(labels: Sequence[str], kind: LabelKind, most: int | None = None) -> Sequence[str]:
    """Say which rows are alike, so that every split gets its share of them.

    Args:
        labels: ``(n,)``, as they are written.
        kind: What a label is.
        most: Rows to sample; with more sets of labels than that, all are represented by their rarest label.

    Returns:
        ``(n,)``: the class itself; a number's tenth; a set of labels, or the rarest label of a set that is rare.
    """
    return kind.strata(labels, most) if labels else labels


def split_rows(raw: RawData, spec: TaskSpec, seed: int, kind: LabelKind, *, repeats: int = 0) -> RawSplits:
    """Split off the splits that are missing, sample the training rows, and halve the validation rows or make folds.

    Args:
        raw: What was read.
        spec: How many rows to split off and to sample.
        seed: The data seed.
        kind: What a label is.
        repeats: How often the training rows are sampled again, with `spec.redraw`; else, with few validation rows, how
            often train and validation are assigned to folds. With 0 there are neither.

    Returns:
        The rows by job, with notices on what was split off.

    Raises:
        DataError: There are too few rows for that.
    """
    pool, validation, test, notices = _split_off(raw, spec, seed, kind)
    train, resamples = _sample_train(pool, spec, seed, kind, repeats)
    if spec.redraw:
        if len(train) == len(pool):
            raise DataError(
                f"task.redraw needs a --train-size below the number of training rows, {len(pool)}, so that other rows "
                "can be sampled. Give a smaller --train-size, or leave redraw out."
            )
        values = {"rows": len(train), "of": len(pool)}
        notices.append(Notice(code="resampled_training_rows", values=values))
    if len(validation) < 2:
        raise DataError(
            f"Validation must have at least 2 rows, one to choose settings and one to decide; got {len(validation)}. "
            "Give more rows."
        )
    both = train.followed_by(validation)
    if repeats and not spec.redraw and _needs_folds(validation, both):
        folds: list[FoldRows] = []
        for repeat in range(1, repeats + 1):
            folds += _folds(both, len(train), seed, repeat, kind)
        return RawSplits(
            train_pool=pool,
            train=train,
            tune=validation,
            select=both,
            test=test,
            notices=tuple(notices),
            folds=tuple(folds),
        )
    strata = strata_of(validation.labels, kind)
    tune, select = stratified_take(strata, len(validation) // 2, derive_seed(seed, "halve"))
    return RawSplits(
        train_pool=pool,
        train=train,
        tune=validation.take(tune),
        select=validation.take(select),
        test=test,
        notices=tuple(notices),
        resamples=resamples,
    )


def _sample_train(
    pool: Rows, spec: TaskSpec, seed: int, kind: LabelKind, repeats: int
) -> tuple[Rows, tuple[Rows, ...]]:
    """Return the training rows, and the other samples of as many that confirm runs have of their own."""
    if spec.train_size is None:
        return pool, ()
    if spec.train_size > len(pool):
        raise DataError(
            f"--train-size must be at most the number of training rows, {len(pool)}; got {spec.train_size}."
        )
    seeds = [derive_seed(seed, "train_size")]
    if spec.redraw:
        seeds += [derive_seed(seed, "train_size", number) for number in range(1, repeats + 1)]
    strata = strata_of(pool.labels, kind, spec.train_size)
    samples = []
    for own_seed in seeds:
        numbers, _ = stratified_take(strata, spec.train_size, own_seed, every_class=True)
        samples.append(pool.take(numbers))
    return samples[0], tuple(samples[1:])


def _needs_folds(validation: Rows, both: Rows) -> bool:
    """Tell whether validation is too small to be halved, and there are texts enough for folds."""
    return len(validation) < FEW_VALIDATION_ROWS and len(set(both.plain_texts())) >= FEWEST_TEXTS


def _split_off(raw: RawData, spec: TaskSpec, seed: int, kind: LabelKind) -> tuple[Rows, Rows, Rows, list[Notice]]:
    """Return train, validation and test, and what to say about those that were split off."""
    splits = raw.splits
    parts = _Parts(splits["train"], splits.get("validation"), splits.get("test"))
    rows = len(parts.train)
    fifth = max(round(rows * SPLIT_OFF_SHARE), 2)
    if spec.carve is not None and parts.validation is not None:
        _replace_validation(parts)
    if parts.test is None:
        count = fifth if parts.validation is None else min(fifth, MOST_TEST)
        parts.train, parts.test = _take_out(parts.train, count, derive_seed(seed, "test"), kind)
        parts.notices.append(Notice(code="test_split_off", values={"count": count, "of": rows}))
    if parts.validation is None:
        # Without a given test split, validation and test are as large as each other.
        most = min(fifth, MOST_VALIDATION) if "test" in splits else fifth
        count = spec.carve or most
        parts.train, parts.validation = _take_out(parts.train, count, derive_seed(seed, "validation"), kind)
        if spec.carve is None:
            parts.notices.append(Notice(code="validation_split_off", values={"count": count, "of": rows}))
    return parts.train, parts.validation, parts.test, parts.notices


def _replace_validation(parts: _Parts) -> None:
    """Take the validation split away, because further training rows become it; make it the test if there is none."""
    if parts.test is None:
        parts.test = parts.validation
        parts.notices.append(Notice(code="validation_file_is_test"))
    else:
        parts.notices.append(Notice(code="validation_file_unused"))
    parts.validation = None


def _take_out(train: Rows, count: int, seed: int, kind: LabelKind) -> tuple[Rows, Rows]:
    """Take rows out of train, which keeps a row of every class while it can; return what stays and what is out."""
    if count >= len(train):
        raise DataError(
            f"Splitting rows off must leave training rows; got {len(train)} training rows and {count} to split off. "
            "Give more rows."
        )
    strata = strata_of(train.labels, kind)
    stay, out = stratified_take(strata, len(train) - count, seed, every_class=True)
    return train.take(stay), train.take(out)


def _folds(rows: Rows, size: int, seed: int, repeat: int, kind: LabelKind) -> Iterator[FoldRows]:
    """Assign rows to folds; of those outside of each, `size` are trained on where that leaves enough for stopping."""
    strata = strata_of(rows.labels, kind)
    fold_of = _assign_folds(rows.plain_texts(), strata, derive_seed(seed, "folds", repeat))
    for fold in range(FOLDS):
        others = np.flatnonzero(fold_of != fold)
        count = min(size, len(others) - ceil(STOPPING_SHARE * len(others)))
        strata = strata_of([rows.labels[number] for number in others], kind, count)
        own_seed = derive_seed(seed, "folds", repeat, fold)
        taken, rest = stratified_take(strata, count, own_seed, every_class=True)
        held_out = np.flatnonzero(fold_of == fold)
        yield FoldRows(
            train=tuple(others[taken].tolist()),
            tune=tuple(others[rest].tolist()),
            select=tuple(held_out.tolist()),
        )


def _assign_folds(texts: Sequence[tuple[str, ...]], strata: Sequence[str], seed: int) -> np.ndarray:
    """Assign rows to folds, class by class; rows with the same text to the same one: ``(n,)`` of fold numbers."""
    first: dict[tuple[str, ...], int] = {}
    for row, text in enumerate(texts):
        first.setdefault(text, row)
    index = {text: number for number, text in enumerate(first)}
    stratum_of_text = np.asarray([strata[row] for row in first.values()], dtype=object)
    _, classes = np.unique(stratum_of_text, return_inverse=True)
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(len(first))
    # Class after class, each in a random order, the texts go to the folds in turn, so that the classes share evenly.
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    assigned = np.empty(len(first), dtype=np.int64)
    assigned[by_class] = np.arange(len(first)) % FOLDS
    return assigned[[index[text] for text in texts]]


def _quotas(sizes: np.ndarray, count: int, random: np.random.Generator, *, every_class: bool) -> np.ndarray:
    """Divide ``count`` rows among classes of these sizes, ``(C,)`` → ``(C,)``, never more than a class has."""
    total = int(sizes.sum())
    quota = sizes * count // total
    remainder = sizes * count - quota * total
    if every_class and count >= len(sizes):
        # A class that gets its one row this way is above its share, and has no claim on more.
        remainder[quota == 0] = 0
        quota = np.maximum(quota, 1)
    ties = random.random(len(sizes))
    by_claim = np.lexsort((ties, -remainder))
    for number in by_claim[: max(count - int(quota.sum()), 0)]:
        quota[number] += 1
    # The single rows of tiny classes were paid by nobody yet: the largest classes pay.
    while quota.sum() > count:
        quota[np.argmax(quota)] -= 1
    return quota

"""Which rows train, which choose, which decide and which are scored once: splits, stratified and seeded.

Order: the validation split may become the test split, missing splits are split off from train, and where the user
brought the validation split, all of it decides and tuning rows are split off from train too. Then ``train_size``
samples what is left of train. A validation split that was split off is halved into tune and select; where that would
leave too few rows, all of it tunes, and confirm runs are scored on folds of train and validation together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import LabelKind
from unipelt_search.records.history import EDITION
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.specs.seeds import derive_seed
from unipelt_search.specs.study import VALIDATION_DECIDES_SINCE, TaskSpec
from unipelt_search.tasks.divide import Division, SplitRule, Staying, blocks_of, divide
from unipelt_search.tasks.fold_rows import FEWEST_BLOCKS, FoldRows, make_folds
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.stratified import strata_of, stratified_take

SPLIT_OFF_SHARE = 0.2
MOST_VALIDATION = 1000
"""Rows that are split off for validation at most, where a test split is given."""
MOST_TEST = 2000
"""Rows that are split off for the test at most, where a validation split is given."""
FEWEST_TUNE, MOST_TUNE = 20, 500
"""Training rows that are split off for tuning, where the whole validation split decides."""
FEW_VALIDATION_ROWS = 200
"""Fewer that were split off are not halved: folds decide."""


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
    folds_asked: bool = False
    """Whether folds decide because the user asked for them."""
    validation_decides: bool = False
    """Whether select is the whole validation split of the user's, and the tune rows are training rows."""

    @property
    def validation(self) -> tuple[Rows, ...]:
        """The rows of the validation split."""
        if self.validation_decides:
            return (self.select,)
        return (self.tune,) if self.folds else (self.tune, self.select)


@dataclass
class _Parts:
    """The three splits while missing ones are split off, and what to say about that."""

    train: Rows
    validation: Rows | None
    test: Rows | None
    notices: list[Notice] = field(default_factory=list)


@dataclass(frozen=True)
class _Splitting:
    """What every step of splitting depends on."""

    spec: TaskSpec
    seed: int
    kind: LabelKind
    rule: SplitRule
    repeats: int
    edition: int
    validation_given: bool
    """Whether the user brought the validation split, and did not ask for another one in its place."""

    @property
    def validation_decides(self) -> bool:
        """Whether all rows of the user's validation split decide, and nothing else does."""
        if self.edition < VALIDATION_DECIDES_SINCE or not self.validation_given:
            return False
        return self.spec.validation == "decides" and self.spec.folds != "always"


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


def split_rule(spec: TaskSpec, edition: int) -> SplitRule:
    """Say what the splits of a study respect.

    Args:
        spec: What is asked.
        edition: That of the study.

    Returns:
        Groups and times where they are asked for. Equal texts stay together unless the study is an older one, or asks
        for splits of a certain form, which are made as they always were.
    """
    groups, order = spec.group is not None, spec.order is not None
    requested = spec.carve is not None or spec.test == "validation" or spec.validation == "shared"
    texts = edition >= VALIDATION_DECIDES_SINCE and (groups or order or not requested)
    return SplitRule(texts=texts, groups=groups, order=order)


def split_rows(
    raw: RawData,
    spec: TaskSpec,
    seed: int,
    kind: LabelKind,
    *,
    repeats: int = 0,
    edition: int = EDITION,
) -> RawSplits:
    """Split off what is missing, sample the training rows, and find the rows that tune and decide, or make folds.

    Args:
        raw: What was read.
        spec: How many rows to split off and to sample, and what stays together.
        seed: The data seed.
        kind: What a label is.
        repeats: How often the training rows are sampled again, with `spec.redraw`; else, where folds decide, how often
            train and validation are assigned to them. With 0 there are neither.
        edition: That of the study, whose rule for splits holds.

    Returns:
        The rows by job, with notices on what was split off.

    Raises:
        DataError: There are too few rows for that, or what must stay together does not allow it.
    """
    how = _Splitting(
        spec=spec,
        seed=seed,
        kind=kind,
        rule=split_rule(spec, edition),
        repeats=repeats,
        edition=edition,
        validation_given="validation" in raw.splits and spec.carve is None,
    )
    _check_request(spec)
    pool, validation, test, notices = _split_off(raw, how)
    _check_size(spec, len(pool))
    tune = None
    if how.validation_decides:
        pool, tune = _split_off_tune(pool, validation, how, notices)
        _check_size(spec, len(pool))
    train, resamples = _sample_train(pool, how)
    if spec.redraw:
        values = {"rows": len(train), "of": len(pool)}
        notices.append(Notice(code="resampled_training_rows", values=values))
    if len(validation) < 2:
        raise DataError(
            f"Validation must have at least 2 rows, one to choose settings and one to decide; got {len(validation)}. "
            "Give more rows."
        )
    splits = RawSplits(
        train_pool=pool,
        train=train,
        tune=validation,
        select=validation,
        test=test,
        notices=(),
        resamples=resamples,
    )
    if tune is not None:
        splits = replace(splits, tune=tune, validation_decides=True)
    elif _needs_folds(train, validation, how):
        splits = _with_folds(splits, how)
    else:
        splits = _halved(splits, how, notices)
    return replace(splits, notices=tuple(notices))


def _check_request(spec: TaskSpec) -> None:
    """Check that what is asked of folds can be done."""
    if spec.folds != "always":
        return
    if spec.redraw:
        raise DataError(
            "--folds always and --redraw must not be asked together: a fold takes the rows outside of a sample. Leave "
            "one of them out."
        )
    if spec.order is not None:
        raise DataError(
            "--folds always and --order must not be asked together: runs would train on rows later than those that "
            "they are scored on. Leave one of them out."
        )


def _check_size(spec: TaskSpec, rows: int) -> None:
    """Check that there are rows enough to sample from."""
    size = spec.train_size
    if size is not None and size > rows:
        raise DataError(f"--train-size must be at most the number of training rows, {rows}; got {size}.")
    if spec.redraw and (size is None or size == rows):
        raise DataError(
            f"task.redraw needs a --train-size below the number of training rows, {rows}, so that other rows can be "
            "sampled. Give a smaller --train-size, or leave redraw out."
        )


def _split_off(raw: RawData, how: _Splitting) -> tuple[Rows, Rows, Rows, list[Notice]]:
    """Return train, validation and test, and what to say about those that were split off."""
    splits, spec = raw.splits, how.spec
    parts = _Parts(splits["train"], splits.get("validation"), splits.get("test"))
    rows = len(parts.train)
    fifth = max(round(rows * SPLIT_OFF_SHARE), 2)
    if spec.carve is not None and parts.validation is not None:
        _replace_validation(parts)
    if parts.test is None:
        count = fifth if parts.validation is None else min(fifth, MOST_TEST)
        parts.train, parts.test = _take_out(parts, count, "test", how)
        parts.notices.append(Notice(code="test_split_off", values={"count": len(parts.test), "of": rows}))
    if parts.validation is None:
        # Without a given test split, validation and test are as large as each other.
        most = min(fifth, MOST_VALIDATION) if "test" in splits else fifth
        count = spec.carve or most
        parts.train, parts.validation = _take_out(parts, count, "validation", how)
        if spec.carve is None:
            values = {"count": len(parts.validation), "of": rows}
            parts.notices.append(Notice(code="validation_split_off", values=values))
    return parts.train, parts.validation, parts.test, parts.notices


def _replace_validation(parts: _Parts) -> None:
    """Take the validation split away, because further training rows become it; make it the test if there is none."""
    if parts.test is None:
        parts.test = parts.validation
        parts.notices.append(Notice(code="validation_file_is_test"))
    else:
        parts.notices.append(Notice(code="validation_file_unused"))
    parts.validation = None


def _take_out(parts: _Parts, count: int, name: str, how: _Splitting) -> tuple[Rows, Rows]:
    """Take rows out of train, which keeps a row of every class while it can; return what stays and what is out."""
    train = parts.train
    if count >= len(train):
        raise DataError(
            f"Splitting rows off must leave training rows; got {len(train)} training rows and {count} to split off. "
            "Give more rows."
        )
    division = divide(train, count, derive_seed(how.seed, name), how.kind, how.rule)
    _note_left_out(parts.notices, name, division)
    return train.take(division.stay), train.take(division.out)


def _note_left_out(notices: list[Notice], name: str, division: Division) -> None:
    """Say how many rows got no job, because their group or text is on the other side."""
    if len(division.left_out):
        of = len(division.stay) + len(division.out) + len(division.left_out)
        values: dict[str, NoticeValue] = {"split": name, "count": len(division.left_out), "of": of}
        notices.append(Notice(code="rows_left_out", severity="warning", values=values))


def _split_off_tune(pool: Rows, validation: Rows, how: _Splitting, notices: list[Notice]) -> tuple[Rows, Rows]:
    """Split the tune rows off from train, before it is sampled; return what stays and the tune rows."""
    rows, size = len(pool), how.spec.train_size
    fewest = 1 if size is None else size + int(how.spec.redraw)
    count = _tune_count(rows, size, redraw=how.spec.redraw)
    seed = derive_seed(how.seed, "tune")
    division = divide(pool, count, seed, how.kind, how.rule, Staying(fewest=fewest))
    # Rows that get no job may be wanted for training: fewer rows that tune leave fewer of them.
    while len(division.stay) < fewest and count > 1:
        count //= 2
        division = divide(pool, count, seed, how.kind, how.rule, Staying(fewest=fewest))
    _note_left_out(notices, "tune", division)
    stay, tune = pool.take(division.stay), pool.take(division.out)
    notices.append(
        Notice(
            code="tune_split_off",
            severity="warning" if len(tune) < FEWEST_TUNE else "info",
            values={"count": len(tune), "of": rows, "left": len(stay), "validation": len(validation)},
        )
    )
    return stay, tune


def _tune_count(rows: int, size: int | None, *, redraw: bool) -> int:
    """Return how many of so many training rows tune."""
    if size is None:
        wanted = min(max(round(rows * SPLIT_OFF_SHARE), FEWEST_TUNE), MOST_TUNE)
        # Of very few rows no more tune than train.
        count = min(wanted, rows // 2)
        if count < 1:
            raise DataError(
                f"Training must have at least 2 rows, one to train on and one to choose settings; got {rows}. Give "
                "more rows."
            )
        return count
    left = rows - size
    # Half of them stay, so that the samples of `redraw` differ.
    count = min(left // 2 if redraw else left, MOST_TUNE)
    if count < 1:
        raise DataError(
            f"--train-size must leave training rows that choose settings, because all validation rows decide; got "
            f"{size} of {rows} rows. Give at most {max(rows - FEWEST_TUNE, 1)}, or leave it out."
        )
    return count


def _sample_train(pool: Rows, how: _Splitting) -> tuple[Rows, tuple[Rows, ...]]:
    """Return the training rows, and the other samples of as many that confirm runs have of their own."""
    size = how.spec.train_size
    if size is None:
        return pool, ()
    seeds = [derive_seed(how.seed, "train_size")]
    if how.spec.redraw:
        seeds += [derive_seed(how.seed, "train_size", number) for number in range(1, how.repeats + 1)]
    strata = strata_of(pool.labels, how.kind, size)
    samples = []
    for own_seed in seeds:
        numbers, _ = stratified_take(strata, size, own_seed, every_class=True)
        samples.append(pool.take(numbers))
    return samples[0], tuple(samples[1:])


def _needs_folds(train: Rows, validation: Rows, how: _Splitting) -> bool:
    """Tell whether folds decide: as asked, or because validation is too small to be halved."""
    if not how.repeats or how.spec.redraw or how.spec.folds == "never" or how.rule.order:
        return False
    both = train.followed_by(validation)
    # A text of a group is a block too: rows are joined by groups then.
    joined = how.rule if how.rule.joins else SplitRule(texts=True)
    blocks = len(np.unique(blocks_of(both, joined)))
    if how.spec.folds == "always":
        if blocks < FEWEST_BLOCKS:
            what = "groups" if how.rule.groups else "texts"
            raise DataError(
                f"--folds always needs at least {FEWEST_BLOCKS} different {what} in training and validation; got "
                f"{blocks}. Give more rows, or leave it out."
            )
        return True
    return len(validation) < FEW_VALIDATION_ROWS and blocks >= FEWEST_BLOCKS


def _with_folds(splits: RawSplits, how: _Splitting) -> RawSplits:
    both = splits.train.followed_by(splits.tune)
    folds: list[FoldRows] = []
    for repeat in range(1, how.repeats + 1):
        folds += make_folds(both, len(splits.train), how.seed, repeat, how.kind, how.rule)
    return replace(splits, select=both, folds=tuple(folds), folds_asked=how.spec.folds == "always")


def _halved(splits: RawSplits, how: _Splitting, notices: list[Notice]) -> RawSplits:
    """Halve validation: the tune rows choose, and the select rows, with an order the later ones, decide."""
    rows = splits.tune
    count = len(rows) - len(rows) // 2
    seed = derive_seed(how.seed, "halve")
    division = divide(rows, count, seed, how.kind, how.rule, Staying(every_class=False))
    _note_left_out(notices, "select", division)
    return replace(splits, tune=rows.take(division.stay), select=rows.take(division.out))

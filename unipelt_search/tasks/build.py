"""Rows of text become a task: missing splits split off, labels numbered, errors and notices found."""

from __future__ import annotations

from unipelt_search.kinds.label_kind import Target
from unipelt_search.records.history import EDITION
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.brought_splits import check_brought
from unipelt_search.tasks.check import check_rows, read_labels
from unipelt_search.tasks.metrics import choose_metric
from unipelt_search.tasks.origins import row_origins
from unipelt_search.tasks.positive_class import with_positive
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.split import choose_test, split_rows
from unipelt_search.tasks.task import Fold, Resample, Split, Task, fingerprint_of


def build_task(
    raw: RawData,
    spec: TaskSpec,
    seed: int,
    *,
    repeats: int = 0,
    edition: int = EDITION,
) -> Task:
    """Build a task from what was read.

    Args:
        raw: What was read.
        spec: What a label is, how many rows to split off and to sample, and the metric.
        seed: The data seed.
        repeats: How often the confirm phase samples rows of its own, where it does: as for `split_rows`.
        edition: That of the study that goes on, whose rules for labels and splits hold.

    Returns:
        The task.

    Raises:
        DataError: The labels or the number of rows do not allow it, too many rows are in train and in another split, or
            rows cannot be used; that error carries everything that was found.
    """
    with raw.findings.gathered():
        return _build(raw, spec, seed, repeats=repeats, edition=edition)


def _build(raw: RawData, spec: TaskSpec, seed: int, *, repeats: int, edition: int) -> Task:
    """Build a task of the rows that can be used."""
    data = read_labels(choose_test(raw, spec), spec)
    rows = split_rows(data.raw, spec, seed, data.kind, repeats=repeats, edition=edition)

    def target_of(train: Rows) -> Target:
        balanced = spec.class_weights == "balanced"
        fitted = data.kind.fit(data.labels, train.labels, balanced=balanced, weights=train.weights)
        return with_positive(fitted, spec.positive)

    target = target_of(rows.train)
    metric, metric_notices = choose_metric(
        spec.metric, data.raw.name, target, weighted=spec.weight_metric, positive_named=spec.positive is not None
    )
    row_notices = (*check_rows(rows, target, allow_overlap=spec.allow_overlap), *check_brought(rows, spec))

    def numbered(part: Rows) -> Split:
        return Split(part.texts, target.encode(part.labels), part.weights)

    splits = {
        "train": numbered(rows.train),
        "tune": numbered(rows.tune),
        "select": numbered(rows.select),
        "test": numbered(rows.test),
    }
    # Every sample and fold has its own mean, sd and class weights, as if its training rows were the task's only ones.
    resamples = [Resample(target_of(part), numbered(part)) for part in rows.resamples]
    folds = [Fold(target_of(rows.select.take(fold.train)), fold) for fold in rows.folds]
    return Task(
        name=data.raw.name,
        target=target,
        metric=metric,
        **splits,
        resamples=tuple(resamples),
        folds=tuple(folds),
        validation_decides=rows.validation_decides,
        fingerprint=fingerprint_of(target, splits),
        origins=tuple(row_origins({"select": rows.select.locations, "test": rows.test.locations})),
        weight_metric=spec.weight_metric,
        notices=(*data.raw.notices, *data.notices, *metric_notices, *rows.notices, *row_notices),
        findings=data.raw.findings.found,
    )

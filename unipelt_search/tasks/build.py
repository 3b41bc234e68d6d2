"""Rows of text become a task: splits carved, labels numbered, faults and notices found."""

from __future__ import annotations

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.check import check_overlap, decide_kind, find_notices, order_labels
from unipelt_search.tasks.metrics import choose_metric
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.split import choose_test, split_rows
from unipelt_search.tasks.target import Target, make_target
from unipelt_search.tasks.task import Fold, Resample, Split, Task, fingerprint_of


def build_task(raw: RawData, spec: TaskSpec, seed: int, *, repeats: int = 0) -> Task:
    """Build a task from what was read.

    Args:
        raw: What was read.
        spec: What a label is, how many rows to carve and draw, and the metric.
        seed: The data seed.
        repeats: How often the confirm phase draws rows of its own, where it does: as for `split_rows`.

    Returns:
        The task.

    Raises:
        DataError: The labels or the number of rows do not allow it, or too many rows are in train and in another split.
    """
    raw, kind, kind_notices = decide_kind(choose_test(raw, spec), spec)
    if kind == "regression" and spec.class_weights != "none":
        raise DataError(
            f"task.class_weights must be none for regression, which has no classes; got {spec.class_weights!r}."
        )
    labels = order_labels(raw, kind)
    rows = split_rows(raw, spec, seed, kind, repeats=repeats)

    def target_of(train: Rows) -> Target:
        return make_target(kind, labels, train.labels, balanced=spec.class_weights == "balanced")

    target = target_of(rows.train)
    metric, metric_notices = choose_metric(spec.metric, raw.name, target)
    if not spec.allow_overlap:
        check_overlap(rows)

    def numbered(part: Rows) -> Split:
        return Split(part.texts, target.encode(part.labels))

    splits = {name: numbered(getattr(rows, name)) for name in ("train", "tune", "select", "test")}
    return Task(
        name=raw.name,
        target=target,
        metric=metric,
        **splits,
        resamples=tuple(Resample(target_of(part), numbered(part)) for part in rows.resamples),
        folds=tuple(Fold(target_of(rows.select.take(fold.train)), fold) for fold in rows.folds),
        fingerprint=fingerprint_of(target, splits),
        notices=(*raw.notices, *kind_notices, *metric_notices, *rows.notices, *find_notices(rows, target)),
    )

"""Rows of text become a task: splits carved, labels numbered, faults and notices found."""

from __future__ import annotations

from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.check import find_notices, order_labels
from unipelt_search.tasks.rows import RawData, Rows
from unipelt_search.tasks.split import split_rows
from unipelt_search.tasks.task import Split, Task, fingerprint_of


def build_task(raw: RawData, spec: TaskSpec, seed: int) -> Task:
    """Build a task from what was read.

    Args:
        raw: What was read.
        spec: How many rows to carve and draw, and the metric.
        seed: The data seed.

    Returns:
        The task.

    Raises:
        DataError: The labels or the number of rows do not allow it.
    """
    labels = order_labels(raw)
    rows = split_rows(raw, spec, seed)
    numbers = {label: number for number, label in enumerate(labels)}

    def numbered(part: Rows) -> Split:
        return Split(part.texts, tuple(numbers[label] for label in part.labels))

    splits = {name: numbered(getattr(rows, name)) for name in ("train", "tune", "select", "test")}
    return Task(
        name=raw.name,
        kind="pair_classification" if len(spec.text) == 2 else "classification",
        labels=labels,
        metric="accuracy" if spec.metric == "auto" else spec.metric,
        **splits,
        fingerprint=fingerprint_of(labels, splits),
        notices=(*raw.notices, *rows.notices, *find_notices(rows, labels)),
    )

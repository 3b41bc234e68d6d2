"""A task in memory: texts and labels of four disjoint jobs, and the summary that a study keeps."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from unipelt_search.records.history import TaskSummary
from unipelt_search.tasks.metrics import score_all

DIRECTION = "maximize"


@dataclass(frozen=True)
class Split:
    """Rows with one job."""

    texts: tuple[tuple[str, ...], ...]
    """A row has one text, or the two of a pair."""
    labels: tuple[int, ...]
    """Positions in the task's labels."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)


@dataclass(frozen=True)
class Task:
    """A labelled dataset, ready to be encoded."""

    name: str
    kind: str
    """`classification` or `pair_classification`."""
    labels: tuple[str, ...]
    """In the order of their numbers."""
    metric: str
    train: Split
    """What runs are trained on."""
    tune: Split
    """What chooses checkpoints and hyperparameters."""
    select: Split
    """What decides the verdict."""
    test: Split
    """Scored once, chooses nothing."""
    fingerprint: str
    """16 hexadecimal digits over every row that is used, split by split."""
    notices: tuple[str, ...]
    """What the user should know about the data, one sentence each."""

    def majority_label(self) -> int:
        """Return the most frequent label of the training rows; the first one of several."""
        return int(np.bincount(self.train.labels, minlength=len(self.labels)).argmax())

    def summary(self) -> TaskSummary:
        """Return what a study keeps of the task: no text."""
        rows = {
            "train": len(self.train),
            "validation": len(self.tune) + len(self.select),
            "test": len(self.test),
            "tune": len(self.tune),
            "select": len(self.select),
        }
        answer = self.majority_label()
        majority = {
            name: score_all(np.asarray(split.labels), np.full(len(split), answer), len(self.labels))
            for name, split in (("select", self.select), ("test", self.test))
        }
        return TaskSummary(
            name=self.name,
            kind=self.kind,
            labels=self.labels,
            rows=rows,
            metric=self.metric,
            direction=DIRECTION,
            fingerprint=self.fingerprint,
            majority=majority,
            notices=self.notices,
        )


def fingerprint_of(labels: tuple[str, ...], splits: dict[str, Split]) -> str:
    """Hash every row that is used.

    Args:
        labels: The task's labels.
        splits: The splits by name.

    Returns:
        16 hexadecimal digits, other ones as soon as a text, a label, the order of rows or their split changes.
    """
    digest = hashlib.sha256()
    for name, split in splits.items():
        digest.update(json.dumps([name, len(split)]).encode())
        for texts, label in zip(split.texts, split.labels, strict=True):
            digest.update(json.dumps([*texts, labels[label]]).encode())
    return digest.hexdigest()[:16]

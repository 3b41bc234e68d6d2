"""A task in memory: texts and labels of four disjoint jobs, and the summary that a study keeps."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np

from unipelt_search.kinds.label_kind import PAIR, Label, Target
from unipelt_search.records.finding import Finding
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.records.row_origins import RowOrigins
from unipelt_search.tasks.fold_rows import FOLDS, FoldRows
from unipelt_search.tasks.metrics import score_all


@dataclass(frozen=True)
class Split:
    """Rows with one job."""

    texts: tuple[tuple[str, ...], ...]
    """A row has one text, or the two of a pair."""
    labels: tuple[Label, ...]
    """As the task's target counts them."""
    weights: tuple[float, ...] = ()
    """What each row counts; empty where all count the same."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)


@dataclass(frozen=True)
class Resample:
    """Another sample of training rows."""

    target: Target
    """With the mean, the sd and the class weights of these rows."""
    train: Split


@dataclass(frozen=True)
class Fold:
    """The rows of one confirm run, where folds decide."""

    target: Target
    """With the mean, the sd and the class weights of its training rows."""
    rows: FoldRows


@dataclass(frozen=True)
class Task:
    """A labelled dataset, ready to be encoded."""

    name: str
    target: Target
    """What is predicted."""
    metric: str
    train: Split
    """What runs are trained on."""
    tune: Split
    """What chooses checkpoints and hyperparameters."""
    select: Split
    """What decides the verdict: a half of the validation split, or with folds all rows of train and validation."""
    test: Split
    """Scored once, chooses nothing."""
    fingerprint: str
    """16 hexadecimal digits over every row that is used, split by split."""
    notices: tuple[Notice, ...]
    """What the user should know about the data."""
    findings: tuple[Finding, ...] = field(default=(), compare=False)
    """What is odd in single rows, and where."""
    resamples: tuple[Resample, ...] = ()
    """Training rows of the confirm runs 1, 2, … where each has its own."""
    folds: tuple[Fold, ...] = ()
    """What the confirm runs 1, 2, … do with the select rows, repeat by repeat, where there is little data."""
    origins: tuple[RowOrigins, ...] = ()
    """Where the rows of select and test stand in what the user gave, as far as that is known."""
    validation_decides: bool = False
    """Whether select is the whole validation split of the user's, and the tune rows are training rows."""
    weight_metric: bool = False
    """Whether rows count by their weights in the metrics too."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names in the order of their numbers; none for regression."""
        return self.target.labels

    @property
    def kind(self) -> str:
        """The kind of its labels, with `pair_` before it where rows have two texts."""
        return f"{PAIR}{self.target.kind}" if len(self.train.texts[0]) == 2 else self.target.kind

    def summary(self, truncated_share: float | None = None) -> TaskSummary:
        """Return what a study keeps of the task: no text.

        Args:
            truncated_share: The share of rows that were cut, once they are encoded.

        Returns:
            The summary.
        """
        validation = len(self.tune) + (0 if self.folds else len(self.select))
        rows = {
            "train": len(self.train),
            "validation": len(self.select) if self.validation_decides else validation,
            "test": len(self.test),
            "tune": len(self.tune),
            "select": len(self.select),
        }
        metric = self.target.metric(self.metric)
        train = self.target.to_array(self.train.labels)
        constant = self.target.majority(train)
        shares = self.target.majority_probabilities(train)
        majority = {
            "select": self._constant_scores(self.select, constant, shares),
            "test": self._constant_scores(self.test, constant, shares),
        }
        return TaskSummary(
            name=self.name,
            kind=self.kind,
            labels=self.labels,
            rows=rows,
            metric=self.metric,
            direction=metric.direction,
            fingerprint=self.fingerprint,
            majority=majority,
            majority_answer=self.target.from_array(constant[None])[0],
            majority_probabilities=None if shares is None else tuple(shares.tolist()),
            positive=self._asked_positive(),
            metric_package=metric.package,
            notices=self.notices,
            truncated_share=truncated_share,
            folds=FOLDS if self.folds else 0,
            validation_decides=self.validation_decides,
        )

    def _constant_scores(self, split: Split, constant: np.ndarray, shares: np.ndarray | None) -> dict[str, float]:
        """Score the same prediction, and the same probabilities, for every row."""
        labels = self.target.to_array(split.labels)
        predicted = np.broadcast_to(constant, labels.shape)
        probabilities = None if shares is None else np.broadcast_to(shares, (len(labels), len(shares)))
        weights = np.asarray(split.weights, dtype=np.float64) if self.weight_metric and split.weights else None
        return score_all(self.target, labels, predicted, probabilities, weights, metric=self.metric)

    def _asked_positive(self) -> str | None:
        """Return the positive label where it is not the one that a rule would choose."""
        positive = self.target.positive
        chosen = self.target.label_kind.of_labels(self.labels).positive
        return None if positive is None or positive == chosen else self.labels[positive]


def fingerprint_of(target: Target, splits: dict[str, Split]) -> str:
    """Hash every row that is used.

    Args:
        target: What is predicted.
        splits: The splits by name.

    Returns:
        16 hexadecimal digits, other ones as soon as a text, a label, the order of rows or their split changes.
    """
    digest = hashlib.sha256()
    for name, split in splits.items():
        digest.update(json.dumps([name, len(split)]).encode())
        for texts, label in zip(split.texts, split.labels, strict=True):
            digest.update(json.dumps([*texts, target.decode(label)]).encode())
        if split.weights:
            digest.update(json.dumps(split.weights).encode())
    return digest.hexdigest()[:16]

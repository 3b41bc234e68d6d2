"""What is predicted: labels as they are written, the numbers that stand for them, and from logits to answers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from unipelt_search.records.results import Label

PlainKind = Literal["classification", "regression", "multi_label"]
"""What a label is: one of several names, a number, or a set of names."""
SEPARATOR = "|"
"""Stands between the names of a row that has several labels."""
NEGATION = re.compile(r"(not|non|no)[ _-]")
NEGATING = ("un", "in", "im", "non", "dis")
"""What a class begins with that is another one's opposite."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """What a task's outputs mean."""

    kind: PlainKind
    labels: tuple[str, ...]
    """The names in the order of their outputs; none for regression."""
    positive: int | None = None
    """Of exactly two classes the one whose F1 is the metric `f1`."""
    mean: float = 0.0
    """Mean of the training rows' numbers; a model learns (number - mean) / sd."""
    sd: float = 1.0
    """Their standard deviation."""
    weights: tuple[float, ...] = ()
    """What a row of each class counts in the loss, or a label that is present if rows have several; none is 1."""
    threshold: float = 0.0
    """The logit above which a label is answered where rows have several; 0 is a probability of 0.5."""

    @property
    def outputs(self) -> int:
        """How many numbers a model answers with for a row."""
        return 1 if self.kind == "regression" else len(self.labels)

    def encode(self, decode: Sequence[str]) -> tuple[Label, ...]:
        """Return what stands for labels as they are written, each of which this target knows."""
        if self.kind == "regression":
            return tuple(float(label) for label in decode)
        indices = {label: index for index, label in enumerate(self.labels)}
        if self.kind == "classification":
            return tuple(indices[label] for label in decode)
        return tuple(tuple(sorted(indices[name] for name in names_of(label))) for label in decode)

    def decode(self, label: Label) -> str:
        """Return a label as it is written."""
        if isinstance(label, tuple):
            return SEPARATOR.join(self.labels[index] for index in label)
        return repr(label) if isinstance(label, float) else self.labels[label]

    def to_array(self, labels: Sequence[Label]) -> np.ndarray:
        """Return labels as metrics and losses take them.

        Args:
            labels: n labels.

        Returns:
            ``(n,)`` of int64 for classes, ``(n,)`` of float64 for encode, ``(n, L)`` of 0 and 1 for sets of labels.
        """
        if self.kind != "multi_label":
            return np.asarray(labels, dtype=np.float64 if self.kind == "regression" else np.int64)
        to_array = np.zeros((len(labels), len(self.labels)), dtype=np.int64)
        for row, indices in enumerate(labels):
            to_array[row, np.asarray(indices, dtype=np.int64)] = 1
        return to_array

    def from_array(self, to_array: np.ndarray) -> tuple[Label, ...]:
        """Return the labels of which `to_array` would make this array."""
        if self.kind == "multi_label":
            return tuple(tuple(map(int, np.flatnonzero(row))) for row in to_array)
        return tuple(to_array.tolist())

    def predict(self, logits: np.ndarray) -> np.ndarray:
        """Turn a model's outputs into predictions.

        Args:
            logits: ``(n, outputs)``.

        Returns:
            What `to_array` gives for the predicted labels: the largest output's class, the number in the user's units,
            or every label whose logit is above the threshold.
        """
        if self.kind == "regression":
            return logits[:, 0].astype(np.float64) * self.sd + self.mean
        return logits.argmax(-1) if self.kind == "classification" else (logits > self.threshold).astype(np.int64)

    def fitted(self, logits: np.ndarray, labels: np.ndarray) -> Target:
        """Choose the threshold with the best micro F1; with few rows a label rarely reaches a probability of 0.5.

        Args:
            logits: ``(n, outputs)``, of rows that may choose.
            labels: Their true labels, as `to_array` gives them.

        Returns:
            The target with that threshold, half way between two logits; for other kinds the target as it is.
        """
        if self.kind != "multi_label" or not labels.any():
            return self
        order = np.argsort(-logits, axis=None, kind="stable")
        scores, true = logits.ravel()[order].astype(np.float64), labels.ravel()[order]
        predicted_count = np.arange(1, scores.size + 1)
        f1 = 2 * true.cumsum() / (predicted_count + true.sum())
        f1[:-1][scores[:-1] == scores[1:]] = -1.0  # equal logits are answered together or not at all
        best = int(f1.argmax())
        below = scores[best + 1] if best + 1 < scores.size else scores[best] - 1.0
        return replace(self, threshold=float(scores[best] + below) / 2)

    def majority(self, labels: np.ndarray) -> np.ndarray:
        """Choose the answer that needs no text.

        Args:
            labels: The training rows' labels, as `to_array` gives them.

        Returns:
            One prediction: the most frequent class, the mean, or the labels that more than half of the rows have; the
            most frequent one where no label is that frequent. The first of several that are equally frequent.
        """
        if self.kind == "regression":
            return np.asarray(self.mean)
        if self.kind == "classification":
            return np.asarray(np.bincount(labels, minlength=len(self.labels)).argmax())
        shares = labels.mean(0)
        frequent = shares > 0.5
        return (frequent if frequent.any() else np.arange(len(shares)) == shares.argmax()).astype(np.int64)


@dataclass(frozen=True)
class Prediction:
    """What a model says of one row, in the user's terms."""

    label: str | float | tuple[str, ...]
    """The class, the number, or the labels."""
    probabilities: dict[str, float] | None
    """Of every class (they sum to 1), or of every label (each for itself); None for a number."""


def predictions_of(target: Target, logits: np.ndarray) -> list[Prediction]:
    """Turn a model's outputs into predictions.

    Args:
        target: What the outputs mean.
        logits: ``(n, outputs)``.

    Returns:
        One prediction per row.
    """
    decided = target.predict(logits)
    if target.kind == "regression":
        return [Prediction(float(number), None) for number in decided]
    outputs = logits.astype(np.float64)
    if target.kind == "classification":
        powers = np.exp(outputs - outputs.max(-1, keepdims=True))
        shares = powers / powers.sum(-1, keepdims=True)
        values: list[str | tuple[str, ...]] = [target.labels[index] for index in decided]
    else:
        shares = 0.5 * (1 + np.tanh(outputs / 2))  # the sigmoid, without overflow
        values = [tuple(target.labels[index] for index in np.flatnonzero(row)) for row in decided]
    return [
        Prediction(value, dict(zip(target.labels, map(float, row), strict=True)))
        for value, row in zip(values, shares, strict=True)
    ]


def names_of(label: str) -> tuple[str, ...]:
    """Return the names in a cell that may hold several, sorted, each once; none for an empty cell."""
    return tuple(sorted({name.strip() for name in label.split(SEPARATOR)} - {""}))


def has_sets(labels: Sequence[str]) -> bool:
    """Tell whether some cell holds several names, as in ``a|b``."""
    return any(SEPARATOR in label and len(names_of(label)) > 1 for label in labels)


def number_of(label: str) -> float | None:
    """Return the finite decimal number that a cell holds, if it holds one."""
    text = label.strip()
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def make_target(kind: PlainKind, labels: tuple[str, ...], train: Sequence[str], *, balanced: bool) -> Target:
    """Make a target from the rows that runs are trained on.

    Args:
        kind: What a label is.
        labels: The names in order; none for regression.
        train: The training rows' labels as they are written.
        balanced: Whether rare labels count more in the loss, so that all count the same in sum.

    Returns:
        The target.

    Source:
        The weights are those of scikit-learn's ``class_weight="balanced"``, n / (classes x rows of the class); for sets
        of labels, rows without the label / rows with it.
    """
    if kind == "regression":
        values = np.array([float(label) for label in train])
        return Target(kind, (), mean=float(values.mean()), sd=float(values.std()) or 1.0)
    counts = Counter(name for label in train for name in ((label,) if kind == "classification" else names_of(label)))
    weights: tuple[float, ...] = ()
    if balanced and kind == "classification":
        weights = tuple(len(train) / (len(counts) * counts[name]) if counts[name] else 1.0 for name in labels)
    elif balanced:
        weights = tuple((len(train) - counts[name]) / counts[name] if counts[name] else 1.0 for name in labels)
    return Target(kind, labels, positive=positive_label(labels) if kind == "classification" else None, weights=weights)


def positive_label(labels: tuple[str, ...]) -> int | None:
    """Choose the positive one of two classes.

    Args:
        labels: A task's classes in order.

    Returns:
        The last one's place, or the first one's where the last is its negation, as `not_duplicate` and `unacceptable`
        are; None unless there are exactly two.
    """
    if len(labels) != 2:
        return None
    first, last = (label.casefold() for label in labels)
    return 0 if NEGATION.match(last) or last.removesuffix(first) in NEGATING else 1

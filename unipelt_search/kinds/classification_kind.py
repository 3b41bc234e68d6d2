"""One of several names: every row has exactly one label, and a model's largest output is the prediction."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import inf

import numpy as np

from unipelt_search.kinds import probability_pseudo_values, probability_scores, pseudo_values, scores
from unipelt_search.kinds.label_kind import Label, LabelKind, Metric, Prediction, Target
from unipelt_search.kinds.label_texts import INTEGER, add_weights, list_names, order_names, positions
from unipelt_search.kinds.metric import agreement_variance, area_variance, loss_variance

NEGATION = re.compile(r"(not|non|no)[ _-]")
NEGATING = ("un", "in", "im", "non", "dis")
"""What a class begins with that is another one's opposite."""


def _are_numbers(labels: tuple[str, ...]) -> bool:
    """Tell whether labels are integers, which have an order and distances."""
    return all(INTEGER.fullmatch(label) for label in labels)


def _top_accuracy(first: int) -> Metric:
    """Make the accuracy of the most probable labels, so many of them."""
    return Metric(
        f"top_{first}_accuracy",
        partial(probability_scores.top_accuracy, first=first),
        partial(probability_pseudo_values.top_accuracy, first=first),
        title=f"top-{first} accuracy",
        needs_probabilities=True,
        suits=lambda labels: len(labels) > first,
        needed_labels=f"more than {first} labels",
    )


class ClassificationKind:
    """Names, of which a row has one."""

    name = "classification"
    number = 1
    title = "classification"
    loss = "unipelt_search.training.classification_loss"
    problem_type = "single_label_classification"
    notice = None
    recognised = ""
    has_labels = True
    fewest_labels = 2
    separator = None
    constant = "the most frequent label"
    metrics = (
        Metric("accuracy", scores.accuracy, pseudo_values.accuracy),
        Metric("macro_f1", scores.macro_f1, pseudo_values.macro_f1, title="macro-F1"),
        Metric(
            "matthews",
            scores.matthews,
            pseudo_values.matthews,
            title="Matthews correlation",
            low=-1.0,
            row_variance=agreement_variance,
        ),
        Metric(
            "f1",
            scores.binary_f1,
            pseudo_values.binary_f1,
            title="F1",
            of_positive=True,
            needs_positive=True,
            needed_labels="exactly 2 labels, of which one is positive",
        ),
        Metric(
            "balanced_accuracy", scores.balanced_accuracy, pseudo_values.balanced_accuracy, title="balanced accuracy"
        ),
        Metric("weighted_f1", scores.weighted_f1, pseudo_values.weighted_f1, title="weighted F1"),
        Metric(
            "quadratic_kappa",
            scores.quadratic_kappa,
            pseudo_values.quadratic_kappa,
            title="quadratic kappa",
            low=-1.0,
            row_variance=agreement_variance,
            suits=_are_numbers,
            needed_labels="labels that are all integers",
        ),
        Metric(
            "roc_auc",
            probability_scores.roc_auc,
            probability_pseudo_values.roc_auc,
            title="ROC AUC",
            row_variance=area_variance,
            of_positive=True,
            needs_probabilities=True,
        ),
        Metric(
            "average_precision",
            probability_scores.average_precision,
            probability_pseudo_values.average_precision,
            title="average precision",
            of_positive=True,
            needs_probabilities=True,
        ),
        Metric(
            "log_loss",
            probability_scores.log_loss,
            probability_pseudo_values.log_loss,
            title="log loss",
            direction="minimize",
            high=inf,
            row_variance=loss_variance,
            needs_probabilities=True,
        ),
        Metric(
            "brier",
            probability_scores.brier,
            probability_pseudo_values.brier,
            title="Brier score",
            direction="minimize",
            of_positive=True,
            needs_probabilities=True,
            suits=lambda labels: len(labels) == 2,
        ),
        Metric(
            "brier",
            probability_scores.brier,
            probability_pseudo_values.brier,
            title="Brier score",
            direction="minimize",
            high=2.0,
            row_variance=lambda score: score * (2 - score),
            needs_probabilities=True,
            suits=lambda labels: len(labels) > 2,
        ),
        _top_accuracy(3),
        _top_accuracy(5),
    )

    def recognises(self, texts: Sequence[str]) -> bool:
        """Take any labels: this is the kind of what no other kind recognises."""
        return True

    def check(self, texts: Sequence[str], line_of: Callable[[int], str]) -> None:
        """Accept every cell: any text is a name."""

    def canonical(self, text: str) -> str:
        """Return the cell: a name is written as it is."""
        return text

    def names(self, text: str) -> tuple[str, ...]:
        """Return the one name in a cell."""
        return (text,)

    def order(self, names: set[str]) -> tuple[str, ...]:
        """Put the names into the order of the outputs."""
        return order_names(names)

    def strata(self, texts: Sequence[str], most: int | None) -> Sequence[str]:
        """Let every class be a stratum."""
        return texts

    def of_labels(self, labels: tuple[str, ...]) -> Target:
        """Make a target that knows which of two classes is the positive one."""
        return Target(self.name, labels, positive=positive_label(labels))

    def fit(
        self, labels: tuple[str, ...], train: Sequence[str], *, balanced: bool, weights: Sequence[float] = ()
    ) -> Target:
        """Make a target with the weights of its classes.

        Args:
            labels: The names in order.
            train: The training rows' labels as they are written.
            balanced: Whether rare classes count more in the loss, so that all count the same in sum.
            weights: What each training row counts in the loss; none is 1 each.

        Returns:
            The target.

        Source:
            The weights are those of scikit-learn's ``class_weight="balanced"``, n / (classes x rows of the class); a
            row that has a weight is as many rows.
        """
        target = self.of_labels(labels)
        if not balanced:
            return target
        counts = add_weights(((name,) for name in train), weights)
        rows = sum(weights) if weights else len(train)
        # A class without a training row has no weight to find; its loss is never asked for.
        of_class = {name: rows / (len(counts) * count) for name, count in counts.items()}
        return replace(target, weights=tuple(of_class.get(name, 1.0) for name in labels))

    def output_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the classes: there is one output for each."""
        return labels

    def encode(self, target: Target, texts: Sequence[str]) -> tuple[Label, ...]:
        """Return the position of every name."""
        position = positions(target.labels)
        return tuple(position[text] for text in texts)

    def decode(self, target: Target, label: Label) -> str:
        """Return the name at a position."""
        if not isinstance(label, int):
            raise TypeError(f"a class must be a position; got {label!r}")
        return target.labels[label]

    def to_array(self, target: Target, labels: Sequence[Label]) -> np.ndarray:
        """Return positions as ``(n,)`` of int64."""
        return np.asarray(labels, dtype=np.int64)

    def from_array(self, array: np.ndarray) -> tuple[Label, ...]:
        """Return positions ``(n,)`` as numbers of Python."""
        return tuple(array.tolist())

    def predict(self, target: Target, logits: np.ndarray) -> np.ndarray:
        """Return the class of the largest output: ``(n,)``."""
        return logits.argmax(-1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Return the softmax of every row: ``(n, classes)``."""
        return _softmax(logits).astype(np.float32)

    def refit(self, target: Target, logits: np.ndarray, labels: np.ndarray) -> Target:
        """Return the target: the largest output needs no threshold."""
        return target

    def majority(self, target: Target, labels: np.ndarray) -> np.ndarray:
        """Return the most frequent class, the first of several: shape ``()``."""
        return np.asarray(np.bincount(labels, minlength=len(target.labels)).argmax())

    def majority_probabilities(self, target: Target, labels: np.ndarray) -> np.ndarray | None:
        """Return the share of every class: ``(classes,)``."""
        shares = np.bincount(labels, minlength=len(target.labels)) / len(labels)
        return shares.astype(np.float32)

    def predictions(self, target: Target, logits: np.ndarray) -> list[Prediction]:
        """Return the class of every row, with the softmax of its outputs."""
        predictions = []
        for position, row in zip(self.predict(target, logits), _softmax(logits), strict=True):
            probabilities = dict(zip(target.labels, row.tolist(), strict=True))
            predictions.append(Prediction(target.labels[position], probabilities))
        return predictions

    def check_predicted(self, predicted: np.ndarray) -> None:
        """Accept every prediction: a class is always one of the labels."""

    def outcomes(
        self, target: Target, labels: np.ndarray, predicted: np.ndarray
    ) -> Iterator[tuple[str | None, str | None, int]]:
        """Yield the cells of the confusion matrix that are not 0, row by row."""
        names = target.labels
        size = len(names)
        matrix = np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)
        for true, found in np.argwhere(matrix):
            yield names[true], names[found], int(matrix[true, found])

    def describe(self, labels: tuple[str, ...]) -> str:
        """Say how many classes there are."""
        return f"classification with {len(labels)} labels"

    def meaning(self, target: Target) -> str:
        """List the class of every output."""
        return list_names(target.labels)

    def rule(self, target: Target) -> str | None:
        """Return nothing: the largest output's label is predicted."""
        return None

    def output_scale(self, target: Target) -> tuple[float, float] | None:
        """Return nothing: outputs are logits."""
        return None


def _softmax(logits: np.ndarray) -> np.ndarray:
    outputs = logits.astype(np.float64)
    powers = np.exp(outputs - outputs.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def positive_label(labels: tuple[str, ...]) -> int | None:
    """Choose the positive one of two classes.

    Args:
        labels: A task's classes in order.

    Returns:
        The last one's position, or the first one's where the last is its negation, as `not_duplicate` and
        `unacceptable` are; None unless there are exactly two.
    """
    if len(labels) != 2:
        return None
    first, last = (label.casefold() for label in labels)
    return 0 if NEGATION.match(last) or last.removesuffix(first) in NEGATING else 1


KIND: LabelKind = ClassificationKind()

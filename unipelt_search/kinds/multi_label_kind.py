"""Any number of names: a row has a set of labels, and every label whose output is above a threshold is predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from unipelt_search.kinds import probability_pseudo_values, probability_scores, pseudo_values, scores
from unipelt_search.kinds.label_kind import Label, LabelKind, Metric, Prediction, Target
from unipelt_search.kinds.label_texts import add_weights, list_names, order_names, positions
from unipelt_search.kinds.metric import area_variance, loss_variance

SEPARATOR = "|"
"""Stands between the names of a row that has several labels."""
RARE_SET = 5
"""A set of labels that fewer rows have is represented by its rarest label."""


class MultiLabelKind:
    """Sets of names."""

    name = "multi_label"
    number = 3
    title = "multi-label"
    loss = "unipelt_search.training.multi_label_loss"
    problem_type = "multi_label_classification"
    notice = "labels_are_sets"
    recognised = f"Labels hold {SEPARATOR!r} between names, so a row has a set of labels"
    has_labels = True
    fewest_labels = 1
    separator = SEPARATOR
    constant = "the most frequent labels"
    metrics = (
        Metric("micro_f1", scores.micro_f1_of_sets, pseudo_values.micro_f1_of_sets, title="micro-F1"),
        Metric("macro_f1", scores.macro_f1_of_sets, pseudo_values.macro_f1_of_sets, title="macro-F1"),
        Metric(
            "subset_accuracy",
            scores.subset_accuracy_of_sets,
            pseudo_values.subset_accuracy_of_sets,
            title="subset accuracy",
        ),
        Metric("weighted_f1", scores.weighted_f1_of_sets, pseudo_values.weighted_f1_of_sets, title="weighted F1"),
        Metric(
            "roc_auc",
            probability_scores.roc_auc,
            probability_pseudo_values.roc_auc,
            title="ROC AUC",
            row_variance=area_variance,
            needs_probabilities=True,
        ),
        Metric(
            "average_precision",
            probability_scores.average_precision,
            probability_pseudo_values.average_precision,
            title="average precision",
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
            needs_probabilities=True,
        ),
    )

    def recognises(self, texts: Sequence[str]) -> bool:
        """Take labels of which one holds several names, as in ``a|b``."""
        return any(SEPARATOR in text and len(names_of(text)) > 1 for text in texts)

    def check(self, texts: Sequence[str], line_of: Callable[[int], str]) -> None:
        """Accept every cell: each is a set of names, the empty one too."""

    def canonical(self, text: str) -> str:
        """Return the names sorted, each once."""
        return SEPARATOR.join(names_of(text))

    def names(self, text: str) -> tuple[str, ...]:
        """Return the names in a cell."""
        return names_of(text)

    def order(self, names: set[str]) -> tuple[str, ...]:
        """Put the names into the order of the outputs."""
        return order_names(names)

    def strata(self, texts: Sequence[str], most: int | None) -> Sequence[str]:
        """Let every frequent set be a stratum, and the rarest label of every other set.

        Args:
            texts: ``(n,)``, each set written in the one way.
            most: Rows that will be taken; with more sets than that, all are represented by their rarest label.

        Returns:
            ``(n,)``.
        """
        sets = Counter(texts)
        fewest = RARE_SET if most is None or len(sets) <= most else len(texts) + 1
        counts = Counter(name for text in texts for name in names_of(text))

        def rarest(text: str) -> str:
            return min(names_of(text), key=lambda name: (counts[name], name), default="")

        return [text if sets[text] >= fewest else rarest(text) for text in texts]

    def of_labels(self, labels: tuple[str, ...]) -> Target:
        """Make a target whose threshold is a probability of 0.5."""
        return Target(self.name, labels)

    def fit(
        self, labels: tuple[str, ...], train: Sequence[str], *, balanced: bool, weights: Sequence[float] = ()
    ) -> Target:
        """Make a target with the weights of its labels.

        Args:
            labels: The names in order.
            train: The training rows' labels as they are written.
            balanced: Whether a label counts as much where it is present as where it is absent, in sum.
            weights: What each training row counts in the loss; none is 1 each.

        Returns:
            The target; a label's weight is rows without it / rows with it. A row that has a weight is as many rows.
        """
        target = self.of_labels(labels)
        if not balanced:
            return target
        counts = add_weights(map(names_of, train), weights)
        rows = sum(weights) if weights else len(train)
        # A label without a training row is nowhere present, so its weight is never used.
        of_label = {name: (rows - count) / count for name, count in counts.items()}
        return replace(target, weights=tuple(of_label.get(name, 1.0) for name in labels))

    def output_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels: there is one output for each."""
        return labels

    def encode(self, target: Target, texts: Sequence[str]) -> tuple[Label, ...]:
        """Return the ascending positions of every set."""
        position = positions(target.labels)
        sets = []
        for text in texts:
            sets.append(tuple(sorted(position[name] for name in names_of(text))))
        return tuple(sets)

    def decode(self, target: Target, label: Label) -> str:
        """Return the names at positions, as a cell."""
        if not isinstance(label, tuple):
            raise TypeError(f"a set of labels must be positions; got {label!r}")
        return SEPARATOR.join(target.labels[position] for position in label)

    def to_array(self, target: Target, labels: Sequence[Label]) -> np.ndarray:
        """Return sets as ``(n, L)`` of 0 and 1."""
        array = np.zeros((len(labels), len(target.labels)), dtype=np.int64)
        for row, found in enumerate(labels):
            array[row, np.asarray(found, dtype=np.int64)] = 1
        return array

    def from_array(self, array: np.ndarray) -> tuple[Label, ...]:
        """Return the positions of the ones in every row of ``(n, L)``."""
        return tuple(tuple(np.flatnonzero(row).tolist()) for row in array)

    def predict(self, target: Target, logits: np.ndarray) -> np.ndarray:
        """Return 1 for every label whose logit is above the threshold: ``(n, L)``."""
        return (logits > target.threshold).astype(np.int64)

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Return the sigmoid of every output: ``(n, L)``."""
        return _sigmoid(logits).astype(np.float32)

    def refit(self, target: Target, logits: np.ndarray, labels: np.ndarray) -> Target:
        """Choose the threshold with the best micro F1; with few rows a label rarely reaches a probability of 0.5.

        Args:
            target: What is predicted.
            logits: ``(n, L)``, of rows that may choose.
            labels: ``(n, L)``, their true labels.

        Returns:
            The target with that threshold, half way between two logits; as it is where no row has a label.
        """
        if not labels.any():
            return target
        order = np.argsort(-logits, axis=None, kind="stable")
        ordered = logits.ravel()[order].astype(np.float64)
        true = labels.ravel()[order]
        predicted_count = np.arange(1, ordered.size + 1)
        f1 = 2 * true.cumsum() / (predicted_count + true.sum())
        # Labels with equal logits are predicted together or not at all, so no threshold lies between them.
        f1[:-1][ordered[:-1] == ordered[1:]] = -1.0
        best = int(f1.argmax())
        below = ordered[best + 1] if best + 1 < ordered.size else ordered[best] - 1.0
        return replace(target, threshold=float(ordered[best] + below) / 2)

    def majority(self, target: Target, labels: np.ndarray) -> np.ndarray:
        """Return the labels that more than half of the rows have, else the most frequent one: ``(L,)`` of 0 and 1."""
        shares = labels.mean(0)
        frequent = shares > 0.5
        if not frequent.any():
            frequent = np.arange(len(shares)) == shares.argmax()
        return frequent.astype(np.int64)

    def majority_probabilities(self, target: Target, labels: np.ndarray) -> np.ndarray | None:
        """Return the share of rows that have each label: ``(L,)``."""
        return labels.mean(0).astype(np.float32)

    def predictions(self, target: Target, logits: np.ndarray) -> list[Prediction]:
        """Return the labels of every row, with the sigmoid of every output."""
        predictions = []
        for found, row in zip(self.predict(target, logits), _sigmoid(logits), strict=True):
            names = tuple(target.labels[position] for position in np.flatnonzero(found))
            probabilities = dict(zip(target.labels, row.tolist(), strict=True))
            predictions.append(Prediction(names, probabilities))
        return predictions

    def check_predicted(self, predicted: np.ndarray) -> None:
        """Accept every prediction: it is always a set of the labels."""

    def outcomes(
        self, target: Target, labels: np.ndarray, predicted: np.ndarray
    ) -> Iterator[tuple[str | None, str | None, int]]:
        """Yield every label's hits, misses and false alarms, where they are not 0."""
        true = labels.astype(bool)
        found = predicted.astype(bool)
        hits = (true & found).sum(0)  # (L,) each
        misses = (true & ~found).sum(0)
        alarms = (~true & found).sum(0)
        for position, name in enumerate(target.labels):
            if hits[position]:
                yield name, name, int(hits[position])
            if misses[position]:
                yield name, None, int(misses[position])
            if alarms[position]:
                yield None, name, int(alarms[position])

    def describe(self, labels: tuple[str, ...]) -> str:
        """Say that a row may have several labels."""
        return "rows with several labels"

    def meaning(self, target: Target) -> str:
        """List the label of every output."""
        return list_names(target.labels)

    def rule(self, target: Target) -> str | None:
        """Say above which logit a label is predicted."""
        return f"a label is predicted where its logit is above {target.threshold:.4g}"

    def output_scale(self, target: Target) -> tuple[float, float] | None:
        """Return nothing: outputs are logits."""
        return None


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(logits.astype(np.float64) / 2))  # without overflow


def names_of(text: str) -> tuple[str, ...]:
    """Return the names in a cell that may hold several, sorted, each once; none for an empty cell."""
    return tuple(sorted({name.strip() for name in text.split(SEPARATOR)} - {""}))


KIND: LabelKind = MultiLabelKind()

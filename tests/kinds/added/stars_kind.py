"""Ordered levels, such as stars: a model says for every level but the first how likely a row lies at or above it.

An example of a kind of task that the package does not have; `test_added_kind.py` runs a study with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import inf

import numpy as np

from unipelt_search.errors import DataError
from unipelt_search.kinds import pseudo_values, scores
from unipelt_search.kinds.label_kind import Label, LabelKind, Metric, Prediction, Target
from unipelt_search.kinds.label_texts import order_names, positions


def distance(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return how many levels a prediction is off, in the mean."""
    return float(np.average(np.abs(labels - predicted), weights=weights))


class StarsKind:
    """Levels in the order of their numbers."""

    name = "stars"
    number = 4
    title = "stars"
    loss = "unipelt_search.training.stars_loss"
    problem_type = "multi_label_classification"
    notice = None
    recognised = ""
    has_labels = True
    fewest_labels = 2
    separator = None
    constant = "the middle star"
    metrics = (
        Metric(
            "distance",
            distance,
            lambda labels, predicted, weights: pseudo_values.mean_of(np.abs(labels - predicted) * 1.0, weights),
            title="mean distance",
            direction="minimize",
            high=inf,
            row_variance=lambda score: score,
        ),
        Metric("accuracy", scores.accuracy, pseudo_values.accuracy),
    )

    def recognises(self, texts: Sequence[str]) -> bool:
        return False

    def check(self, texts: Sequence[str], line_of: Callable[[int], str]) -> None:
        for position, text in enumerate(texts):
            if not text.isdigit():
                raise DataError(f"Every label must be a number of stars; got {text!r} at {line_of(position)}.")

    def canonical(self, text: str) -> str:
        return str(int(text))

    def names(self, text: str) -> tuple[str, ...]:
        return (text,)

    def order(self, names: set[str]) -> tuple[str, ...]:
        return order_names(names)

    def strata(self, texts: Sequence[str], most: int | None) -> Sequence[str]:
        return texts

    def of_labels(self, labels: tuple[str, ...]) -> Target:
        return Target(self.name, labels)

    def fit(
        self, labels: tuple[str, ...], train: Sequence[str], *, balanced: bool, weights: Sequence[float] = ()
    ) -> Target:
        return self.of_labels(labels)

    def output_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"at least {label}" for label in labels[1:])

    def encode(self, target: Target, texts: Sequence[str]) -> tuple[Label, ...]:
        position = positions(target.labels)
        return tuple(position[text] for text in texts)

    def decode(self, target: Target, label: Label) -> str:
        return target.labels[int(label)]  # type: ignore[arg-type]

    def to_array(self, target: Target, labels: Sequence[Label]) -> np.ndarray:
        return np.asarray(labels, dtype=np.int64)

    def from_array(self, array: np.ndarray) -> tuple[Label, ...]:
        return tuple(array.tolist())

    def predict(self, target: Target, logits: np.ndarray) -> np.ndarray:
        return (logits > 0).sum(-1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Return nothing: a number has no probability."""
        return None

    def refit(self, target: Target, logits: np.ndarray, labels: np.ndarray) -> Target:
        return target

    def majority(self, target: Target, labels: np.ndarray) -> np.ndarray:
        return np.asarray(np.median(labels), dtype=np.int64)

    def majority_probabilities(self, target: Target, labels: np.ndarray) -> np.ndarray | None:
        return None

    def predictions(self, target: Target, logits: np.ndarray) -> list[Prediction]:
        return [Prediction(target.labels[level], None) for level in self.predict(target, logits)]

    def check_predicted(self, predicted: np.ndarray) -> None:
        pass

    def outcomes(
        self, target: Target, labels: np.ndarray, predicted: np.ndarray
    ) -> Iterator[tuple[str | None, str | None, int]]:
        pairs = Counter(zip(labels.tolist(), predicted.tolist(), strict=True))
        for (true, found), count in sorted(pairs.items()):
            yield target.labels[true], target.labels[found], count

    def describe(self, labels: tuple[str, ...]) -> str:
        return f"{len(labels)} stars"

    def meaning(self, target: Target) -> str:
        return "\n".join(f"{number}. {name}" for number, name in enumerate(self.output_names(target.labels)))

    def rule(self, target: Target) -> str | None:
        return "stars are counted while an output is above 0"

    def output_scale(self, target: Target) -> tuple[float, float] | None:
        return None


KIND: LabelKind = StarsKind()

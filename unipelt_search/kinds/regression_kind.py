"""A number: every row has one, and a model's only output is that number, standardised by the training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf

import numpy as np

from unipelt_search.errors import DataError, DivergedError
from unipelt_search.kinds import pseudo_values, scores
from unipelt_search.kinds.label_kind import Label, LabelKind, Metric, Prediction, Target
from unipelt_search.kinds.label_texts import number_of
from unipelt_search.kinds.metric import absolute_error_variance, correlation_variance, squared_error_variance

BINS = 10
"""Parts of equal size into which numbers are cut, so that every split has small and large ones."""


class RegressionKind:
    """Numbers in the user's units."""

    name = "regression"
    number = 2
    title = "regression"
    loss = "unipelt_search.training.regression_loss"
    problem_type = "regression"
    notice = "labels_are_numbers"
    recognised = "Every label is a number and some have fractions, so numbers are predicted"
    has_labels = False
    fewest_labels = 0
    separator = None
    constant = "the mean of the training rows"
    metrics = (
        Metric(
            "spearman",
            scores.spearman,
            pseudo_values.spearman,
            title="Spearman correlation",
            low=-1.0,
            row_variance=correlation_variance,
        ),
        Metric(
            "pearson",
            scores.pearson,
            pseudo_values.pearson,
            title="Pearson correlation",
            low=-1.0,
            row_variance=correlation_variance,
        ),
        Metric(
            "r2",
            scores.r2,
            pseudo_values.r2,
            title="R²",
            low=-inf,
            # 1 minus a mean of squares, whose relative variance is 2 where errors are normal.
            row_variance=lambda score: 2 * (1 - score) ** 2,
        ),
        Metric(
            "mae",
            scores.mae,
            pseudo_values.mae,
            title="mean absolute error",
            direction="minimize",
            high=inf,
            row_variance=absolute_error_variance,
        ),
        Metric(
            "rmse",
            scores.rmse,
            pseudo_values.rmse,
            title="root mean squared error",
            direction="minimize",
            high=inf,
            row_variance=squared_error_variance,
        ),
    )

    def recognises(self, texts: Sequence[str]) -> bool:
        """Take labels that are all numbers and of which one has a fraction; whole numbers may be names of classes."""
        numbers = [number_of(text) for text in texts]
        found = [number for number in numbers if number is not None]
        return len(found) == len(numbers) and any(number % 1 for number in found)

    def check(self, texts: Sequence[str], line_of: Callable[[int], str]) -> None:
        """Check that every cell holds a finite number.

        Args:
            texts: The cells of one split.
            line_of: From a position in `texts` to where that row stands.

        Raises:
            DataError: One does not.
        """
        for position, text in enumerate(texts):
            if number_of(text) is None:
                raise DataError(
                    f"Every label must be a finite number with a decimal point for task.kind: {self.name}; got "
                    f"{text!r} at {line_of(position)}. Correct it, or choose another kind."
                )

    def canonical(self, text: str) -> str:
        """Return the cell: a number is kept as it is written."""
        return text

    def names(self, text: str) -> tuple[str, ...]:
        """Return the cell, so that different labels can be counted."""
        return (text,)

    def order(self, names: set[str]) -> tuple[str, ...]:
        """Return no labels: any number can be predicted."""
        return ()

    def strata(self, texts: Sequence[str], most: int | None) -> Sequence[str]:
        """Let every tenth of the numbers be a stratum."""
        values = np.array([float(text) for text in texts])
        shares = np.linspace(0, 1, BINS + 1)[1:-1]
        edges = np.unique(np.quantile(values, shares))  # fewer than that where many numbers are equal
        return [str(stratum) for stratum in np.searchsorted(edges, values, side="right")]

    def of_labels(self, labels: tuple[str, ...]) -> Target:
        """Make a target whose outputs are in the user's units."""
        return Target(self.name, ())

    def fit(
        self, labels: tuple[str, ...], train: Sequence[str], *, balanced: bool, weights: Sequence[float] = ()
    ) -> Target:
        """Make a target with the mean and the standard deviation of the training rows, 1 where all are alike."""
        values = np.array([float(text) for text in train])
        sd = float(values.std()) or 1.0
        return Target(self.name, (), mean=float(values.mean()), sd=sd)

    def output_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return a name for the one output."""
        return ("number",)

    def encode(self, target: Target, texts: Sequence[str]) -> tuple[Label, ...]:
        """Return the number in every cell."""
        return tuple(float(text) for text in texts)

    def decode(self, target: Target, label: Label) -> str:
        """Return a number as Python writes it."""
        return repr(label)

    def to_array(self, target: Target, labels: Sequence[Label]) -> np.ndarray:
        """Return numbers as ``(n,)`` of float64."""
        return np.asarray(labels, dtype=np.float64)

    def from_array(self, array: np.ndarray) -> tuple[Label, ...]:
        """Return numbers ``(n,)`` as numbers of Python."""
        return tuple(array.tolist())

    def predict(self, target: Target, logits: np.ndarray) -> np.ndarray:
        """Return the outputs in the user's units: ``(n,)``."""
        return logits[:, 0].astype(np.float64) * target.sd + target.mean

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Return nothing: a number has no probability."""
        return None

    def refit(self, target: Target, logits: np.ndarray, labels: np.ndarray) -> Target:
        """Return the target: nothing is fitted after training."""
        return target

    def majority(self, target: Target, labels: np.ndarray) -> np.ndarray:
        """Return the mean of the training rows: shape ``()``."""
        return np.asarray(target.mean)

    def majority_probabilities(self, target: Target, labels: np.ndarray) -> np.ndarray | None:
        """Return nothing: a number has no probability."""
        return None

    def predictions(self, target: Target, logits: np.ndarray) -> list[Prediction]:
        """Return the number of every row; it has no probability."""
        return [Prediction(float(number), None) for number in self.predict(target, logits)]

    def check_predicted(self, predicted: np.ndarray) -> None:
        """Check that numbers can be scored.

        Args:
            predicted: ``(n,)``.

        Raises:
            DivergedError: One is not finite.
        """
        if not np.isfinite(predicted).all():
            raise DivergedError("a predicted number must be finite; got one that is not")

    def outcomes(
        self, target: Target, labels: np.ndarray, predicted: np.ndarray
    ) -> Iterator[tuple[str | None, str | None, int]]:
        """Yield nothing: there are no labels to count."""
        yield from ()

    def describe(self, labels: tuple[str, ...]) -> str:
        """Say that numbers are predicted."""
        return "regression"

    def meaning(self, target: Target) -> str:
        """Say how the output becomes a number in the user's units."""
        return f"the one output · {target.sd!r} + {target.mean!r} is the number in the units of the training data."

    def rule(self, target: Target) -> str | None:
        """Return nothing: the output is the prediction."""
        return None

    def output_scale(self, target: Target) -> tuple[float, float] | None:
        """Return the standard deviation and the mean of the training rows."""
        return target.sd, target.mean


KIND: LabelKind = RegressionKind()

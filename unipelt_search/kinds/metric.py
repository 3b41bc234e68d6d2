"""What a metric is: how predictions are scored, and what statistics and reports need to know of a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Score: TypeAlias = "Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]"
LeaveOneOut: TypeAlias = "Callable[[np.ndarray, np.ndarray, np.ndarray | None], tuple[float, np.ndarray]]"
Direction = Literal["maximize", "minimize"]


def any_labels(labels: tuple[str, ...]) -> bool:
    """Let a metric be computed whatever the labels are."""
    return True


def binomial_variance(score: float) -> float:
    """Return the variance of one row's share in a score that is a share of right rows, or is like one."""
    return score * (1 - score)


def correlation_variance(score: float) -> float:
    """Return the asymptotic variance of one row's share in a correlation.

    Source:
        Stuart and Ord, "Kendall's Advanced Theory of Statistics", volume 1.
    """
    return (1 - score**2) ** 2


def agreement_variance(score: float) -> float:
    """Return the variance of one row's share in an agreement from -1 to 1: an accuracy of (1 + s) / 2, doubled."""
    return 1 - score**2


def area_variance(score: float) -> float:
    """Return the variance of one row's share in an area under the ROC curve, of as many positive rows as other ones.

    Source:
        Hanley and McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982, for many rows.
    """
    area = max(score, 1 - score)
    of_positive = area / (2 - area) - area**2
    of_negative = 2 * area**2 / (1 + area) - area**2
    return 2 * (of_positive + of_negative)


def loss_variance(score: float) -> float:
    """Return the variance of one row's share in a log loss: that of a calibrated model that is right nine times in ten.

    Its losses have a mean of 0.325 and a variance of 0.434.
    """
    return 4 / 3 * score


def absolute_error_variance(score: float) -> float:
    """Return the variance of one row's share in a mean absolute error whose errors are normal."""
    return (pi / 2 - 1) * score**2


def squared_error_variance(score: float) -> float:
    """Return the variance of one row's share in the root of a mean squared error whose errors are normal."""
    return score**2 / 2


@dataclass(frozen=True)
class Metric:
    """One score of predictions, and what statistics and reports need to know of it.

    `score` and `leave_one_out` take the true labels, what `inputs` gives for the predictions or probabilities, and what
    each row counts ``(n,)``, all above 0, or None where all rows count the same.
    """

    name: str
    """The word in study files, databases and reports."""
    score: Score
    """From at least one row to a finite number."""
    leave_one_out: LeaveOneOut
    """From at least three rows to the score and ``(n,)`` the score without each row."""
    title: str = ""
    """How a sentence calls it; empty where that is its name."""
    direction: Direction = "maximize"
    low: float = 0.0
    """The lowest value that it can have."""
    high: float = 1.0
    """The highest value that it can have."""
    row_variance: Callable[[float], float] = binomial_variance
    """From a score to the variance that one row adds: the variance of the score is about this divided by the rows."""
    of_positive: bool = False
    """Whether it is that of the positive one of two classes, where one is; it sees 1 for that class and 0 for the other
    one then."""
    needs_positive: bool = False
    """Whether it can only be computed of a positive class."""
    needs_probabilities: bool = False
    """Whether it is computed from probabilities, and not from predicted labels or numbers."""
    suits: Callable[[tuple[str, ...]], bool] = any_labels
    """From a task's labels to whether it can be computed for them."""
    needed_labels: str = ""
    """Which labels that are, as in "needs …"; empty where any are."""
    knows_weights: bool = True
    """Whether rows can count more or less than others."""
    package: str = ""
    """The distribution that brings it; empty for our own."""

    def fits(self, labels: tuple[str, ...], positive: int | None) -> bool:
        """Tell whether it can be computed for labels, of which one may be the positive one."""
        return self.suits(labels) and (positive is not None or not self.needs_positive)

    def inputs(
        self, positive: int | None, labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose what `score` and `leave_one_out` take.

        Args:
            positive: The positive one of two classes; None where there is none.
            labels: The true labels, as `Target.to_array` gives them.
            predicted: The predictions in the same shape.
            probabilities: As `Target.probabilities` gives them; None where there are none.

        Returns:
            The true labels, and predictions or probabilities: the latter ``(n,)``, of the positive class alone, where
            the metric is that of the positive one.

        Raises:
            ValueError: The metric needs probabilities, and there are none.
        """
        if self.needs_probabilities and probabilities is None:
            raise ValueError(f"The metric {self.name} needs probabilities; got none.")
        if positive is None or not self.of_positive:
            return labels, predicted if probabilities is None or not self.needs_probabilities else probabilities
        true = (labels == positive).astype("int64")
        if probabilities is None or not self.needs_probabilities:
            return true, (predicted == positive).astype("int64")
        return true, probabilities[:, positive]

    @property
    def sign(self) -> int:
        """What a value is multiplied by so that higher is better."""
        return 1 if self.direction == "maximize" else -1

    def is_better(self, value: float, than: float) -> bool:
        """Tell whether a value is better than another one, and not as good."""
        return self.sign * value > self.sign * than

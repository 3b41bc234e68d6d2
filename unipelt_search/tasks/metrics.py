"""Every metric that a classification task can be judged by; higher is better in all of them."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

METRICS = ("accuracy", "macro_f1", "matthews")


def score_all(labels: np.ndarray, predicted: np.ndarray, classes: int) -> dict[str, float]:
    """Score predictions by every metric.

    Args:
        labels: ``(n,)``, the true classes, n > 0.
        predicted: ``(n,)``, the predicted classes.
        classes: Number of classes of the task; both arrays hold numbers below it.

    Returns:
        Each name of `METRICS` with a finite score. Macro F1 is the mean over the classes that occur among the labels
        or the predictions; Matthews is 0 where it is undefined, because all labels or all predictions are alike.
    """
    # Asked with one class on either side, scikit-learn's Matthews is 0 too, but it may warn.
    varied = min(np.count_nonzero(np.bincount(part, minlength=classes)) for part in (labels, predicted)) > 1
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "matthews": float(matthews_corrcoef(labels, predicted)) if varied else 0.0,
    }

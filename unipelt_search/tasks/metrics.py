"""Every metric that a task can be judged by; higher is better in all of them."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, r2_score

from unipelt_search.errors import DataError, DivergedError
from unipelt_search.records.notice import Notice
from unipelt_search.tasks.target import PlainKind, Target

METRICS: dict[PlainKind, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1", "matthews"),
    "regression": ("spearman", "pearson", "r2"),
    "multi_label": ("micro_f1", "macro_f1", "subset_accuracy"),
}
"""What fits each kind; the first is what `auto` means. Two classes have `f1` too."""
GLUE = {"cola": "matthews", "mrpc": "f1", "qqp": "f1", "stsb": "spearman", "sts-b": "spearman"}
"""The benchmark's metrics, where `auto` means another one: Wang et al., "GLUE", ICLR 2019."""


def metrics_for(target: Target) -> tuple[str, ...]:
    """Return the metrics that fit a target, the default first."""
    return METRICS[target.kind] if target.positive is None else (*METRICS[target.kind], "f1")


def choose_metric(asked: str, name: str, target: Target) -> tuple[str, tuple[Notice, ...]]:
    """Choose a task's metric.

    Args:
        asked: The user's word; `auto` is the benchmark's metric for a dataset of GLUE, else the kind's default.
        name: The dataset's name: a folder's, or a hub dataset's with its configuration.
        target: What is predicted.

    Returns:
        The metric, and what to say about it.

    Raises:
        DataError: The metric does not fit.
    """
    fitting = metrics_for(target)
    if asked == "f1" and target.positive is None:
        raise DataError(
            f"--metric f1 needs exactly 2 labels, of which one is positive; the task has {_describe(target)}. Choose "
            f"one of {', '.join(fitting)}."
        )
    if asked not in (*fitting, "auto"):
        raise DataError(
            f"--metric must fit the task; {asked} does not fit {_describe(target)}. Choose one of {', '.join(fitting)}."
        )
    notices = []
    metric = asked
    if asked == "auto":
        last = name.rsplit("/", 1)[-1].casefold()
        dataset = last.removeprefix("glue:").split(":")[0]
        metric = GLUE.get(dataset, fitting[0])
        metric = metric if metric in fitting else fitting[0]
        if metric != fitting[0]:
            notices.append(Notice(code="glue_metric", values={"metric": metric, "dataset": dataset}))
    if metric == "f1" and target.positive is not None:
        notices.append(Notice(code="positive_label", values={"label": target.labels[target.positive]}))
    return metric, tuple(notices)


def score_all(target: Target, labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Score predictions by every metric that fits.

    Args:
        target: What is predicted.
        labels: The true labels as `Target.array` gives them, of at least one row.
        predicted: The predictions, of the same shape.

    Returns:
        Each name of `metrics_for` with a finite score. A classification's macro F1 is the mean over the classes that
        occur among the labels or the predictions, that of sets of labels is the mean over all labels. What is undefined
        is 0: Matthews and correlations where all labels or all predictions are alike, R2 where all labels are, the F1
        of what is neither there nor predicted.

    Raises:
        DivergedError: A predicted number is not finite.
    """
    if target.kind == "regression":
        if not np.isfinite(predicted).all():
            raise DivergedError("a predicted number must be finite; got one that is not")
        return {
            "spearman": _correlation(rankdata(labels), rankdata(predicted)),
            "pearson": _correlation(labels, predicted),
            "r2": _r2(labels, predicted),
        }
    if target.kind == "multi_label":
        return {
            "micro_f1": float(f1_score(labels, predicted, average="micro", zero_division=0)),
            "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
            "subset_accuracy": float(accuracy_score(labels, predicted)),
        }
    # Asked with one class on either side, scikit-learn's Matthews is 0 too, but it may warn.
    varied = min(len(np.unique(part)) for part in (labels, predicted)) > 1
    scores = {
        "accuracy": float(accuracy_score(labels, predicted)),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "matthews": float(matthews_corrcoef(labels, predicted)) if varied else 0.0,
    }
    if target.positive is not None:
        own, found = labels == target.positive, predicted == target.positive
        scores["f1"] = float(f1_score(own, found, zero_division=0))
    return scores


def _r2(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Return R2, 0 where the labels are alike or so nearly that the quotient is no finite number."""
    if np.ptp(labels) == 0:
        return 0.0
    with np.errstate(over="ignore"):
        value = float(r2_score(labels, predicted))
    return value if np.isfinite(value) else 0.0


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Pearson's correlation, 0 where it is undefined."""
    a, b = first - first.mean(), second - second.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    alike = np.ptp(first) == 0 or np.ptp(second) == 0 or size == 0
    return 0.0 if alike else float(np.clip(a @ b / size, -1.0, 1.0))


def _describe(target: Target) -> str:
    return {
        "classification": f"classification with {len(target.labels)} labels",
        "regression": "regression",
        "multi_label": "rows with several labels",
    }[target.kind]

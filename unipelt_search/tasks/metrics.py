"""The metric that a task is compared by, and the scores of predictions by every metric that fits."""

from __future__ import annotations

import numpy as np

from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import AUTO, Target, find_metric
from unipelt_search.records.notice import Notice

GLUE = {"cola": "matthews", "mrpc": "f1", "qqp": "f1", "stsb": "spearman", "sts-b": "spearman"}
"""The benchmark's metrics, where `auto` means another one: Wang et al., "GLUE", ICLR 2019."""


def metrics_for(target: Target) -> tuple[str, ...]:
    """Return the names of the metrics that fit a target, the default first."""
    return tuple(metric.name for metric in target.metrics())


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
    if asked not in (*fitting, AUTO):
        raise DataError(f"{_misfit(asked, target)} Choose one of {', '.join(fitting)}.")
    notices = []
    metric = asked
    if asked == AUTO:
        dataset = _glue_name(name)
        metric = GLUE.get(dataset, fitting[0])
        if metric not in fitting:
            metric = fitting[0]
        if metric != fitting[0]:
            notices.append(Notice(code="glue_metric", values={"metric": metric, "dataset": dataset}))
    if target.metric(metric).of_positive and target.positive is not None:
        label = target.labels[target.positive]
        notices.append(Notice(code="positive_label", values={"label": label}))
    return metric, tuple(notices)


def score_all(target: Target, labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Score predictions by every metric that fits.

    Args:
        target: What is predicted.
        labels: The true labels as `Target.to_array` gives them, of at least one row.
        predicted: The predictions, of the same shape.

    Returns:
        Each name of `metrics_for` with a finite score. A classification's macro F1 is the mean over the classes that
        occur among the labels or the predictions, that of sets of labels is the mean over all labels. What is undefined
        is 0: Matthews and correlations where all labels or all predictions are alike, R2 where all labels are, the F1
        of what is neither there nor predicted.

    Raises:
        DivergedError: A predicted number is not finite.
    """
    target.label_kind.check_predicted(predicted)
    scores = {}
    for metric in target.metrics():
        true = metric.view(target, labels)
        found = metric.view(target, predicted)
        scores[metric.name] = metric.score(true, found)
    return scores


def _glue_name(name: str) -> str:
    """Return the part of a dataset's name that GLUE's tasks have: `cola` of `nyu-mll/glue:cola`."""
    last = name.rsplit("/", 1)[-1].casefold()
    return last.removeprefix("glue:").split(":")[0]


def _misfit(asked: str, target: Target) -> str:
    """Say why a metric does not fit."""
    described = target.label_kind.describe(target.labels)
    if find_metric(asked).of_positive:
        return f"--metric {asked} needs exactly 2 labels, of which one is positive; the task has {described}."
    return f"--metric must fit the task; {asked} does not fit {described}."

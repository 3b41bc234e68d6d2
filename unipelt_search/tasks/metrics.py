"""The metric that a task is compared by, and the scores of predictions by every metric that fits."""

from __future__ import annotations

import numpy as np

from unipelt_search.errors import DataError, DivergedError
from unipelt_search.kinds.label_kind import AUTO, Metric, Target
from unipelt_search.records.notice import Notice, NoticeValue

GLUE = {"cola": "matthews", "mrpc": "f1", "qqp": "f1", "stsb": "spearman", "sts-b": "spearman"}
"""The benchmark's metrics, where `auto` means another one: Wang et al., "GLUE", ICLR 2019."""


def metrics_for(target: Target) -> tuple[str, ...]:
    """Return the names of the metrics that fit a target: ours, the default first, then those of other packages.

    Raises:
        MachineError: A package with metrics cannot be loaded, or a name is taken twice.
    """
    return tuple(metric.name for metric in (*target.metrics(), *target.custom_metrics()))


def choose_metric(
    asked: str, name: str, target: Target, *, weighted: bool = False, positive_named: bool = False
) -> tuple[str, tuple[Notice, ...]]:
    """Choose a task's metric.

    Args:
        asked: The user's word; `auto` is the benchmark's metric for a dataset of GLUE, else the kind's default.
        name: The dataset's name: a folder's, or a hub dataset's with its configuration.
        target: What is predicted.
        weighted: Whether rows count in it by their weights.
        positive_named: Whether the user named the positive class; else a notice says that a rule chose it.

    Returns:
        The metric, and what to say about it.

    Raises:
        DataError: The metric does not fit, or knows no weights and is asked to.
        MachineError: It is none of ours, and a package with others cannot be loaded.
    """
    ours = tuple(metric.name for metric in target.metrics())
    if asked not in (*ours, AUTO) and asked not in metrics_for(target):
        raise DataError(f"{_misfit(asked, target)} Choose one of {', '.join(metrics_for(target))}.")
    metric, notices = _usual_metric(name, ours) if asked == AUTO else (asked, [])
    found = target.metric(metric)
    if weighted and not found.knows_weights:
        raise DataError(
            f"--weight-metric needs a metric that knows weights; {metric} of the package {found.package} does not. "
            "Leave --weight-metric out, or choose another --metric."
        )
    return metric, (*notices, *_positive_notices(found, target, named=positive_named))


def _positive_notices(metric: Metric, target: Target, *, named: bool) -> tuple[Notice, ...]:
    """Say which class is the positive one, where the metric is about that."""
    if not metric.of_positive or target.positive is None:
        return ()
    label = target.labels[target.positive]
    values: dict[str, NoticeValue] = {"label": label, "metric": metric.title or metric.name}
    if named:
        return (Notice(code="positive_named", severity="fact", values=values),)
    return (Notice(code="positive_label", values=values),)


def _usual_metric(name: str, fitting: tuple[str, ...]) -> tuple[str, list[Notice]]:
    """Return the benchmark's metric for a dataset of GLUE, else the kind's default, and what to say about it."""
    dataset = _glue_name(name)
    metric = GLUE.get(dataset, fitting[0])
    if metric not in fitting or metric == fitting[0]:
        return fitting[0], []
    return metric, [Notice(code="glue_metric", values={"metric": metric, "dataset": dataset})]


def score_all(
    target: Target,
    labels: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    *,
    metric: str | None = None,
) -> dict[str, float]:
    """Score predictions by every metric of ours that fits.

    Args:
        target: What is predicted.
        labels: The true labels as `Target.to_array` gives them, of at least one row.
        predicted: The predictions, of the same shape.
        probabilities: As `Target.probabilities` gives them; without them the metrics that need them are left out.
        weights: ``(n,)``, what each row counts; None is 1.
        metric: The study's metric, which may be that of another package; None is one of ours.

    Returns:
        Each name of `Target.metrics`, and the study's, with a finite score. A classification's macro F1 is the mean
        over the classes that occur among the labels or the predictions, that of sets of labels is the mean over all
        labels. What is undefined is 0, an area under the ROC curve a half: Matthews and correlations where all labels
        or all predictions are alike, R2 where all labels are, the F1 of what is neither there nor predicted.

    Raises:
        DivergedError: A predicted number, or a probability, is not finite.
        MachineError: A metric of another package gives no finite number.
    """
    names = []
    for known in target.metrics():
        if probabilities is not None or not known.needs_probabilities:
            names.append(known.name)
    if metric is not None and metric not in names:
        names.append(metric)
    return {name: score_by(target, name, labels, predicted, probabilities, weights) for name in names}


def score_by(
    target: Target,
    name: str,
    labels: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> float:
    """Score predictions by one metric.

    Args:
        target: What is predicted.
        name: A metric that fits, ours or that of another package.
        labels: The true labels as `Target.to_array` gives them, of at least one row.
        predicted: The predictions, of the same shape.
        probabilities: As `Target.probabilities` gives them; None where there are none.
        weights: ``(n,)``, what each row counts; None is 1.

    Returns:
        A finite score.

    Raises:
        DivergedError: A predicted number, or a probability, is not finite.
        MachineError: A metric of another package gives no finite number.
    """
    target.label_kind.check_predicted(predicted)
    metric = target.metric(name)
    if metric.needs_probabilities and probabilities is not None and not np.isfinite(probabilities).all():
        raise DivergedError("a probability must be finite; got one that is not")
    true, found = metric.inputs(target.positive, labels, predicted, probabilities)
    return metric.score(true, found, weights)


def score_logits(
    target: Target, name: str, labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Score a model's outputs by one metric.

    Args:
        target: What is predicted.
        name: A metric that fits, ours or that of another package.
        labels: The true labels as `Target.to_array` gives them, of at least one row.
        logits: ``(n, outputs)``.
        weights: ``(n,)``, what each row counts; None is 1.

    Returns:
        A finite score.

    Raises:
        DivergedError: A predicted number, or a probability, is not finite.
        MachineError: A metric of another package gives no finite number.
    """
    return score_by(target, name, labels, target.predict(logits), target.probabilities(logits), weights)


def _glue_name(name: str) -> str:
    """Return the part of a dataset's name that GLUE's tasks have: `cola` of `nyu-mll/glue:cola`."""
    last = name.rsplit("/", 1)[-1].casefold()
    return last.removeprefix("glue:").split(":")[0]


def _misfit(asked: str, target: Target) -> str:
    """Say why a metric does not fit."""
    described = target.label_kind.describe(target.labels)
    for metric in target.label_kind.metrics:
        if metric.name == asked and metric.needed_labels:
            return f"--metric {asked} needs {metric.needed_labels}; the task has {described}."
    return f"--metric must fit the task; {asked} does not fit {described}."

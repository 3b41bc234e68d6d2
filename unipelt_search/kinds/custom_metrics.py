"""Metrics of other installed packages, found by the entry-point group `unipelt_search.metrics`.

An entry point is ``NAME = "package.module:METRIC"`` and names a `CustomMetric`. NAME is the word in study files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from math import inf, isfinite, sqrt

import numpy as np

from unipelt_search.errors import MachineError
from unipelt_search.kinds.label_kind import label_kinds
from unipelt_search.kinds.metric import Direction, LeaveOneOut, Metric, Score

GROUP = "unipelt_search.metrics"
"""The entry-point group."""
MOST_CALLS = 1000
"""How often a metric is computed for one run's interval, at most."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class CustomMetric:
    """A metric of another package: a function and what statistics and reports need to know of it."""

    score: Callable[..., float]
    """From true labels and predictions, as `Target.to_array` gives them, to a finite number, for one row or more.
    With `needs_probabilities` it gets probabilities in place of predictions: ``(n, outputs)`` of float32. With
    `knows_weights` a third argument is what each row counts, ``(n,)``, or None."""
    kinds: tuple[str, ...]
    """The kinds of task that it is for, such as `classification`."""
    direction: Direction
    """`maximize` or `minimize`."""
    low: float
    """The lowest value that it can have; minus infinity where there is none."""
    high: float
    """The highest value that it can have; infinity where there is none."""
    title: str = ""
    """How a sentence calls it; empty where that is its name."""
    needs_probabilities: bool = False
    """Whether it is computed from probabilities."""
    of_positive: bool = False
    """Whether it is for two classes of which one is positive: it gets 1 for that one and 0 for the other, and the
    positive one's probability ``(n,)``."""
    knows_weights: bool = False
    """Whether it takes what rows count."""


def custom_metrics(taken: Iterable[str]) -> tuple[tuple[Metric, tuple[str, ...]], ...]:
    """Load the metrics of other packages.

    Args:
        taken: The names of our own metrics.

    Returns:
        Each with the kinds that it is for, by name.

    Raises:
        MachineError: A package cannot be loaded or declares no valid metric, or a name is taken twice.
    """
    return _load(tuple(taken))


def reload_metrics() -> None:
    """Find the metrics anew at their next use, after a package was installed or removed while the process runs."""
    _load.cache_clear()


@cache
def _load(taken: tuple[str, ...]) -> tuple[tuple[Metric, tuple[str, ...]], ...]:
    owners = dict.fromkeys(taken, "unipelt-search")
    found = []
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        owner = point.value if point.dist is None else point.dist.name
        if point.name in owners:
            raise MachineError(
                f"Each metric must have a name of its own; got {point.name!r} from both {owners[point.name]} and "
                f"{owner}. Uninstall one of them: pip uninstall {owner}."
            )
        owners[point.name] = owner
        declared = _declared(point, owner)
        found.append((_metric_of(point.name, declared, owner), declared.kinds))
    return tuple(found)


def _declared(point: metadata.EntryPoint, owner: str) -> CustomMetric:
    try:
        declared = point.load()
    # A plug-in is foreign code, and its import can fail in any way.
    except Exception as error:
        raise MachineError(
            f"The metric {point.name!r} of the package {owner} must be loadable; got {type(error).__name__}: "
            f"{' '.join(str(error).split())}. Repair it, or remove it: pip uninstall {owner}."
        ) from error
    mistake = _mistake_in(point.name, declared)
    if mistake:
        raise MachineError(
            f"The entry point {point.name!r} of the package {owner} must name a CustomMetric {mistake}. Repair it, or "
            f"remove it: pip uninstall {owner}."
        )
    return declared


def _mistake_in(name: str, declared: object) -> str:
    """Say what is wrong with an entry point; nothing where all is right."""
    if not isinstance(declared, CustomMetric):
        return f"object; got {type(declared).__name__}"
    if not _NAME.fullmatch(name):
        return "under a name of lower-case letters, digits and underscores, at most 64 of them"
    if declared.direction not in {"maximize", "minimize"}:
        return f"whose direction is maximize or minimize; got {declared.direction!r}"
    if not declared.low < declared.high:
        return f"whose low is below its high; got {declared.low!r} and {declared.high!r}"
    known = label_kinds()
    if not isinstance(declared.kinds, tuple) or not declared.kinds or not set(declared.kinds) <= set(known):
        return f"with a tuple of kinds of task, of {', '.join(known)}; got {declared.kinds!r}"
    return ""


def _metric_of(name: str, declared: CustomMetric, owner: str) -> Metric:
    def score(labels: np.ndarray, found: np.ndarray, weights: np.ndarray | None) -> float:
        given = (labels, found, weights) if declared.knows_weights else (labels, found)
        value = float(declared.score(*given))
        if not isfinite(value):
            raise MachineError(
                f"The metric {name!r} of the package {owner} must return a finite number for any rows; got {value} for "
                f"{len(labels)} rows. Repair it, or choose another --metric."
            )
        return value

    return Metric(
        name=name,
        score=score,
        leave_one_out=leave_out_by_score(score),
        title=declared.title,
        direction=declared.direction,
        low=declared.low,
        high=declared.high,
        row_variance=_row_variance(declared.low, declared.high),
        of_positive=declared.of_positive,
        needs_positive=declared.of_positive,
        needs_probabilities=declared.needs_probabilities,
        knows_weights=declared.knows_weights,
        package=owner,
    )


def _row_variance(low: float, high: float) -> Callable[[float], float]:
    """Bound the variance of one row's share in a mean of values from `low` to `high`: nothing is known without them.

    Source:
        Bhatia and Davis, "A Better Bound on the Variance", American Mathematical Monthly 2000.
    """
    if not (isfinite(low) and isfinite(high)):
        return lambda score: inf
    return lambda score: max(score - low, 0.0) * max(high - score, 0.0)


def leave_out_by_score(score: Score) -> LeaveOneOut:
    """Leave rows out of any metric by computing it again without them.

    Args:
        score: The metric, as `Metric.score`.

    Returns:
        As `Metric.leave_one_out`. With more than `MOST_CALLS` rows, groups of rows are left out in place of single
        ones, and what a group shows is shared out so that the variance over the rows stays right.

    Source:
        The delete-a-group jackknife: Kott, "The Delete-a-Group Jackknife", Journal of Official Statistics 2001.
    """

    def leave_out(labels: np.ndarray, found: np.ndarray, weights: np.ndarray | None) -> tuple[float, np.ndarray]:
        rows = len(labels)
        groups = min(rows, MOST_CALLS)
        group = np.arange(rows) % groups
        without = np.empty(groups)
        for number in range(groups):
            kept = group != number
            without[number] = score(labels[kept], found[kept], None if weights is None else weights[kept])
        # The effect of a group on the mean is (groups - 1) times what the score moves without it. The mean of m equal
        # rows varies less than a row does, by the square root of m.
        moved = (groups - 1) * (without - without.mean()) * sqrt(rows / groups)
        return score(labels, found, weights), (without.mean() + moved / (rows - 1))[group]

    return leave_out

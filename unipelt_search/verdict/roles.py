"""What a submodule is worth to a method, by what the score loses without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scipy.stats import norm

from unipelt_search.records.history import TaskSummary
from unipelt_search.records.results import ABLATION_ROWS, AblationRow

Role = Literal["carries", "helps", "idle", "hurts"]
IDLE_MARGIN = 0.01
"""A change that is as good as none: of a score, in its own unit; of an error, as a share of the constant
prediction's."""
_STANDARD_ERRORS = 2.0
"""Half of an interval of about 95 %."""
_POWER = 0.8
_MOST_OF_IT = 0.5
_RULE_OF_THREE = 3.0
"""How many rows in all may differ where none of a sample of that many did: the end of a 95 % interval."""


@dataclass(frozen=True)
class Worth:
    """What a removal has shown."""

    role: Role | None = None
    """None where it has shown neither a change nor that there is none."""
    detectable: float | None = None
    """Where there is no role, the smallest change that would have been seen with a power of 80 %; None where no error
    is known."""


@dataclass(frozen=True)
class AblationScale:
    """What the drops of a study are held against, in the unit of its metric."""

    floor: float
    """The score of the constant prediction on the select rows."""
    margin: float
    """A change that is as good as none."""
    unseen: float = 0.0
    """A change that may have gone unseen although no prediction changed; 0 where what is scored are numbers."""
    sign: int = 1
    """What a score is multiplied by so that higher is better."""


def ablation_scale(task: TaskSummary) -> AblationScale:
    """Find what the drops of a study's ablation are held against.

    Args:
        task: The study's task.

    Returns:
        The scale.

    Raises:
        MachineError: The metric is that of a package that is not installed.

    Source:
        `unseen`: Hanley and Lippman-Hand, "If nothing goes wrong, is everything all right?", 1983.
    """
    floor = task.majority["select"][task.metric]
    metric = task.find_metric()
    margin = IDLE_MARGIN * abs(floor) if metric.direction == "minimize" else IDLE_MARGIN
    rows = min(task.rows["select"] // max(task.folds, 1), ABLATION_ROWS)
    # A changed probability shows in the score at once, a label only where it is another one.
    is_of_labels = bool(task.labels) and not metric.needs_probabilities
    unseen = _RULE_OF_THREE / max(rows, 1) if is_of_labels else 0.0
    return AblationScale(floor, margin, unseen, metric.sign)


def worth_of(row: AblationRow, scale: AblationScale) -> Worth:
    """Say what a submodule contributes to the score.

    Args:
        row: What the score loses when it is removed from all layers.
        scale: What the loss is held against.

    Returns:
        `idle` where the interval of the loss, two standard errors to both sides, lies within the margin. Else `hurts`
        where the score is better without it, by more than two standard errors; `carries` where at least half of what
        the method gains over the floor is lost; `helps` where less is. No role where the loss is within two standard
        errors of 0. Nothing for a single layer, and where there is no standard error.

    Source:
        `idle` is an equivalence test: Schuirmann, "A comparison of the two one-sided tests procedure", 1987.
    """
    if row.layer is not None or row.error is None:
        return Worth()
    half = _STANDARD_ERRORS * row.error
    if abs(row.drop) + max(half, scale.unseen) <= scale.margin:
        return Worth("idle")
    if abs(row.drop) <= half:
        return Worth(detectable=_detectable(row.error, scale.unseen))
    if row.drop < 0:
        return Worth("hurts")
    # How much better the whole model is than the constant prediction.
    gain = scale.sign * (row.value - scale.floor) + row.drop
    return Worth("carries" if row.drop >= _MOST_OF_IT * gain else "helps")


def _detectable(error: float, unseen: float) -> float:
    """Return the smallest change whose estimate is beyond two standard errors four times out of five."""
    return max((_STANDARD_ERRORS + float(norm.ppf(_POWER))) * error, unseen)

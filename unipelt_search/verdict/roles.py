"""What a submodule is worth to a method, by what the score loses without it."""

from __future__ import annotations

from typing import Literal

from unipelt_search.records.results import AblationRow

Role = Literal["carries", "helps", "idle", "hurts"]
_STANDARD_ERRORS = 2.0
_MOST_OF_IT = 0.5


def role_of(row: AblationRow, floor: float) -> Role | None:
    """Say what a submodule contributes to the score.

    Args:
        row: What the score loses when it is removed from all layers.
        floor: The score of the majority prediction.

    Returns:
        `idle` where the loss is within two standard errors of none; `hurts` where the score is better without it;
        `carries` where at least half of what the method gains over the floor is lost; else `helps`. None for a single
        layer, and where there is no standard error.
    """
    if row.layer is not None or row.error is None:
        return None
    if abs(row.drop) <= _STANDARD_ERRORS * row.error:
        return "idle"
    if row.drop < 0:
        return "hurts"
    # The score of the whole model minus that of the majority prediction.
    gain = row.value + row.drop - floor
    return "carries" if row.drop >= _MOST_OF_IT * gain else "helps"

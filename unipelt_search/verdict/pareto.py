"""Which methods nobody beats at their price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from unipelt_search.verdict.standings import MethodStanding


def pareto_front(
    standings: Sequence[MethodStanding], cost: Callable[[MethodStanding], float], *, maximize: bool
) -> tuple[str, ...]:
    """Find the methods that have a better score than every method that costs as much or less.

    Args:
        standings: Methods that were scored on the same rows.
        cost: What one costs; infinite where it is not known, which leaves it out.
        maximize: Whether a higher score is better.

    Returns:
        Their names, the one that costs least first; of equal costs and scores the first by name.
    """
    sign = -1 if maximize else 1
    front: list[MethodStanding] = []
    for standing in sorted(standings, key=lambda s: (cost(s), sign * s.score, s.name)):
        if isfinite(cost(standing)) and (not front or sign * standing.score < sign * front[-1].score):
            front.append(standing)
    return tuple(standing.name for standing in front)

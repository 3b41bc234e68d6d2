"""Which methods no other one beats at their cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from unipelt_search.verdict.candidates import Candidate


def pareto_front(
    candidates: Sequence[Candidate], cost: Callable[[Candidate], float], *, maximize: bool
) -> tuple[str, ...]:
    """Find the methods that have a better score than every method that costs as much or less.

    Args:
        candidates: Methods that were scored on the same rows.
        cost: What one costs; infinite where it is not known, which leaves it out.
        maximize: Whether a higher score is better.

    Returns:
        Their names, the one that costs least first; of equal costs and scores the first by name.
    """
    sign = -1 if maximize else 1

    def cheapest_first(candidate: Candidate) -> tuple[float, float, str]:
        return cost(candidate), sign * candidate.score, candidate.name

    front: list[Candidate] = []
    # A method that was never timed cannot be compared by time.
    known = [candidate for candidate in candidates if isfinite(cost(candidate))]
    for candidate in sorted(known, key=cheapest_first):
        if not front or sign * candidate.score < sign * front[-1].score:
            front.append(candidate)
    return tuple(candidate.name for candidate in front)

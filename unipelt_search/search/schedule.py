"""How long runs take together on so many workers."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


def wall_seconds(runs: Iterable[float], workers: int) -> float:
    """Return when the last of some runs has ended, each begun in order as soon as a worker is free.

    Args:
        runs: Seconds of each run.
        workers: Runs at a time, at least 1.

    Returns:
        Seconds; 0 without runs.
    """
    free_at = [0.0] * workers
    for seconds in runs:
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)

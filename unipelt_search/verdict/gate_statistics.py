"""Gates of several runs together: what all of them say, and whether they say the same."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np

from unipelt_search.records.results import GateName, GateValues

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
"""By the names of a gate row's fields."""
BINS = 64
"""Bins of a histogram, of equal width from 0 to 1; a value on a border is in the upper one, 1 in the last."""
MIDDLE = 0.5
"""Between closed and open."""
_HALF = np.dtype("<f2")


def gates_by_name(kept: GateValues) -> dict[GateName, np.ndarray]:
    """Return a run's gates ``(m,)`` by their names, in the order of `GateValues.rows`."""
    shape = (len(kept.gates), len(kept.rows))
    values = np.frombuffer(kept.values, dtype=_HALF).reshape(shape).astype(np.float64)
    return dict(zip(kept.gates, values, strict=True))


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Return the quantiles of values ``(n,)``, by the names of `QUANTILES`; there must be one at least."""
    found = np.quantile(values, list(QUANTILES.values()))
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def histogram(values: np.ndarray) -> tuple[int, ...]:
    """Count gates ``(n,)`` in each of the bins."""
    counts, _ = np.histogram(values, bins=BINS, range=(0.0, 1.0))
    return tuple(counts.tolist())


def between_runs(means: Sequence[float]) -> float:
    """Return the standard deviation of a gate's means of two or more runs."""
    return stdev(means)


def runs_agree(medians: Sequence[float], means: Sequence[float], sds: Sequence[float]) -> bool:
    """Tell whether runs say the same of a gate.

    Args:
        medians: The gate's median over examples in each run, two or more.
        means: Its means.
        sds: Its standard deviations.

    Returns:
        Whether no median is on the other side of 0.5 than another one, and the means of the runs are no farther apart
        than the examples within a run: their standard deviation is at most the mean of the runs' own.
    """
    opposite = max(medians) > MIDDLE > min(medians)
    return not opposite and between_runs(means) <= fmean(sds)

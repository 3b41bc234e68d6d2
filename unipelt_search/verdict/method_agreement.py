"""How often two methods predict the same, and how much oftener than by chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np

from unipelt_search.verdict.predicted_rows import PredictedRows, prediction_codes

_Codes = dict[tuple[int, int], np.ndarray]
"""A method's predictions as numbers ``(n,)``, by what they are paired by."""


@dataclass(frozen=True)
class PairAgreement:
    """How far the predictions of two methods agree, over the seeds that both have."""

    methods: tuple[str, str]
    equal: float
    """Share of the rows for which they predict the same, in whole; the mean over seeds."""
    kappa: float | None
    """Cohen's kappa, the mean over the seeds that have one; None where both always predict the same one thing."""


def method_agreement(methods: Mapping[str, Sequence[PredictedRows]]) -> Iterator[PairAgreement]:
    """Compare the predictions of every two methods.

    Args:
        methods: By name, each one's predictions on the same rows.

    Yields:
        One entry per pair that has a seed in common, in the order of the methods.
    """
    codes = _codes(methods)
    for first, second in combinations(methods, 2):
        common = [key for key in codes[first] if key in codes[second]]
        pairs = [(codes[first][key], codes[second][key]) for key in common]
        if pairs:
            kappas = [kappa for a, b in pairs if (kappa := cohen_kappa(a, b)) is not None]
            yield PairAgreement(
                methods=(first, second),
                equal=fmean(float((a == b).mean()) for a, b in pairs),
                kappa=fmean(kappas) if kappas else None,
            )


def cohen_kappa(first: np.ndarray, second: np.ndarray) -> float | None:
    """Compare two predictions for the same rows with what chance would give.

    Args:
        first: ``(n,)``, numbers from 0 that stand for what was predicted; at least one row.
        second: The same.

    Returns:
        1 for equal predictions, 0 where they are as alike as by chance; None where chance makes them equal always.

    Source:
        Cohen, A Coefficient of Agreement for Nominal Scales (1960).
    """
    classes = int(max(first.max(), second.max())) + 1
    shares = [np.bincount(codes, minlength=classes) / codes.size for codes in (first, second)]
    by_chance = float(shares[0] @ shares[1])
    if by_chance >= 1.0:
        return None
    return (float((first == second).mean()) - by_chance) / (1 - by_chance)


def _codes(methods: Mapping[str, Sequence[PredictedRows]]) -> dict[str, _Codes]:
    """Give every prediction a number; a set of labels has one as a whole."""
    every_run = [run for runs in methods.values() for run in runs]
    if not every_run:
        return {name: {} for name in methods}
    numbers = prediction_codes(np.concatenate([run.predicted for run in every_run]))
    by_run = iter(np.split(numbers, np.cumsum([len(run.predicted) for run in every_run])[:-1]))
    codes: dict[str, _Codes] = {}
    for name, runs in methods.items():
        codes[name] = {run.key: next(by_run) for run in runs}
    return codes

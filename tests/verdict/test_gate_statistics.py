from __future__ import annotations

import numpy as np
import pytest

from unipelt_search.records.results import GateName, GateValues
from unipelt_search.verdict.gate_statistics import BINS, between_runs, gates_by_name, histogram, quantiles, runs_agree


def test_kept_gates_come_back_by_their_names() -> None:
    matrix = np.random.default_rng(0).random((2, 3))
    names = (GateName(stack="encoder", layer=0, gate="lora_query"), GateName(stack="decoder", layer=1, gate="prefix"))
    kept = GateValues(gates=names, rows=(0, 4, 7), values=matrix.astype("<f2").tobytes())
    found = gates_by_name(kept)
    assert tuple(found) == names
    assert np.stack(list(found.values())) == pytest.approx(matrix, abs=2**-11)


def test_every_value_is_in_one_bin() -> None:
    values = np.array([0.0, 1 / 64, 0.5, 0.99, 1.0])
    counts = histogram(values)
    assert (len(counts), sum(counts)) == (BINS, 5)
    assert [position for position, count in enumerate(counts) for _ in range(count)] == [0, 1, 32, 63, 63]


def test_quantiles_are_numpys() -> None:
    values = np.random.default_rng(1).random(101)
    assert quantiles(values) == pytest.approx({
        "q05": np.quantile(values, 0.05), "q25": np.quantile(values, 0.25), "q50": np.median(values),
        "q75": np.quantile(values, 0.75), "q95": np.quantile(values, 0.95),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("medians", "sds", "agree"),
    [
        ((0.45, 0.56), (0.2, 0.2), False),  # closed and open
        ((0.51, 0.56), (0.2, 0.2), True),
        ((0.45, 0.49), (0.01, 0.01), False),  # both closed, and farther apart than their examples
        ((0.5, 0.5, 0.5), (0.0, 0.0, 0.0), True),  # as gates begin
        ((0.5, 0.51, 0.52), (0.02, 0.02, 0.02), True),
        ((0.49, 0.51, 0.52), (0.02, 0.02, 0.02), False),
    ],
)
def test_runs_agree_on_one_side_and_within_their_own_spread(
    medians: tuple[float, ...], sds: tuple[float, ...], agree: bool
) -> None:
    assert runs_agree(medians, medians, sds) is agree


def test_the_spread_of_runs_is_that_of_their_means() -> None:
    assert between_runs([0.4, 0.6]) == pytest.approx(0.02**0.5)

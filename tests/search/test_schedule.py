from __future__ import annotations

import pytest

from unipelt_search.search.schedule import wall_seconds


@pytest.mark.parametrize(
    ("runs", "workers", "seconds"),
    [((), 3, 0), ((2, 3, 4), 1, 9), ((2, 3, 4), 2, 6), ((2, 3, 4), 9, 4), ((1, 1, 1, 5), 2, 6)],
)
def test_runs_begin_in_order_as_workers_are_free(runs: tuple[float, ...], workers: int, seconds: float) -> None:
    assert wall_seconds(runs, workers) == seconds

"""The bound on power, against tests whose power is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.verdict.test_verdict_simulation import load_benchmark, simulation

bound = load_benchmark("power_bound")


def oracle(examples: float, residual: float, sd: float, seeds: int) -> float:
    error = np.sqrt(examples + 2 * (sd**2 + residual) / seeds)
    return float(stats.norm.sf(1.96 - 3 / error) + stats.norm.cdf(-1.96 - 3 / error))


@pytest.mark.parametrize(("sd", "seeds"), [(0.5, 3), (3.0, 3), (1.5, 10)])
def test_no_interval_beats_who_knows_the_spread_and_more_misses_buy_power(sd: float, seeds: int) -> None:
    strict, lax = (bound.best_power(0.4, 0.35, sd, seeds, coverage) for coverage in (0.95, 0.93))
    assert 0.05 < strict < oracle(0.4, 0.35, sd, seeds)
    assert strict < lax


def test_where_only_seeds_matter_the_best_interval_has_at_least_students_power() -> None:
    pull, degrees_of_freedom = 3 / np.sqrt(2 * 1.5**2 / 3), 4
    critical = stats.t.ppf(0.975, degrees_of_freedom)
    student = stats.nct.sf(critical, degrees_of_freedom, pull) + stats.nct.cdf(-critical, degrees_of_freedom, pull)
    assert student - 0.005 < bound.best_power(1e-3, 1e-3, 1.5, 3, 0.95) < oracle(1e-3, 1e-3, 1.5, 3)


def test_many_seeds_leave_nothing_to_know() -> None:
    assert bound.best_power(0.4, 0.35, 0.5, 200, 0.95) == pytest.approx(oracle(0.4, 0.35, 0.5, 200), abs=0.005)


def test_row_variances_are_those_of_runs_that_disagree() -> None:
    cell = simulation.Cell(500, 3, (0.5, 0.5), (0.85, 0.85))
    examples, residual = bound.row_variances(cell, 40)
    runs = np.array(list(simulation.draw_runs(cell, 40, np.random.default_rng(2))))
    within = (runs[:, 0, 0] != runs[:, 0, 1]).mean()
    between = (runs[:, 0, 0] != runs[:, 1, 0]).mean()
    assert residual == pytest.approx(1e4 * within / 2 / 500, rel=0.1)
    assert examples == pytest.approx(1e4 * (between - within) / 500, rel=0.3)

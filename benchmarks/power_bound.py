"""How much power an interval can have at all: the best one that holds for every spread of the seeds, and the verdict's.

python benchmarks/power_bound.py [--studies 1000]     (two or three minutes on one core)

Scores are normal, both methods equally steady, and the variances that come from rows are known: everything that a real
study does not know is given away but one number, how much runs differ from seed to seed. Shifting all scores of one
method must shift the interval, so it is the difference of the means, plus and minus a function of the spread of the
runs, which has twice (seeds - 1) degrees of freedom. A linear program finds the function with the most power at one
spread among all those, drawn by lot or not, whose interval covers with 95 % (or 93 %) whatever the spread is. No honest
interval can do better; the test that knows the spread, the oracle, does, since it need not hold elsewhere.
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
from scipy import stats
from scipy.optimize import linprog
from verdict_simulation import ACCURACIES, SMALLEST, Cell, draw_runs, simulate

from unipelt_search.verdict.crossed import method_scores
from unipelt_search.verdict.power import difference_sources

SPREADS, HALVES, LUCKS = 160, 90, 24
"""Steps of the program: bins of the runs' observed spread, half widths, true spreads that the interval must hold at."""
ROWS = 1000


def row_variances(cell: Cell, studies: int) -> tuple[float, float]:
    """Measure what rows add to the variance of a difference.

    Args:
        cell: A kind of study with two methods.
        studies: How many to look at.

    Returns:
        In squared points: of the difference, over all seeds; of one run of one method, beside its luck.
    """
    random = np.random.default_rng(1)
    found = []
    for right in draw_runs(cell, studies, random):
        sources = difference_sources(*(method_scores(runs.astype(float)) for runs in right))
        found.append((sources.examples, sum(sources.residuals) / 2))
    examples, residual = 1e4 * np.mean(found, axis=0) / cell.rows
    return float(examples), float(residual)


def best_power(examples: float, residual: float, sd: float, seeds: int, coverage: float) -> float:
    """Return the most power for a difference of `SMALLEST` at one spread of the seeds.

    Args:
        examples: Variance of the difference over all seeds, in squared points, as are the others.
        residual: Variance of a run beside its luck.
        sd: The spread of the seeds at which there is to be power, in points.
        seeds: Of either method.
        coverage: What the interval has to cover at every spread.

    Returns:
        The power, between 0 and 1.

    Raises:
        RuntimeError: The program has not been solved.
    """
    degrees_of_freedom = 2 * (seeds - 1)
    lucks = np.concatenate([[0.0], np.geomspace(0.01, 400 * (examples + residual), LUCKS - 1)])
    highest = lucks[-1] + residual
    edges = np.concatenate([[0.0], np.geomspace(residual / 50, 5 * highest, SPREADS - 1), [np.inf]])
    halves = np.sqrt(examples + 2 * residual / seeds) * np.geomspace(1, 60 * np.sqrt(highest / residual), HALVES)

    def chances(seed_variance: float) -> np.ndarray:
        return np.diff(stats.chi2.cdf(edges * degrees_of_freedom / (seed_variance + residual), degrees_of_freedom))

    def beyond(seed_variance: float, shift: float) -> np.ndarray:
        error = np.sqrt(examples + 2 * (seed_variance + residual) / seeds)
        tails: np.ndarray = stats.norm.sf((halves - shift) / error) + stats.norm.cdf((-halves - shift) / error)
        return tails

    seen = np.outer(chances(sd**2), beyond(sd**2, 100 * SMALLEST)).ravel()
    missed = np.array(
        [np.outer(chances(seed_variance), beyond(seed_variance, 0)).ravel() for seed_variance in [*lucks, sd**2]]
    )
    # Every bin of the spread takes one half width, or several by lot.
    one_each = np.kron(np.eye(SPREADS), np.ones(HALVES))
    solved = linprog(-seen, missed, np.full(len(missed), 1 - coverage), one_each, np.ones(SPREADS), method="highs")
    if not solved.success:
        raise RuntimeError(f"The linear program was not solved: {solved.message}")
    return float(-solved.fun)


def main() -> None:
    """Print a line per cell of the verdict's simulation with two methods."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies per cell")
    asked = parser.parse_args()
    print(
        "| seed sd | seeds | coverage | power | best at 95 % | best at 93 % | oracle |\n|---|---|---|---|---|---|---|"
    )
    for sd, seeds in product((0.5, 1.5, 3.0), (3, 5, 10)):
        cell = Cell(ROWS, seeds, (sd, sd), ACCURACIES[2])
        ours = simulate(cell, asked.studies, 0)
        variances = row_variances(cell, asked.studies // 5)
        bounds = [best_power(*variances, sd, seeds, coverage) for coverage in (0.95, 0.93)]
        figures = (ours["pairwise"], ours["power"], *bounds, ours["power_oracle"])
        print(f"| {sd:g} | {seeds} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |", flush=True)


if __name__ == "__main__":
    main()

"""The simulator's own mathematics, and a small grid of it that holds the verdict to its word."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from unipelt_search.verdict.crossed import MethodScores, difference_estimate, method_scores


def load_benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


simulation = load_benchmark("verdict_simulation")
STUDIES = 200
# So many of 200 studies hold in all but one of a thousand draws, where 93 % is the truth.
LEAST = stats.binom.ppf(0.001, STUDIES, 0.93) / STUDIES


@pytest.mark.parametrize(("seeds", "sd"), [(3, 0.5), (3, 3.0), (10, 1.5)])
def test_intervals_of_a_pair_hold(seeds: int, sd: float) -> None:
    shares = simulation.simulate(simulation.Cell(200, seeds, (sd, sd), (0.85, 0.82)), STUDIES, seed=0)
    assert shares["pairwise"] >= LEAST
    assert abs(shares["power"] - shares["power_exact"]) < 0.12  # both are shares of only 200 studies


def test_all_intervals_of_a_study_hold_at_once() -> None:
    cell = simulation.Cell(200, 3, (1.5,) * 4, (0.85, 0.85, 0.85, 0.82))
    assert simulation.simulate(cell, STUDIES, seed=0)["familywise"] >= LEAST


def test_intervals_of_a_metric_that_is_no_mean_hold() -> None:
    cell = simulation.Cell(200, 3, (1.5, 1.5), (0.85, 0.82), "macro_f1")
    assert simulation.simulate(cell, STUDIES, seed=0)["pairwise"] >= LEAST


def test_the_bar_is_one_that_can_be_missed() -> None:
    cell = simulation.Cell(200, 3, (3.0, 3.0), (0.85, 0.82))
    held = 0
    for right in simulation.draw_runs(cell, STUDIES, np.random.default_rng(0)):
        pair = [method_scores(runs) for runs in right]
        blind = [
            MethodScores(
                m.by_example, m.seeds, m.residual_variance, seed_variance=0.0, degrees_of_freedom=m.degrees_of_freedom
            )
            for m in pair
        ]
        estimate = difference_estimate(*blind)  # as if the runs' own luck did not exist
        held += estimate.low <= 0.03 <= estimate.high
    assert held / STUDIES < LEAST


def test_the_drawn_runs_have_the_accuracies_that_are_called_true() -> None:
    cell = simulation.Cell(400, 4, (3.0, 3.0), (0.85, 0.82))
    right = np.array(list(simulation.draw_runs(cell, 300, np.random.default_rng(0))))
    np.testing.assert_allclose(right.mean(axis=(0, 2, 3)), (0.85, 0.82), atol=0.006)


@pytest.mark.parametrize("metric", ["macro_f1", "matthews"])
def test_the_population_score_is_scikit_learns_on_many_rows(metric: str) -> None:
    random = np.random.default_rng(0)
    labels = random.choice(3, size=200_000, p=simulation.PRIORS)
    wrong = (labels + random.integers(1, 3, labels.size)) % 3
    predicted = np.where(random.random(labels.size) < 0.8, labels, wrong)
    if metric == "macro_f1":
        expected = metrics.f1_score(labels, predicted, average="macro")
    else:
        expected = metrics.matthews_corrcoef(labels, predicted)
    assert simulation.population_score(metric, 0.8) == pytest.approx(expected, abs=0.004)

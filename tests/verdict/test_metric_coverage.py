"""The simulator of metrics, in small: its truth, and intervals that hold under metrics of every form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.verdict.test_verdict_simulation import load_benchmark

coverage = load_benchmark("metric_coverage")
WORLDS = {world.name: world for world in coverage.WORLDS}
STUDIES = 120
# So many of 120 studies hold in all but one of a thousand draws, where 93 % is the truth.
LEAST = stats.binom.ppf(0.001, STUDIES, 0.93) / STUDIES


def test_every_metric_that_can_be_chosen_is_simulated() -> None:
    names = {name for _, name in coverage.cases()}
    assert {"roc_auc", "average_precision", "log_loss", "brier", "quadratic_kappa", "f1", "rmse", "mae"} <= names
    assert {"top_3_accuracy", "top_5_accuracy", "subset_accuracy", "spearman", "r2", "balanced_accuracy"} <= names


@pytest.mark.parametrize(
    ("world", "names"),
    [
        ("two classes", ["roc_auc", "average_precision", "log_loss"]),
        ("sets", ["weighted_f1", "brier"]),
        ("numbers", ["rmse"]),
    ],
)
def test_intervals_hold(world: str, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "TRUTH_ROWS", 40_000)
    shares = coverage.simulate(WORLDS[world], names, rows=150, seeds=4, studies=STUDIES, seed=0)
    for name in names:
        assert min(shares[name]) >= LEAST, name


def test_intervals_hold_where_rows_count_by_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "TRUTH_ROWS", 40_000)
    world, names = WORLDS["two classes"], ["accuracy", "log_loss"]
    shares = coverage.simulate(world, names, rows=150, seeds=4, studies=STUDIES, seed=0, weighted=True)
    assert min(map(min, shares.values())) >= LEAST
    weights = coverage.draw_weights(100_000, np.random.default_rng(0))
    assert weights.sum() ** 2 / (weights**2).sum() == pytest.approx(59_000, rel=0.02)  # 1.2² / (1 + 1.2²) of the rows


def test_the_bar_is_one_that_can_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "TRUTH_ROWS", 40_000)
    truth = coverage.true_scores
    monkeypatch.setattr(coverage, "true_scores", lambda *given: {n: t + 0.03 for n, t in truth(*given).items()})
    (own, _) = coverage.simulate(WORLDS["two classes"], ["roc_auc"], rows=150, seeds=4, studies=60, seed=0)["roc_auc"]
    assert own < LEAST


def test_runs_of_the_better_method_are_better_under_every_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "TRUTH_ROWS", 20_000)
    for world in coverage.WORLDS:
        names = [metric.name for metric in world.target.metrics()]
        for name, (better, worse) in coverage.true_scores(world, names, 0).items():
            assert world.target.metric(name).is_better(better, worse), name
            assert np.isfinite(better)

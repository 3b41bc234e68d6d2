"""Small studies that are decided by other metrics than the default ones, against scikit-learn on what they store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from thread_executor import train_in_process

import tiny
from unipelt_search import api
from unipelt_search.api import Study
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec


def table(rows: int, first: int = 0) -> pd.DataFrame:
    """Make rows whose label hangs on a word, with a number and a weight for each."""
    numbers = range(first, first + rows)
    return pd.DataFrame({
        "sentence": [f"w{15 * (n % 3 == 0)} w{n % 7} w{n % 60} n{n}" for n in numbers],
        "label": ["yes" if n % 3 == 0 else "no" for n in numbers],
        "number": [1000.0 * (n % 3 == 0) + n % 7 + 0.5 for n in numbers],
        "weight": [1.0 + n % 4 for n in numbers],
    })  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run a study of two methods and two seeds."""
    train_in_process(monkeypatch)
    model = tmp_path / "model"
    tiny.tiny_model("bert", hidden_size=64).save_pretrained(model)
    tiny.tiny_tokenizer().save_pretrained(model)
    frames = {"train": table(80), "validation": table(60, 1000), "test": table(40, 2000)}

    def of(metric: str, label: str = "label", **task: object) -> Study:
        spec = StudySpec(
            name="toy",
            task=TaskSpec(data="rows", text=("sentence",), label=(label,), metric=metric, allow_overlap=True, **task),
            backbone=BackboneSpec(model=str(model)),
            space=SpaceSpec(methods=("head", "unipelt_al"), steps=4, evaluations=2),
            budget=BudgetSpec(trials=2, seeds=2),
            machine=MachineSpec(concurrency=1),
        )
        return api.run_study(spec, storage=f"sqlite:///{tmp_path}/studies.db", frames=frames)

    return of


def assert_decided(study: Study, *, lowest: bool) -> None:
    """The best comes first, all have intervals, and every run kept the weights of its best evaluation."""
    confirmed = [row for row in study.report.leaderboard if row.phase == "confirm"]
    means = [row.validation.mean for row in confirmed]
    assert means == sorted(means, reverse=not lowest)
    assert all(row.validation.low is not None for row in confirmed)
    assert study.report.verdict.method == confirmed[0].method
    assert study.report.task.direction == ("minimize" if lowest else "maximize")
    best = min if lowest else max
    for trial in study.record.trials:
        for each in trial.runs:
            assert each.result is not None
            assert each.result.tune == best(row.value for row in each.result.evaluations)


def stored_scores(study: Study) -> list[tuple[pd.DataFrame, dict[str, float]]]:
    """Every confirmed run's stored test predictions, with the scores that it stored."""
    frame = study.predictions
    on_test = frame[frame.split == "test"]
    found = []
    for trial in study.record.trials:
        for each in trial.runs:
            if each.phase == "confirm" and each.result is not None and each.result.test is not None:
                kept = on_test[(on_test.trial == trial.number) & (on_test.run == each.seed_index)]
                found.append((kept, each.result.test))
    return found


def test_an_area_is_that_of_the_stored_probabilities_and_counts_rows_by_weight(run) -> None:  # type: ignore[no-untyped-def]
    study = run("roc_auc", weight="weight", weight_metric=True)
    assert_decided(study, lowest=False)
    weights = table(40, 2000).weight
    pairs = stored_scores(study)
    assert len(pairs) == 4
    for kept, scores in pairs:
        labels = (kept.label == "yes").to_numpy()
        probability = kept["probability.yes"].to_numpy(dtype=np.float64)
        area = sk.roc_auc_score(labels, probability, sample_weight=weights)
        assert scores["roc_auc"] == pytest.approx(area, rel=1e-12)
        brier = sk.brier_score_loss(labels, probability, sample_weight=weights)
        assert scores["brier"] == pytest.approx(brier, rel=1e-12)
        accuracy = sk.accuracy_score(kept.label, kept.predicted, sample_weight=weights)
        assert scores["accuracy"] == pytest.approx(accuracy, rel=1e-12)
    assert study.record.task.majority["test"]["roc_auc"] == 0.5


def test_a_log_loss_is_decided_on_folds(run) -> None:  # type: ignore[no-untyped-def]
    study = run("log_loss", folds="always")
    assert study.record.task.folds == 5
    assert_decided(study, lowest=True)
    shares = study.record.task.majority_probabilities
    assert shares == pytest.approx((53 / 80, 27 / 80))
    constant = next(row for row in study.report.leaderboard if row.method == "majority")
    assert constant.difference_to_best is not None
    assert constant.difference_to_best.low is not None


def test_an_error_in_units_of_its_own_is_decided_by_the_lowest(run) -> None:  # type: ignore[no-untyped-def]
    study = run("rmse", label="number")
    assert_decided(study, lowest=True)
    for kept, scores in stored_scores(study):
        error = sk.root_mean_squared_error(kept.label, kept.predicted)
        assert scores["rmse"] == pytest.approx(error, rel=1e-12)
    ablation = [row for row in study.report.ablation if row.layer is None]
    assert ablation
    for row in ablation:
        assert row.role in {None, "carries", "helps", "idle", "hurts"}

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_record import made_record
from thread_executor import train_in_process

import tiny
from unipelt_search import api
from unipelt_search.errors import DataError, MachineError
from unipelt_search.kinds import custom_metrics, pseudo_values, scores
from unipelt_search.kinds.custom_metrics import leave_out_by_score, reload_metrics
from unipelt_search.kinds.label_kind import Target, check_asked_metric, find_metric, metric_names
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.tasks.metrics import choose_metric, metrics_for, score_all, score_by

TWO = Target("classification", ("no", "yes"), positive=1)
COST = """
from unipelt_search.kinds.custom_metrics import CustomMetric

def cost(labels, predicted):
    return float((5 * (labels > predicted) + (labels < predicted)).mean())

METRIC = CustomMetric(score=cost, kinds=("classification",), direction="minimize", low=0.0, high=5.0, title="cost")
"""
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    """Install a package with one metric for a test; gives its folder."""
    folders = []

    def add(name: str = "cost", package: str = "cost-metric", source: str = COST, version: str = "1.0") -> Path:
        module = package.replace("-", "_")
        folder = tmp_path / package
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[unipelt_search.metrics]\n{name} = {module}:METRIC\n")
        sys.path.insert(0, str(folder))
        folders.append((folder, module))
        importlib.invalidate_caches()
        reload_metrics()
        return folder

    yield add
    for folder, module in folders:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        sys.modules.pop(module, None)
    importlib.invalidate_caches()
    reload_metrics()


def uninstall(folder: Path) -> None:
    """Take a package away."""
    sys.path.remove(str(folder))
    importlib.invalidate_caches()
    reload_metrics()


def test_a_metric_of_another_package_is_found_by_its_name(install: Install) -> None:
    assert "cost" not in metric_names()
    install()
    assert metric_names()[-1] == "cost"
    assert check_asked_metric("cost") == "cost"
    known = find_metric("cost")
    assert (known.title, known.sign, known.high, known.package) == ("cost", -1, 5.0, "cost-metric")
    assert metrics_for(TWO)[-1] == "cost"
    assert choose_metric("cost", "x", TWO) == ("cost", ())
    labels, predicted = np.array([1, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert score_by(TWO, "cost", labels, predicted) == 1.5
    # Only the study's own is computed: that of another package may be slow.
    assert "cost" not in score_all(TWO, labels, predicted)
    assert score_all(TWO, labels, predicted, metric="cost")["cost"] == 1.5
    with pytest.raises(DataError, match="cost does not fit regression"):
        choose_metric("cost", "x", Target("regression", ()))
    with pytest.raises(DataError, match="--weight-metric needs a metric that knows weights; cost of .* cost-metric"):
        choose_metric("cost", "x", TWO, weighted=True)


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("accuracy", COST, "must have a name of its own; got 'accuracy'"),
        ("Cost", COST, "lower-case letters"),
        ("cost", "METRIC = len", "must name a CustomMetric object; got builtin_function_or_method"),
        ("cost", "1 / 0", "must be loadable; got ZeroDivisionError"),
        ("cost", COST.replace('"minimize"', '"down"'), "maximize or minimize; got 'down'"),
        ("cost", COST.replace("high=5.0", "high=0.0"), "low is below its high"),
        ("cost", COST.replace('("classification",)', '"classification"'), "a tuple of kinds"),
        ("cost", COST.replace('("classification",)', '("classes",)'), "of classification, .*; got .'classes',."),
    ],
)
def test_what_is_no_metric_is_refused(install: Install, name: str, source: str, message: str) -> None:
    install(name, source=source)
    with pytest.raises(MachineError, match=message):
        metric_names()


def test_a_metric_of_probabilities_is_for_what_has_them(install: Install) -> None:
    declared = COST.replace("low=0.0", "needs_probabilities=True, low=0.0").replace(
        '("classification",)', '("classification", "regression")'
    )
    install(source=declared)
    assert "cost" in metrics_for(TWO)
    assert "cost" not in metrics_for(Target("regression", ()))


def test_ours_are_found_whatever_other_packages_have(install: Install) -> None:
    install(source="1 / 0")
    assert check_asked_metric("accuracy") == "accuracy"
    assert TWO.metric("accuracy").package == ""


def test_a_score_that_is_no_finite_number_is_named(install: Install) -> None:
    install(source=COST.replace(".mean()", ".mean() * float('nan')"))
    with pytest.raises(MachineError, match="'cost' of the package cost-metric must return a finite number .*got nan"):
        score_by(TWO, "cost", np.array([0, 1]), np.array([0, 1]))


def test_a_stored_study_needs_the_package_of_its_metric(install: Install) -> None:
    task = made_record().task.model_copy(
        update={"labels": TWO.labels, "metric": "cost", "metric_package": "cost-metric"}
    )
    with pytest.raises(MachineError, match="'cost' must be installed; .* 'cost-metric'"):
        task.find_metric()
    folder = install()
    assert task.find_metric().name == "cost"
    uninstall(folder)
    install(package="other-costs")
    with pytest.raises(MachineError, match="must be that of the package 'cost-metric'; .* 'other-costs'"):
        task.find_metric()


def test_rows_are_left_out_one_by_one() -> None:
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 3, 40), random.integers(0, 3, 40)
    expected = pseudo_values.macro_f1(labels, predicted)
    found = leave_out_by_score(scores.macro_f1)(labels, predicted, None)
    assert found[0] == expected[0]
    np.testing.assert_allclose(found[1], expected[1], atol=1e-12)
    weights = random.exponential(size=40)
    weighted = leave_out_by_score(scores.macro_f1)(labels, predicted, weights)
    np.testing.assert_allclose(weighted[1], pseudo_values.macro_f1(labels, predicted, weights)[1], atol=1e-12)


def test_groups_of_many_rows_show_the_same_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custom_metrics, "MOST_CALLS", 250)
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 2000)
    predicted = np.where(random.random(2000) < 0.8, labels, 1 - labels)
    calls = []

    def counted(labels: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
        calls.append(len(labels))
        return scores.binary_f1(labels, predicted, weights)

    split = partial(pseudo_values.pseudo_values, labels=labels, predicted=predicted[None])
    (grouped,) = split(leave_out_by_score(counted))
    (single,) = split(pseudo_values.binary_f1)
    assert len(calls) == 251
    assert grouped.mean() == pytest.approx(single.mean())
    assert grouped.var() == pytest.approx(single.var(), rel=0.2)


def test_a_study_is_compared_by_a_metric_of_another_package(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = install()
    train_in_process(monkeypatch)
    model = tmp_path / "model"
    tiny.tiny_model("bert", hidden_size=64).save_pretrained(model)
    tiny.tiny_tokenizer().save_pretrained(model)
    spec = StudySpec(
        name="toy",
        task=TaskSpec(data="reviews", text=("sentence",), label="label", metric="cost", allow_overlap=True),
        backbone=BackboneSpec(model=str(model)),
        space=SpaceSpec(methods=("head", "lora"), steps=4, evaluations=2),
        budget=BudgetSpec(trials=2, seeds=2),
        machine=MachineSpec(concurrency=1),
    )
    frames = {name: table(rows) for name, rows in (("train", 40), ("validation", 200), ("test", 40))}
    url = f"sqlite:///{tmp_path}/studies.db"
    study = api.run_study(spec, storage=url, frames=frames)
    assert (study.report.task.metric, study.report.task.direction) == ("cost", "minimize")
    assert study.record.task.metric_package == "cost-metric"
    assert study.record.software["cost-metric"] == "1.0"
    confirmed = [row for row in study.report.leaderboard if row.phase == "confirm"]
    means = [row.validation.mean for row in confirmed]
    assert means == sorted(means)
    assert all(row.validation.low is not None for row in confirmed)
    uninstall(folder)
    reopened = api.open_study("toy", storage=url)
    with pytest.raises(MachineError, match="must be installed"):
        _ = reopened.report
    with pytest.raises(MachineError, match="must be installed"):
        api.check_stored_plugins("toy", storage=url)


def table(rows: int) -> pd.DataFrame:
    """Make rows of two labels, of which one is rarer."""
    return pd.DataFrame({
        "sentence": [f"w{n % 3} w{n % 7} n{n}" for n in range(rows)],
        "label": ["yes" if n % 3 == 0 else "no" for n in range(rows)],
    })  # fmt: skip

"""A kind of task is two files: one is added here from outside, and a study runs with it, without a change elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from thread_executor import train_in_process

import tiny
import unipelt_search.kinds
import unipelt_search.training
from unipelt_search import api
from unipelt_search.errors import DataError
from unipelt_search.kinds.label_kind import find_metric, label_kinds
from unipelt_search.reporting.markdown import render_markdown
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.tasks.load import load_task

ADDED = Path(__file__).parent / "added"
STARS = [1, 2, 3, 5]


@pytest.fixture
def stars(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the two files where those of the package's own kinds are, as Python sees it."""
    for package in (unipelt_search.kinds, unipelt_search.training):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(ADDED)])
    label_kinds.cache_clear()
    yield
    label_kinds.cache_clear()
    for name in ("unipelt_search.kinds.stars_kind", "unipelt_search.training.stars_loss"):
        sys.modules.pop(name, None)


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    model = tmp_path / "model"
    tiny.tiny_model("bert", hidden_size=64).save_pretrained(model)
    tiny.tiny_tokenizer().save_pretrained(model)
    return StudySpec(
        name="toy",
        task=TaskSpec(data="reviews", text=("sentence",), label="stars", kind="stars"),
        backbone=BackboneSpec(model=str(model)),
        space=SpaceSpec(methods=("head", "unipelt_al"), steps=20, evaluations=2),
        budget=BudgetSpec(trials=2, seeds=2),
        machine=MachineSpec(concurrency=1),
    )


def table(rows: int) -> pd.DataFrame:
    """Make rows whose stars can be read off the words."""
    return pd.DataFrame({
        "sentence": [f"w{15 * (n % 4) + n % 7} w{15 * (n % 4) + n % 11} w{n % 60} n{n}" for n in range(rows)],
        "stars": [STARS[n % 4] for n in range(rows)],
    })  # fmt: skip


def test_a_kind_is_found_where_its_file_is(stars: None) -> None:
    assert list(label_kinds()) == ["classification", "regression", "multi_label", "stars"]
    assert find_metric("distance").direction == "minimize"
    task = TaskSpec(data="reviews", text=("sentence",), label="stars", kind="stars", metric="distance")
    assert task.kind == "stars"
    wrong = table(20).replace({"stars": {5: "five"}})
    with pytest.raises(DataError, match="must be a number of stars; got 'five' at row 4 of reviews"):
        load_task(task, 0, wrong)


def test_a_kind_is_unknown_without_its_file() -> None:
    with pytest.raises(ValueError, match="must be 'auto', 'classification', 'regression' or 'multi_label'"):
        TaskSpec(data="reviews", text=("sentence",), label="stars", kind="stars")


def test_a_study_with_an_added_kind_runs_reports_and_is_exported(
    stars: None, spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_in_process(monkeypatch)
    url = f"sqlite:///{tmp_path}/studies.db"
    frames = {"train": table(60), "validation": table(200), "test": table(40)}
    allowed = spec.model_copy(update={"task": spec.task.model_copy(update={"allow_overlap": True})})
    study = api.run_study(allowed, storage=url, out=tmp_path / "out", frames=frames)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    task = report["task"]
    assert (task["kind"], task["labels"]) == ("stars", ["1", "2", "3", "5"])
    assert (task["metric"], task["direction"]) == ("distance", "minimize")
    assert study.record.task.majority_answer == 1
    assert {row["label"] for row in report["gates"]} == {None, "1", "2", "3", "5"}

    confirmed = [run.result for trial in study.record.trials for run in trial.runs if run.phase == "confirm"]
    assert len(confirmed) == 4
    for result in confirmed:
        assert result is not None
        assert result.select is not None
        assert set(result.select) == {"distance", "accuracy"}
        # Lower is better: the best evaluation is the one with the least distance.
        assert result.tune == min(row.value for row in result.evaluations)

    means = [row["validation"]["mean"] for row in report["leaderboard"] if row["phase"] == "confirm"]
    assert means == sorted(means)
    assert report["verdict"]["method"] == report["leaderboard"][0]["method"]
    assert report["outcomes"]
    final = [row for row in report["gates"] if row["split"] == "select"]
    assert {row["runs"] for row in final} == {2}
    assert None not in {row["q50"] for row in final}, "both runs have kept their gates"
    assert {(row["method"], row["layer"]) for row in report["ablation"]} == {("unipelt_al", None)}
    assert "mean distance" in render_markdown(study.report)

    api.export_model("toy", tmp_path / "model-out", storage=url)
    found = api.load_model(tmp_path / "model-out").predict(["w1 w2 w3", "w46 w47 w48"])
    assert {prediction.label for prediction in found} <= {"1", "2", "3", "5"}
    assert "stars are counted while an output is above 0" in (tmp_path / "model-out" / "README.md").read_text()

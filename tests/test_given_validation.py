"""Whole studies of data with its own validation file: its rows decide, and the report says what that is worth."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from thread_executor import train_in_process

import tiny
from unipelt_search import Study, StudySpec, run_study

ROWS = {"train": 120, "validation": 80, "test": 40}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny model and splits that share no customer; what customers write says nothing of their label."""
    made = tmp_path_factory.mktemp("customers")
    tiny.tiny_model("bert").save_pretrained(made / "model")
    tiny.tiny_tokenizer().save_pretrained(made / "model")
    chance = random.Random(0)
    for split, count in ROWS.items():
        with (made / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["text", "label", "customer"])
            for number in range(count):
                words = " ".join(f"w{chance.randrange(60)}" for _ in range(5))
                label = "yes" if number // 4 % 2 else "no"
                table.writerow([f"{words} n{number}", label, f"{split} {number // 4}"])
    return made


def studied(folder: Path, patch: pytest.MonkeyPatch, **task: object) -> Study:
    """Run a small study of the folder."""
    begun = train_in_process(patch)
    spec = StudySpec.model_validate({
        "name": "customers",
        "task": {"data": str(folder), "text": ["text"], "label": "label", "group": "customer", **task},
        "backbone": {"model": str(folder / "model")},
        "space": {"methods": ["head", "bitfit"], "steps": 2, "evaluations": 1},
        "budget": {"trials": 2, "seeds": 2},
    })  # fmt: skip
    study = run_study(spec, storage=f"sqlite:///{folder}/{'-'.join(map(str, task.values())) or 'plain'}.db")
    assert begun
    return study


def test_all_rows_of_the_file_decide_in_its_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = studied(folder, monkeypatch)
    assert study.report.verdict.decided_on == "select"
    assert study.record.task.rows == {"train": 96, "validation": 80, "test": 40, "tune": 24, "select": 80}
    assert "Only 80 validation rows decide" in study.report.verdict.sentence
    assert "--folds always" in study.report.verdict.sentence
    assert {"tune_split_off", "few_deciding_rows"} <= set(study.report.notice_codes)
    predictions = study.predictions
    with (folder / "validation.csv").open(newline="", encoding="utf-8") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    select = predictions[predictions["split"] == "select"]
    for _, run in select.groupby(["method", "run"]):
        assert run["row"].tolist() == list(range(80))
        assert run["label"].tolist() == labels


def test_folds_that_are_asked_for_are_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = studied(folder, monkeypatch, folds="always")
    assert study.report.verdict.decided_on == "folds"
    assert study.record.task.rows["select"] == 200
    assert "Training and validation rows were assigned to folds together" in study.report.verdict.sentence
    assert "folds_asked" in study.report.notice_codes

"""Suites over real layers: a tiny random BERT, local copies of generated rows, a database on disk, no Ray."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest
from exported_study import save_toy
from thread_executor import train_in_process

from unipelt_search import api, suites
from unipelt_search.errors import NoUsableTrialError, RequestError, StudyNotFoundError
from unipelt_search.execution import executor
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import BudgetSpec
from unipelt_search.specs.suite import SuiteSpec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny model, and the local copies of two tasks; the test file of one is withheld."""
    made = tmp_path_factory.mktemp("suite")
    save_toy(made)
    draw = random.Random(0)
    for task in ("one", "two"):
        (made / task).mkdir()
        for split, rows in (("train", 120), ("validation", 40), ("test", 40)):
            with (made / task / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
                table = csv.writer(file)
                table.writerow(["sentence", "label"])
                for number in range(rows):
                    kind = number % 2
                    words = [f"w{30 * kind + draw.randrange(30)}" for _ in range(5)]
                    label = "-1" if (task, split) == ("two", "test") else f"kind {kind}"
                    table.writerow([" ".join([*words, f"{task}{split}{number}"]), label])
    return made


@pytest.fixture
def suite(folder: Path) -> SuiteSpec:
    hub = {"data": "o/n", "text": ["sentence"]}
    return SuiteSpec.model_validate({
        "name": "s", "backbone": {"model": str(folder / "model")}, "carve": 40, "redraw": True, "sizes": [12],
        "space": {"methods": ["head"], "steps": 2, "evaluations": 1}, "budget": {"trials": 1, "seeds": 2},
        "tasks": [
            {"name": "one", "label": "label", "hub": hub, "local": {**hub, "data": "one", "test": "validation"}},
            {"name": "two", "label": "label", "hub": hub, "local": {**hub, "data": "two", "note": "made up"}},
        ],
        "published": {"source": "a page", "backbone": "BERT", "scores": {12: {"head": {"one": 50, "two": 60}}}},
    })  # fmt: skip


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies.db"


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return train_in_process(monkeypatch)


def test_a_suite_runs_study_by_study_and_goes_on_where_it_was(
    suite: SuiteSpec, folder: Path, url: str, begun: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = suite.studies(folder)
    told: list[str] = []

    def stop(*given: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(executor, "drive", stop)
        assert not suites.run_suite(studies, storage=url, notify=told.append)
    assert told == ["[1 of 2] s-one-12 runs."]

    told.clear()
    assert suites.run_suite(studies[:1], storage=url, notify=told.append, out=tmp_path / "out")
    assert told[0] == "[1 of 1] s-one-12 runs."
    assert told[1].startswith("[1 of 1] s-one-12 is complete. ")
    assert (tmp_path / "out" / "s-one-12" / "report.html").is_file()
    assert len(begun) == 3

    told.clear()
    assert suites.run_suite(studies, storage=url, notify=told.append)
    assert told[0] == "[1 of 2] s-one-12 is complete already."
    assert [line.split(" is ")[0] for line in told[1:]] == ["[2 of 2] s-two-12 runs.", "[2 of 2] s-two-12"]
    assert len(begun) == 2 * 3
    record = api.open_study("s-two-12", storage=url).record
    assert record.task.rows == {"train": 12, "validation": 40, "test": 40, "tune": 20, "select": 20}
    assert Notice(code="resampled_training_rows", values={"rows": 12, "of": 80}) in record.task.notices

    shown = suites.suite_report(suite, storage=url)
    assert shown.startswith("**4 of 4 runs are confirmed.** Backbone ")
    assert "| method | one† | two† | average of 2 |" in shown
    assert "- two†: made up." in shown and "- one†: the original rows." in shown
    assert "### Missing" not in shown
    larger = suite.model_copy(update={"budget": BudgetSpec(trials=1, seeds=3)})
    assert suites.is_complete(studies[0], storage=url)
    assert not suites.is_complete(larger.studies(folder)[0], storage=url)
    assert suites.run_suite(larger.studies(folder)[:1], storage=url)
    assert len(begun) == 2 * 3 + 1  # only the third run
    assert "- s-two-12, complete: head 2 of 3 runs." in suites.suite_report(larger, storage=url)


def test_a_study_without_a_usable_trial_does_not_end_the_others(
    suite: SuiteSpec, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    told: list[str] = []

    def fail(spec: Any, **given: Any) -> None:
        asked.append(spec.name)
        raise NoUsableTrialError("None succeeded.")

    monkeypatch.setattr(suites, "run_study", fail)
    with pytest.raises(NoUsableTrialError, match="none have: s-one-12, s-two-12"):
        suites.run_suite(suite.studies(), storage=url, notify=told.append)
    assert asked == ["s-one-12", "s-two-12"]
    assert told[1] == "[1 of 2] s-one-12 failed. None succeeded."


def test_a_wrong_request_ends_a_suite(suite: SuiteSpec, url: str, folder: Path, begun: list[str]) -> None:
    spec = suite.model_copy(update={"carve": 400})
    with pytest.raises(RequestError, match="Splitting rows off must leave training rows"):
        suites.run_suite(spec.studies(folder), storage=url)
    assert begun == []
    with pytest.raises(StudyNotFoundError):
        suites.suite_report(suite, storage=url)

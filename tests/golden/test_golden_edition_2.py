"""Studies of edition 2 with a validation file go on, and report, under the split rule that they began with."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import chdir, closing
from pathlib import Path

import pytest
from golden.make_edition_2 import EDITION_2, STUDY, SUITE, asked
from golden.observed import TRAINED, differences, go_on, outcome_of, read, report_of, without_words

from unipelt_search import StudySpec, open_study
from unipelt_search.api import plan_study
from unipelt_search.specs.suite import SuiteSpec
from unipelt_search.suites import is_complete, suite_report


def unpacked(kind: str, folder: Path) -> Path:
    """Return a study's folder in another place, as it was left."""
    with tarfile.open(EDITION_2 / f"{kind}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def set_edition(folder: Path, edition: int) -> None:
    """Let the study be one of another edition; nothing that it trains differs between the first two."""
    with closing(sqlite3.connect(folder / "studies.db")) as connection:
        connection.execute("update ups_study set edition = ?", [edition])
        connection.commit()


@pytest.mark.parametrize(("kind", "edition"), [("killed", 2), ("killed", 1), ("suite", 2)])
def test_a_killed_study_goes_on_with_its_folds(kind: str, edition: int, tmp_path: Path) -> None:
    folder = unpacked(kind, tmp_path)
    set_edition(folder, edition)
    kept = read(EDITION_2 / f"{kind}.json.gz")
    begun = go_on(folder)
    found = {"begun": begun, **outcome_of(folder / "studies.db")}
    kept["outcome"]["study"]["edition"] = kept["report"]["study"]["edition"] = edition
    # A study of edition 1 says of which edition its adapters are; these have none.
    assert differences(kept["outcome"], found, TRAINED) == []
    assert differences(without_words(kept["report"]), report_of(folder / "out" / "report.json"), TRAINED) == []
    assert kept["report"]["verdict"]["decided_on"] == "folds"
    assert {run["fold"] for trial in found["trials"] for run in trial["runs"]} == set(range(6))


@pytest.mark.parametrize(("kind", "decided"), [("complete", "folds"), ("halved", "select")])
def test_a_complete_study_is_complete_and_grows_under_its_rule(kind: str, decided: str, tmp_path: Path) -> None:
    folder = unpacked(kind, tmp_path)
    kept = read(EDITION_2 / f"{kind}.json.gz")
    assert go_on(folder) == []
    assert differences(without_words(kept["before"]), report_of(folder / "out" / "report.json"), TRAINED) == []
    (folder / "study.json").write_text(
        StudySpec.model_validate({**STUDY, "budget": {"trials": 2, "seeds": 2}}).model_dump_json()
    )
    begun = go_on(folder)
    found = {"begun": begun, **outcome_of(folder / "studies.db")}
    assert differences(kept["outcome"], found, TRAINED) == []
    assert differences(without_words(kept["report"]), report_of(folder / "out" / "report.json"), TRAINED) == []
    assert kept["report"]["verdict"]["decided_on"] == decided


def test_a_suite_of_edition_2_is_still_the_same_suite(tmp_path: Path) -> None:
    folder = unpacked("suite", tmp_path)
    url = f"sqlite:///{folder}/studies.db"
    suite = SuiteSpec.model_validate(SUITE)
    assert asked("suite").task.validation == "shared"
    with chdir(folder):
        assert not is_complete(asked("suite"), storage=url)
        go_on(folder)
        assert is_complete(asked("suite"), storage=url)
        assert open_study("small-toy-32", storage=url).record.edition == 2
        assert "toy" in suite_report(suite, storage=url)


def test_a_new_study_of_the_same_data_is_decided_by_the_validation_file(tmp_path: Path) -> None:
    folder = unpacked("complete", tmp_path)
    new = StudySpec.model_validate({**STUDY, "name": "new"})
    with chdir(folder):
        plan = plan_study(new, storage=f"sqlite:///{folder}/studies.db")
        again = plan_study(asked("complete"), storage=f"sqlite:///{folder}/studies.db")
    assert plan.task.rows == {"train": 40, "validation": 40, "test": 20, "tune": 20, "select": 40}
    assert (plan.task.folds, plan.task.validation_decides) == (0, True)
    assert (again.task.folds, again.task.rows["select"]) == (5, 100)

"""A study that release 0.1.0 left behind when it was killed goes on from the kept state, to the same end."""

from __future__ import annotations

import json
import re
import sqlite3
import tarfile
from contextlib import chdir, closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from golden.make_edition_1 import exported
from golden.observed import (
    KILLED,
    TRAINED,
    command,
    differences,
    go_on,
    outcome_of,
    read,
    report_of,
    without_pooled_quantiles,
    without_words,
)
from rich.console import Console

from unipelt_search import open_study
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.reporting.markdown import render_markdown
from unipelt_search.reporting.page import render_html
from unipelt_search.reporting.terminal import render_terminal
from unipelt_search.specs.adapter_input import adapter_input


@pytest.fixture
def folder(kill: str, tmp_path: Path) -> Path:
    """The killed study's folder in another place, as the kill left it."""
    with tarfile.open(KILLED / f"{kill}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def newest_state(folder: Path) -> dict[str, Any]:
    """Return what the newest kept checkpoint says of the run that was trained."""
    manifest = max(folder.glob("out/checkpoints/running/*/*/manifest.json"), key=lambda path: path.parent.name)
    return dict(json.loads(manifest.read_text())["manifest"])


def told_steps(events: list[str]) -> list[int]:
    """Return the steps of the evaluations that were told of."""
    return [int(found[1]) for event in events if (found := re.search(r"at step (\d+)", event))]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kill", ["search", "confirm", "adapters"])
def test_a_killed_study_goes_on_to_the_same_end(kill: str, folder: Path) -> None:
    assert (folder / "studies.db-wal").stat().st_size > 0, "the last writes are in the write-ahead log only"
    before = newest_state(folder)
    assert 0 < before["state"]["step"] < 10, "the kill was in the middle of the run"
    events: list[str] = []
    begun = go_on(folder, watch=lambda progress: events.append(progress.event))
    kept = read(KILLED / f"{kill}.json.gz")
    found = {"begun": begun, **outcome_of(folder / "studies.db")}
    differing = differences(kept["outcome"], found, TRAINED)
    # Nothing was ever written to this column, and it is gone since schema 0004.
    assert [line for line in differing if not line.endswith(".data_seed: is gone")] == []
    report = without_pooled_quantiles(without_words(kept["report"]))
    assert differences(report, report_of(folder / "out" / "report.json"), TRAINED) == []
    # The run began after the state that was kept, and the evaluations before it have the times of the killed process.
    assert told_steps(events)[0] > before["state"]["step"]
    with closing(sqlite3.connect(folder / "studies.db")) as connection:
        query = "select step, value, seconds from ups_evaluation where run_id = ? order by step"
        rows = connection.execute(query, [before["run"]]).fetchall()
        (attempts,) = connection.execute("select attempt from ups_run where id = ?", [before["run"]]).fetchone()
    done = [(row["step"], row["value"], row["seconds"]) for row in before["state"]["evaluations"]]
    assert rows[: len(done)] == done
    assert len(rows) > len(done)
    assert attempts == before["attempt"] + 1
    assert not (folder / "out" / "checkpoints" / "running").exists()
    if kill == "adapters":
        _check_edition_1(folder, kept["models"])


def _check_edition_1(folder: Path, models: dict[str, Any]) -> None:
    """Check that the study's adapters are those of its edition: settings, report and exported models."""
    url = f"sqlite:///{folder}/studies.db"
    study = open_study("adapters", storage=url)
    tuned = [trial.spec for trial in study.record.trials if trial.origin == "tpe"]
    published = [trial.spec for trial in study.record.trials if trial.origin == "published"]
    assert {spec.part("adapter", AdapterSpec) for spec in published} == {AdapterSpec()}
    assert {adapter_input(spec) for spec in tuned} == {"feed_forward"}
    report = study.report
    assert report.study.edition == 1
    trained = [row for row in report.leaderboard if row.trial is not None]
    assert {row.adapter_input for row in trained} == {"feed_forward"}
    (number,) = [number for number, code in enumerate(report.notice_codes) if code == "feed_forward_adapter"]
    for row in trained:
        assert row.name in report.notices[number]
    console = Console(file=StringIO(), width=120)
    render_terminal(report, console)
    for text in (console.file.getvalue(), render_markdown(report), render_html(report)):
        assert "not the published input" in " ".join(text.split())
    assert differences(models, exported(folder), TRAINED) == []
    card = (folder / "of-adapter" / "README.md").read_text()
    assert "| Adapter | reads the feed-forward network's output; the published adapter reads" in card
    # The same words as in the study file that it began with are still the same question.
    begun = go_on(folder)
    assert begun == []
    with chdir(folder):
        printed = command("resume", "adapters", "--storage", url, "--out", str(folder / "out"), "--json")
    assert (printed["code"], json.loads(printed["out"])["study"]["edition"]) == (0, 1)

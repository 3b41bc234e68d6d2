from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

import unipelt_search
from unipelt_search.cli.app import main
from unipelt_search.methods.catalogue import METHODS, TRAINED_METHODS
from unipelt_search.methods.search_space import hyperparameters
from unipelt_search.records.history import StudyLine, StudyState
from unipelt_search.records.report import GatesOfRuns, StudyReport


def test_a_report_goes_to_stdout_or_to_a_file(
    stored_report: StudyReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "here", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert StudyReport.model_validate(json.loads(out)) == stored_report
    assert err == ""
    path = tmp_path / "report.json"
    assert main(["report", "here", "--format", "json", "--out", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == out
    assert capsys.readouterr() == ("", f"Wrote {path}\n")


@pytest.mark.parametrize("command", ["report", "gates"])
def test_an_unknown_study_is_a_wrong_request(
    stored_report: StudyReport, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "absent"]) == 2
    assert capsys.readouterr() == ("", "unipelt-search: No study is named 'absent'.\n")


def test_gates_are_the_same_rows_in_every_form(stored_report: StudyReport, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gates", "here", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["mean"]) for row in rows] == [0.61, 0.41]
    assert main(["gates", "here", "--trial", "5", "--format", "json"]) == 0
    assert [row["mean"] for row in json.loads(capsys.readouterr().out)] == [0.61, 0.41]
    assert main(["gates", "here"]) == 0
    assert "0.61" in capsys.readouterr().out


def test_studies_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        StudyLine(
            name="reviews-1", state=StudyState.STOPPED, phase="tune", created=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
            backbone="minilm", task="reviews", trials=12,
        )
    ]  # fmt: skip
    monkeypatch.setattr(unipelt_search, "api", SimpleNamespace(list_studies=lambda *, storage: lines), raising=False)
    assert main(["studies"]) == 0
    out, err = capsys.readouterr()
    assert "reviews-1  stopped  tune" in out
    assert "12" in out
    assert err == ""


def test_no_study_is_no_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(unipelt_search, "api", SimpleNamespace(list_studies=lambda *, storage: []), raising=False)
    assert main(["studies"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "sqlite:///studies/studies.db" in err


def test_every_method_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    listed, rates, space = (part.splitlines()[1:] for part in capsys.readouterr().out.rstrip("\n").split("\n\n"))
    assert [line.split()[0] for line in listed if not line.startswith(" ")] == list(METHODS)
    assert [line.split()[0] for line in rates] == list(TRAINED_METHODS)
    assert [line.split()[0] for line in space if not line.startswith(" ")] == [h.name for h in hyperparameters()]


def test_the_space_is_listed_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [method["name"] for method in listed["methods"]] == list(METHODS)
    space = {row["name"]: row for row in listed["hyperparameters"]}
    rank = space["lora.rank"]
    assert (rank["published"], rank["low"], rank["high"], rank["kind"]) == (8, 2, 64, "whole")
    assert rank["methods"] == ["lora", "unipelt_al", "unipelt_pl", "unipelt_apl"]
    assert space["lora.alpha"]["condition"] == "methods with lora, unless gate.lora is replace"


def test_gates_of_runs_that_disagree_look_like_that_in_every_form(
    stored_report: StudyReport, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = GatesOfRuns(run=(1, 2), mean=(0.45, 0.56), q50=(0.44, 0.57), q05=(0.42, 0.53), q95=(0.48, 0.59))
    apart = {"runs": 2, "agrees": False, "between_sd": 0.08, "per_run": runs, "mean": 0.505, "q50": None}
    rows = tuple(row.model_copy(update=apart) for row in stored_report.gates)
    report = stored_report.model_copy(update={"gates": rows})
    monkeypatch.setattr("unipelt_search.api.open_study", lambda name, *, storage: SimpleNamespace(report=report))
    assert main(["gates", "here"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "0.45 ≠ 0.56" in out
    assert "0.51" not in out
    assert "closed in another (0.44)" in out
    assert main(["gates", "here", "--format", "json"]) == 0
    (first, *_) = json.loads(capsys.readouterr().out)
    assert (first["q50"], first["agrees"], first["run_q50"], first["run_q05"]) == (
        None, False, [0.44, 0.57], [0.42, 0.53],
    )  # fmt: skip
    assert main(["gates", "here", "--format", "csv"]) == 0
    (line, *_) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (line["agrees"], json.loads(line["run_mean"])) == ("False", [0.45, 0.56])

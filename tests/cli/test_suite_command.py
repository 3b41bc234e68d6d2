from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from made_suite import made_suite

import unipelt_search
from unipelt_search import suites as real
from unipelt_search.cli.app import main
from unipelt_search.errors import DataError, NoUsableTrialError
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.study_plan import StudyPlan
from unipelt_search.records.study_stage import OnStage, unheard
from unipelt_search.reporting.suite_tables import BEGIN, END
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.suite import SuiteSpec


class FakeSuites:
    """Remembers what it is asked, and does as told."""

    def __init__(self) -> None:
        self.asked: list[SimpleNamespace] = []
        self.reported: list[list[str]] = []
        self.finished = True
        self.complete: list[str] = []
        self.error: BaseException | None = None

    def run_suite(
        self,
        studies: Sequence[StudySpec],
        *,
        storage: str | None = None,
        out: Path | None = None,
        command: str = "",
        watch: Callable[[Any], None] | None = None,
        notify: Callable[[str], None] | None = None,
        on_stage: OnStage = unheard,
    ) -> bool:
        self.asked.append(SimpleNamespace(studies=studies, storage=storage, out=out, command=command))
        assert notify is not None
        notify("[1 of 2] two-films-20 runs.")
        if self.error is not None:
            raise self.error
        return self.finished

    def is_complete(self, spec: StudySpec, *, storage: str | None = None) -> bool:
        return spec.name in self.complete

    def suite_report(self, suite: SuiteSpec, *, storage: str | None = None) -> str:
        self.reported.append([study.name for study in suite.studies()])
        return "the tables\n"


@pytest.fixture
def suites(monkeypatch: pytest.MonkeyPatch) -> FakeSuites:
    fake = FakeSuites()
    monkeypatch.setattr(unipelt_search, "suites", fake, raising=False)
    monkeypatch.setattr(sys, "argv", ["unipelt-search", "suite", "s.yaml", "--storage", "postgresql://me:secret@h/d"])
    return fake


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copies" / "films-copy").mkdir(parents=True)
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(made_suite().model_dump(mode="json")), encoding="utf-8")
    return "s.yaml"


def test_the_fake_is_called_as_the_real_one_would_be() -> None:
    for name in ("run_suite", "is_complete", "suite_report"):
        ours = list(inspect.signature(getattr(FakeSuites, name)).parameters)[1:]
        assert ours == list(inspect.signature(getattr(real, name)).parameters), name


def test_the_options_choose_the_studies(suites: FakeSuites, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suite", file, "--tasks", "films", "--sizes", "100, 20", "--data-root", "copies", "--out", "o",
                 "--concurrency", "3", "--storage", "sqlite:///x.db"]) == 0  # fmt: skip
    (asked,) = suites.asked
    assert [study.name for study in asked.studies] == ["two-films-20", "two-films-100"]
    assert {study.task.data for study in asked.studies} == {"copies/films-copy"}
    assert {study.machine.concurrency for study in asked.studies} == {3}
    assert (asked.out, asked.storage) == (Path("o"), "sqlite:///x.db")
    assert suites.reported == [["two-films-20", "two-films-100"]]
    assert capsys.readouterr() == ("the tables\n", "[1 of 2] two-films-20 runs.\n")


def test_quiet_shows_the_tables_alone(suites: FakeSuites, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["suite", file, "--quiet"]) == 0
    assert len(suites.asked[0].studies) == 4
    assert capsys.readouterr() == ("the tables\n", "")


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_an_interrupted_suite_says_how_to_go_on(
    suites: FakeSuites, file: str, capsys: pytest.CaptureFixture[str], error: BaseException | None
) -> None:
    suites.finished, suites.error = False, error
    assert main(["suite", file]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == (
        "Interrupted. Go on with: unipelt-search suite s.yaml --storage postgresql://me:***@h/d"
    )
    assert "secret" not in suites.asked[0].command


def test_failed_studies_are_told_below_the_tables(
    suites: FakeSuites, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suites.error = NoUsableTrialError("none have: two-films-20.")
    assert main(["suite", file, "--quiet"]) == 3
    assert capsys.readouterr() == ("the tables\n", "unipelt-search: none have: two-films-20.\n")
    suites.error = DataError("The data cannot be read.")
    assert main(["suite", file, "--quiet"]) == 2
    assert capsys.readouterr() == ("", "unipelt-search: The data cannot be read.\n")


def test_the_report_goes_into_a_page_and_nothing_is_run(
    suites: FakeSuites, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path("page.md")
    page.write_text(f"é before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    assert main(["suite", file, "--report", "page.md", "--sizes", "20"]) == 0
    assert page.read_text(encoding="utf-8") == f"é before\n{BEGIN}\n\nthe tables\n\n{END}\nafter\n"
    assert (suites.asked, suites.reported) == ([], [["two-films-20", "two-pairs-20"]])
    assert capsys.readouterr() == ("", "Wrote page.md\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tasks", "flims"], "Did you mean 'films'?"),
        (["--sizes", "50"], "got 50"),
        (["--sizes", "many"], "'many'"),
        (["--data-root", "nowhere"], "films (films-copy), pairs"),
        (["--data-root", "copies"], "pairs"),
        (["--concurrency", "0"], "--concurrency: "),
        (["--report", "absent.md"], "'absent.md'"),
        (["--report", "s.yaml"], "<!-- results -->"),
        (["--report", "s.yaml", "--dry-run"], "--dry-run"),
    ],
)
def test_a_wrong_request_is_a_short_message(
    suites: FakeSuites, file: str, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    before = Path(file).read_text(encoding="utf-8")
    assert main(["suite", file, *words]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, len(err.splitlines()), suites.asked) == ("", 1, [])
    assert Path(file).read_text(encoding="utf-8") == before


def test_a_plan_has_a_line_for_every_study(
    suites: FakeSuites, monkeypatch: pytest.MonkeyPatch, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(spec: StudySpec, *, storage: str | None = None) -> StudyPlan:
        rows = {"train": 20, "tune": 5, "select": 5, "test": 9, "validation": 10}
        task = TaskSummary(
            name="t", kind="classification", labels=("a", "b"), rows=rows, metric="accuracy", direction="maximize",
            hidden_size=384, fingerprint="0" * 16, majority={}, notices=("The same note.",),
        )  # fmt: skip
        return StudyPlan(
            study=spec.name, task=task, backbone="m", device="cpu", workers=1, steps=9, batch_size=16, methods=(),
            tune_trials=0, confirm_runs=8, runs=12, seconds=70, left_out=(), notices=(f"A note on {spec.task.data}.",),
        )  # fmt: skip

    suites.complete = ["two-films-20"]
    monkeypatch.setattr(unipelt_search, "api", SimpleNamespace(plan_study=plan), raising=False)
    assert main(["suite", file, "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "two-films-20: complete already",
        "two-pairs-20: 20 train, 5 tune, 5 select, 9 test rows; 12 runs, about 1 min 10 s",
        "two-films-100: 20 train, 5 tune, 5 select, 9 test rows; 12 runs, about 1 min 10 s",
        "two-pairs-100: 20 train, 5 tune, 5 select, 9 test rows; 12 runs, about 1 min 10 s",
        "Note: The same note.",
        "Note: A note on o/pairs:all.",
        "Note: A note on o/films.",
        "About 3 min 30 s in all. Nothing was started or written.",
    ]

"""The longest name of ours, a set of all six submodules, wherever methods are written."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from editions import EDITION_1
from made_record import made_record, made_result, made_trial
from made_suite import made_study, made_suite
from rich.console import Console, RenderableType

import unipelt_search
from unipelt_search.cli.app import main
from unipelt_search.cli.live_view import event_line, live_picture
from unipelt_search.cli.plan_view import print_plan
from unipelt_search.event_log import log_events
from unipelt_search.methods.catalogue import MAX_NAME_LENGTH, find_method
from unipelt_search.records.history import DroppedMethod
from unipelt_search.records.progress import BestTrial, StudyProgress
from unipelt_search.records.study_plan import PlannedMethod, StudyPlan
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.figures import scatter
from unipelt_search.reporting.heat_maps import gated_trials
from unipelt_search.reporting.markdown import render_markdown
from unipelt_search.reporting.page import render_html
from unipelt_search.reporting.suite_tables import render_suite
from unipelt_search.reporting.terminal import render_terminal
from unipelt_search.search.space import suggest
from unipelt_search.specs.study import SpaceSpec, StudySpec
from unipelt_search.specs.variants import pruned_name
from unipelt_search.storage.store import StudyStore
from unipelt_search.storage.tables import TrialRow
from unipelt_search.verdict.suite_scores import gated_methods, suite_scores

SIX = "unipelt[adapter,parallel_adapter,prefix,lora,bitfit,ia3]"
LETTER = 7.2
TWO = "unipelt[lora,bitfit]"
RECORD = made_record(
    made_trial(0, "head", 0.66, {1: 0.65, 2: 0.66, 3: 0.67}),
    made_trial(1, SIX, 0.8, {1: 0.88, 2: 0.89, 3: 0.87}),
    made_trial(2, "lora", 0.8, {1: 0.85, 2: 0.86, 3: 0.87}),
    made_trial(3, TWO, 0.7),
)
REPORT = build_report(RECORD)


def printed(show: Callable[[Console], object], width: int) -> str:
    stream = io.StringIO()
    show(Console(file=stream, width=width))
    return stream.getvalue()


def joined(text: str) -> str:
    """Undo the folding of long cells."""
    return "".join(text.split())


def test_the_name_fits_its_columns() -> None:
    assert find_method(SIX).name == SIX
    assert len(SIX) <= MAX_NAME_LENGTH == TrialRow.__table__.c.method.type.length
    assert len(pruned_name("x" * MAX_NAME_LENGTH)) <= TrialRow.__table__.c.variant.type.length


def test_a_verdict_names_it() -> None:
    assert REPORT.verdict.method == SIX
    assert [row.method for row in REPORT.leaderboard][:2] == [SIX, "lora"]
    assert [trial.name for trial in gated_trials(REPORT)] == [SIX]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_terminal_shows_whole_names_and_numbers(width: int) -> None:
    text = printed(lambda console: render_terminal(REPORT, console), width)
    leaderboard = text[text.index("ms/ex") : text.index("The bar")]
    first_cells = "".join(re.findall(r"^ (\S+)", leaderboard, flags=re.MULTILINE))
    assert SIX in first_cells
    assert TWO in first_cells
    for number in ("0.880 ± 0.043", "0.900", "22M", "−0.020 ± 0.023", "0.700 (tune)"):
        assert number in leaderboard
    assert "…" not in text
    assert f"Gatesof{SIX},trial1" in joined(text)


def test_a_page_and_a_text_have_whole_names() -> None:
    page = render_html(REPORT)
    assert f">{SIX}" in page
    identifiers = re.findall(r'\bid="([^"]*)"', page)
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch(r"[\w-]+", identifier) for identifier in identifiers)
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(identifiers)
    assert SIX in render_markdown(REPORT).replace("\\", "")


@pytest.mark.parametrize("width", [360, 640])
def test_a_figures_label_stays_inside(width: int) -> None:
    chart = scatter(REPORT, "stored_parameters", width, 240)
    assert chart is not None
    (point,) = [point for point in chart.points if point.method == SIX]
    length = len(point.label) * LETTER
    left = {"start": point.label_x, "end": point.label_x - length, "middle": point.label_x - length / 2}[point.anchor]
    assert left >= -4
    assert left + length <= width + 24
    assert point.label.startswith("unipelt[adapter")
    assert point.title.startswith(SIX)


def test_progress_shows_whole_names() -> None:
    progress = StudyProgress(
        study="s", metric="accuracy", phase="tune", trials_done=1, trials_asked=2, runs_done=1, runs_asked=2,
        running=(f"trial 1 {SIX} (tune)",),
        standings=(BestTrial(method=SIX, trial=1, phase="confirm", runs=2, score=0.8125),
                   BestTrial(method=TWO, trial=0, phase="screen", runs=0, score=0.7)),
        seconds_elapsed=1, seconds_left=None, event=f"trial 1 {SIX} (tune) scored 0.8",
    )  # fmt: skip
    picture: RenderableType = live_picture(progress)
    for width in (60, 80, 140):
        text = printed(lambda console: console.print(picture), width)
        assert "confirm" in text
        assert "0.812" in text
        first_cells = "".join(re.findall(r"^(\S+)", text, flags=re.MULTILINE))
        assert SIX in first_cells
        assert TWO in first_cells
    assert SIX in event_line(progress)


def test_events_are_logged_with_whole_names(tmp_path: Path) -> None:
    progress = StudyProgress(
        study="s", metric="accuracy", phase="tune", trials_done=1, trials_asked=2, runs_done=1, runs_asked=2,
        running=(), standings=(), seconds_elapsed=1, seconds_left=None, event=f"trial 1 {SIX} (tune) scored 0.8",
    )  # fmt: skip
    log_events(tmp_path, None)(progress)
    assert SIX in json.loads((tmp_path / "events.jsonl").read_text())["event"]


def test_a_plan_shows_whole_names() -> None:
    method = PlannedMethod(
        method=SIX, screen_trials=2, trained_parameters=76_038, stored_parameters=76_039, run_seconds=75,
        confirm_seconds=240,
    )  # fmt: skip
    plan = StudyPlan(
        study="q", task=RECORD.task, backbone="m", device="cpu", workers=1, steps=1, batch_size=1, methods=(method,),
        tune_trials=0, confirm_runs=0, runs=0, seconds=0, notices=(),
        left_out=(DroppedMethod(method=TWO, phase="screen", reason="It cannot attach."),),
    )  # fmt: skip
    for width in (80, 140):
        text = printed(lambda console: print_plan(plan, console), width)
        assert SIX in "".join(re.findall(r"^ (\S+)", text, flags=re.MULTILINE))
        assert "76k" in text
        assert f"Left out: {TWO}." in text


def test_a_suite_has_whole_names() -> None:
    suite = made_suite(space={"methods": ("lora", TWO)}, published=None)
    assert gated_methods(suite) == {TWO: ("lora",)}
    task, size = suite.tasks[0].name, suite.sizes[0]
    study = made_study(suite, task, size, {"lora": (0.7, 0.71), TWO: (0.8, 0.81)})
    assert TWO in render_suite(suite_scores(suite, [study])).replace("\\", "")


def test_the_database_and_optuna_have_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    spec = RECORD.spec.model_copy(update={"space": SpaceSpec(methods=(SIX, "lora"))})
    trial = RECORD.trials[1].spec
    with closing(StudyStore.open(url)) as store:
        study = store.studies.create(spec, RECORD.task, {}, "")
        for given in (trial, RECORD.trials[2].spec):
            run = store.runs.add_trial(study, given, "screen", "published")
            attempt = store.attempts.start(run.id, "me")
            store.runs.finish(run.id, attempt, made_result(given.method, 0.5, confirm=False))
        loaded = store.studies.load(spec.name)
    assert [made.spec.method for made in loaded.trials] == [SIX, "lora"]
    assert loaded.trials[0].spec == trial
    first, second = optuna.load_study(study_name=spec.name, storage=url).trials
    assert first.user_attrs["method"] == SIX
    assert "method" not in first.params
    assert first.params["lora.rank"] == 8
    assert second.params["method"] == "lora"


def test_it_is_searched() -> None:
    space = SpaceSpec(methods=(SIX,), steps=10)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    spec = suggest(trial, SIX, space, 100, EDITION_1)
    assert set(spec.parts) == {"lora", "adapter", "parallel_adapter", "prefix", "gate"}
    assert {"gate.lora", "gate.prefix", "lora.rank", "prefix.length"} <= set(trial.params)


def test_a_command_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[StudySpec] = []

    def plan_study(spec: StudySpec, **_: object) -> StudyPlan:
        asked.append(spec)
        raise KeyboardInterrupt

    fake = SimpleNamespace(plan_study=plan_study, check_stored_plugins=lambda name, storage=None: None)
    monkeypatch.setattr(unipelt_search, "api", fake, raising=False)
    words = ["run", "--name", "n", "--data", "d.csv", "--text", "t", "--label", "l", "--model", "m", "--dry-run"]
    main([*words, "--methods", f"lora, {SIX},unipelt[ lora , adapter ],head"])
    assert asked[0].space.methods == ("lora", SIX, "unipelt_al", "head")
    assert main([*words, "--methods", "unipelt_al,unipelt[lora,adapter]"]) == 2

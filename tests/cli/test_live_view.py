from __future__ import annotations

import io
import json
from typing import get_args

import pytest
from rich.console import Console

from unipelt_search.cli.live_view import event_line, live_picture, stage_line, stage_lines, watch_study
from unipelt_search.records.finding import Finding
from unipelt_search.records.notice import Notice
from unipelt_search.records.progress import BestTrial, StudyProgress
from unipelt_search.records.study_stage import StageName, StudyStage

PROGRESS = StudyProgress(
    study="reviews-1",
    metric="accuracy",
    phase="tune",
    trials_done=9,
    trials_asked=14,
    runs_done=9,
    runs_asked=20,
    running=("trial 9 lora (tune)",),
    standings=(
        BestTrial(method="adapter", trial=3, phase="confirm", runs=2, score=0.8125),
        BestTrial(method="head", trial=0, phase="screen", runs=0, score=0.7),
    ),
    seconds_elapsed=200,
    seconds_left=7500,
    event="trial 8 lora [tune] scored 0.81",
)


def shown(*, terminal: bool = False, quiet: bool = False, as_json: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=40, _environ={"TERM": "xterm"})
    with watch_study(console, quiet=quiet, as_json=as_json) as watch:
        watch(PROGRESS)
    return stream.getvalue()


def test_without_a_terminal_an_event_is_one_unwrapped_line() -> None:
    assert shown() == event_line(PROGRESS) + "\n"
    assert event_line(PROGRESS) == ("[3 min 20 s] tune, trials 9 of 14, runs 9 of 20: trial 8 lora [tune] scored 0.81")


def test_json_is_one_snapshot_per_line() -> None:
    assert StudyProgress.model_validate(json.loads(shown(as_json=True, terminal=True))) == PROGRESS


def test_quiet_shows_nothing() -> None:
    assert shown(quiet=True, terminal=True) == ""


def test_a_terminal_shows_the_live_picture() -> None:
    text = shown(terminal=True)
    assert "reviews-1" in text
    assert "\x1b" in text


def test_the_picture_has_progress_leaderboard_time_and_work() -> None:
    stream = io.StringIO()
    Console(file=stream, width=100).print(live_picture(PROGRESS))
    text = stream.getvalue()
    for words in ("trials 9 of 14", "3 min 20 s, about 2 h 05 min left", "running: trial 9 lora (tune)", "accuracy"):
        assert words in text
    assert " 3 min 20 s" in next(line for line in text.splitlines() if "━" in line)  # apart from the bar
    rows = [line.split() for line in text.splitlines() if line.startswith(("adapter", "head"))]
    assert rows == [["adapter", "3", "confirm", "2", "0.812"], ["head", "0", "screen", "0.700"]]


def test_the_picture_needs_neither_standings_nor_an_estimate() -> None:
    stream = io.StringIO()
    early = PROGRESS.model_copy(update={"standings": (), "seconds_left": None, "running": (), "runs_asked": 0})
    Console(file=stream, width=100).print(live_picture(early))
    assert "left" not in stream.getvalue()


FINDING = Finding(
    code="empty_text", severity="warning", source="a.csv", unit="line", numbers=(3,), count=1, column="t",
    rule="Texts must not be empty", what="is empty", fix="Fill it in.",
)  # fmt: skip
STAGE = StudyStage(name="time", subject="unipelt[lora,ia3]", number=3, of=7)


def told(stage: StudyStage = STAGE, *, quiet: bool = False, as_json: bool = False) -> str:
    stream = io.StringIO()
    stage_lines(Console(file=stream, width=20), quiet=quiet, as_json=as_json)(stage)
    return stream.getvalue()


def test_a_stage_is_one_unwrapped_line_with_its_time() -> None:
    assert told() == "[0 s] timing unipelt[lora,ia3], method 3 of 7\n"


def test_quiet_and_json_tell_of_no_stage() -> None:
    assert told(quiet=True) == ""
    assert told(as_json=True) == ""


def test_how_the_data_was_read_is_told_before_the_model_is_loaded() -> None:
    fact = Notice(code="legacy", severity="fact", values={"sentence": "Read 9 rows."})
    first, second = told(StudyStage(name="load", subject="minilm", data=(fact,))).splitlines()
    assert (first, second) == ("Data: Read 9 rows.", "[0 s] loading minilm")
    stage = StudyStage(name="load", subject="minilm", data=(fact,), findings=8 * (FINDING,))
    *lines, last = told(stage).splitlines()
    assert lines[1:6] == 5 * [f"Data: {FINDING.line}"]
    assert lines[6].startswith("Data: 3 more findings")
    stream = io.StringIO()
    stage_lines(Console(file=stream), quiet=False, as_json=False, with_data=False)(stage)
    assert stream.getvalue().splitlines() == [last]


@pytest.mark.parametrize("name", get_args(StageName))
def test_every_stage_has_words_that_name_what_it_is_about(name: StageName) -> None:
    line = stage_line(StudyStage(name=name, subject="{x}", number=1200, of=7))
    assert "{x}" in line or name in {"request", "encode", "workers"}


def test_a_line_above_the_live_picture_does_not_disturb_it() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=60, _environ={"TERM": "xterm"})
    tell = stage_lines(console, quiet=False, as_json=False)
    with watch_study(console, quiet=False, as_json=False) as watch:
        watch(PROGRESS)
        tell(STAGE)
    assert any(line.endswith("timing unipelt[lora,ia3], method 3 of 7") for line in stream.getvalue().splitlines())

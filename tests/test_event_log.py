from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from unipelt_search.event_log import FILE, log_events
from unipelt_search.records.progress import StudyProgress


def progress(event: str) -> StudyProgress:
    return StudyProgress(
        study="toy", metric="accuracy", phase="tune", trials_done=1, trials_asked=4, runs_done=2, runs_asked=9,
        running=("trial 1 lora (tune)",), standings=(), seconds_elapsed=1.5, seconds_left=None, event=event,
    )  # fmt: skip


def test_every_event_is_one_line_and_still_shown(tmp_path: Path) -> None:
    shown: list[StudyProgress] = []
    watch = log_events(tmp_path / "deep" / "er", shown.append)
    events = [
        "trial 1 lora (tune) began",
        "größer\x1b[2J\r\n\x00\x7f\x9b\u202e\u2028",
        "trial 1 lora (tune) scored 0.5",
    ]
    for event in events:
        watch(progress(event))
    text = (tmp_path / "deep" / "er" / FILE).read_bytes()
    assert all(byte == 10 or 32 <= byte < 127 for byte in text), "nothing in it can steer a terminal"
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == events == [progress.event for progress in shown]
    assert {(line["study"], line["process"], line["runs_done"]) for line in lines} == {("toy", os.getpid(), 2)}
    assert datetime.fromisoformat(lines[0]["time"]).utcoffset() is not None


def test_a_line_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    shown: list[StudyProgress] = []
    log_events(tmp_path / "file", shown.append)(progress("it goes on"))
    assert len(shown) == 1


def test_nobody_has_to_watch(tmp_path: Path) -> None:
    log_events(tmp_path, None)(progress("it began"))
    assert (tmp_path / FILE).read_text().count("\n") == 1

"""What happened in a study and when: one JSON line per event, in a file beside the report.

It holds what the progress view shows, which has no training text and no password. Characters that could steer a
terminal are escaped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from unipelt_search.records.progress import StudyProgress

FILE = "events.jsonl"
_FIELDS = ("study", "phase", "trials_done", "trials_asked", "runs_done", "runs_asked", "event")


def log_events(folder: Path, watch: Callable[[StudyProgress], None] | None) -> Callable[[StudyProgress], None]:
    """Return a watch that writes every event down before it is shown.

    A line that cannot be written, because the disk is full, is left out: the study does not need it.

    Args:
        folder: Where ``events.jsonl`` is added to; made where it is not there.
        watch: Who is shown the events, if anybody.

    Returns:
        The watch. A line has the UTC time, the process, how far the study is, and the event.
    """

    def write(progress: StudyProgress) -> None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "process": os.getpid()}
            line |= progress.model_dump(include=set(_FIELDS))
            # One write of a file that is open for appending: drivers that share a study do not cut each other's lines.
            with (folder / FILE).open("a", encoding="ascii") as file:
                file.write(json.dumps(line, allow_nan=False).replace("\x7f", "\\u007f") + "\n")
        if watch is not None:
            watch(progress)

    return write

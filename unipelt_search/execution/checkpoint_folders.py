"""Where the runs that train keep their checkpoints; knows their folders, not what is in them.

<out>/checkpoints/running/<run>/    one folder per run that is not finished
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

from unipelt_search.records.history import StudyRecord
from unipelt_search.remote_paths import StoragePath, is_remote, reaching, remove_folder, to_storage_path
from unipelt_search.units import format_bytes

RUNNING = "running"
_RUN_ID = re.compile(r"[0-9a-f]{32}")


def disk_space_message(checkpoints: StoragePath, most: int) -> str:
    """Say how much room the checkpoints of a study take, and whether there is as much.

    Args:
        checkpoints: The study's folder for checkpoints; it need not be there.
        most: What they take at a time at most, in bytes.

    Returns:
        One sentence, or two. How much room there is at a URL is not known.
    """
    sentence = f"While they train, runs keep up to {format_bytes(most)} of checkpoints below {checkpoints}"
    if not isinstance(checkpoints, Path):
        return f"{sentence}."
    there = next(folder for folder in checkpoints.resolve().parents if folder.is_dir())
    free = shutil.disk_usage(there).free
    if free > most:
        return f"{sentence}."
    return f"{sentence}, where {format_bytes(free)} are free. Make room, or what does not fit is not kept."


def run_folder(checkpoints: StoragePath, run_id: str, newest: str | None) -> StoragePath:
    """Choose where a run keeps its checkpoints: where it did so before, if that is still there.

    Args:
        checkpoints: The study's folder for checkpoints.
        run_id: The run.
        newest: The checkpoint that an earlier attempt has written last, if any.

    Returns:
        The run's own folder; it need not be there.
    """
    if newest is not None:
        before = to_storage_path(newest)
        if is_remote(before) or before.is_dir():  # at a URL, whoever loads it sees whether it is there
            return before.parent
    return checkpoints.resolve() / RUNNING / run_id


def remove_run_folder(folder: StoragePath) -> None:
    """Remove a run's checkpoints; what cannot be removed stays.

    Args:
        folder: The run's own folder; any other is left alone.
    """
    if folder.parent.name != RUNNING or not _RUN_ID.fullmatch(folder.name):
        return
    remove_folder(folder)
    _remove_if_empty(folder.parent)


def remove_finished(checkpoints: StoragePath | None, study: StudyRecord) -> None:
    """Remove what runs have left that are finished: their driver died before it could, or their worker wrote late.

    Args:
        checkpoints: The study's folder for checkpoints, if any.
        study: The study.
    """
    if checkpoints is None:
        return
    runs = [run for trial in study.trials for run in trial.runs]
    finished = {run.id for run in runs if run.state.is_finished()}
    with suppress(OSError), reaching(checkpoints):
        for folder in (checkpoints / RUNNING).iterdir():
            if folder.name in finished:
                remove_run_folder(folder)
    _remove_if_empty(checkpoints / RUNNING)  # a driver may have been killed before it could


def _remove_if_empty(running: StoragePath) -> None:
    if not is_remote(running):  # at a URL there are no folders, only files
        with suppress(OSError):
            running.rmdir()

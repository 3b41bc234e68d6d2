"""Kill the real command, on Ray and with real training, until its study is complete."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from math import inf
from pathlib import Path

import psutil
from exported_study import save_toy
from faults.crash import Crashed

from unipelt_search.records.history import StudyRecord, StudyState
from unipelt_search.storage.store import StudyStore

ROOT = Path(__file__).parents[2]
NAME = "toy"
QUESTION = f"""
name: {NAME}
task: {{data: rows.csv, text: [sentence], label: kind}}
backbone: {{model: model}}
space: {{methods: [lora, unipelt_al], steps: 240, evaluations: 12, patience: 12}}
budget: {{trials: 2, seeds: 1}}
machine: {{concurrency: 1}}
"""
_STARTING_SECONDS = 12.0
"""About how long it takes until the first run trains."""
_ORPHAN_SECONDS = 60.0
"""How long a process may outlive the driver that has started it."""


def kill_the_command(folder: Path, kills: int, seed: int) -> Crashed:
    """Run a study whose driver is killed: a third of the times while it starts, else while its runs train.

    Args:
        folder: Where the data, the model and the databases go.
        kills: At most; then the study may end in peace.
        seed: Of the moments.

    Returns:
        How it went.
    """
    save_toy(folder, rows=240, hidden_size=64)
    (folder / "study.yaml").write_text(QUESTION, encoding="utf-8")
    calm, killed = (f"sqlite:///{folder}/{name}.db" for name in ("calm", "killed"))
    assert _start(folder, calm, "calm").wait() == 0
    chance, count = random.Random(seed), 0
    finished: dict[str, tuple[object, ...]] = {}
    while True:
        driver = _start(folder, killed, "killed")
        if count < kills:
            _wait_for_a_moment(driver, folder / "told", chance)
            driver.kill()
        code = driver.wait()
        if code == 0:
            break
        assert code == -9, f"after {count} kills the driver ended with {code}"
        count += 1
        _wait_for_orphans(killed)
        now = _finished(killed)
        assert {run: now.get(run) for run in finished} == finished, "a finished run was lost, changed or done again"
        finished = now
    whole = _record(killed)
    assert whole is not None
    runs = [run for trial in whole.trials for run in trial.runs]
    assert whole.state is StudyState.COMPLETE
    assert _leaderboard(whole) == _leaderboard(_record(calm)), "another leaderboard than without kills"
    assert [trial.number for trial in whole.trials] == list(range(whole.spec.budget.trials))
    assert not (folder / "killed" / "checkpoints" / "running").exists(), "a finished run has left its state"
    return Crashed(count, sum(run.attempt for run in runs), len(runs))


def _start(folder: Path, storage: str, out: str) -> subprocess.Popen[bytes]:
    """Start the command; what it says is in the file `told`."""
    command = [sys.executable, "-m", "unipelt_search", "run", "study.yaml", "--out", out]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "UNIPELT_STORAGE": storage}
    with (folder / "told").open("wb") as told:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=told, start_new_session=True
        )


def _wait_for_a_moment(driver: subprocess.Popen[bytes], told: Path, chance: random.Random) -> None:
    """Wait for the time to kill, or until the driver ends."""
    if chance.random() < 1 / 3:
        until, evaluations = time.monotonic() + chance.uniform(0.0, _STARTING_SECONDS), 1
    else:
        until, evaluations = inf, chance.randint(1, 12)
    while driver.poll() is None and time.monotonic() < until and told.read_text().count(" at step ") < evaluations:
        time.sleep(0.02)
    time.sleep(chance.uniform(0.0, 0.3))


def _wait_for_orphans(storage: str) -> None:
    """Ray's processes and the workers end by themselves when their driver is gone."""
    until = time.monotonic() + _ORPHAN_SECONDS
    while left := [process.name() for process in psutil.process_iter() if _belongs(process, storage)]:
        assert time.monotonic() < until, f"still running: {left}"
        time.sleep(0.2)


def _belongs(process: psutil.Process, storage: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get("UNIPELT_STORAGE") == storage
    except psutil.Error:
        return False


def _record(storage: str) -> StudyRecord | None:
    store = StudyStore.open(storage)
    try:
        return store.studies.load(NAME) if store.studies.find(NAME) else None
    finally:
        store.close()


def _finished(storage: str) -> dict[str, tuple[object, ...]]:
    """Return what is known of every finished run."""
    record = _record(storage)
    runs = [run for trial in record.trials for run in trial.runs] if record else []
    return {run.id: (run.state, run.attempt, run.result) for run in runs if run.state.is_finished()}


def _leaderboard(record: StudyRecord | None) -> list[tuple[object, ...]]:
    """Return all that a leaderboard rests on but for times and places."""
    assert record is not None
    return [
        (trial.number, trial.method, trial.phase, trial.spec.content_hash(), trial.value, run.seed_index, run.state,
         run.result and (run.result.tune, run.result.select, run.result.test, run.result.gates, run.result.predictions))
        for trial in record.trials
        for run in trial.runs
    ]  # fmt: skip

"""Several processes on one database; `make acceptance` does the same with 64 processes and eight drivers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.invariants import check_complete
from faults.postgresql import Server, running_server
from faults.processes import start
from faults.simulated_study import NAME, simulate
from faults.writers import share, share_while_the_database_restarts, stop, write_at_once

from unipelt_search.records.history import RunState
from unipelt_search.storage.store import StudyStore

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL of this file's own, because it is restarted."""
    with running_server() as running:
        yield running


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    write_at_once(tmp_path, processes=8, trials=10)


def test_drivers_share_a_study_while_some_are_killed(tmp_path: Path) -> None:
    shared = share(tmp_path, drivers=3, trials=9, kills=5)
    assert shared.kills  # as many as there was time for
    assert shared.attempts > shared.runs + 1, "more than the run that wants memory was done again"


def test_drivers_that_are_held_up_lose_their_runs_and_give_no_stale_answer(tmp_path: Path) -> None:
    shared = share(tmp_path, drivers=3, trials=9, pauses=2)
    assert shared.pauses


def test_a_stale_answer_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, told = f"sqlite:///{tmp_path}/s.db", tmp_path / "told"
    simulate(url, told, step_seconds=0.0)
    store = StudyStore.open(url)
    check_complete(store, told)
    monkeypatch.setattr("faults.invariants.answered_by", lambda result: result.costs.examples_trained + 1)
    with pytest.raises(AssertionError, match="an attempt that had lost its run"):
        check_complete(store, told)
    store.close()


def test_writers_outlast_a_database_that_restarts(tmp_path: Path, server: Server) -> None:
    write_at_once(tmp_path, processes=6, trials=10, server=server)


def test_drivers_go_on_through_restarts_and_do_nothing_twice(tmp_path: Path, server: Server) -> None:
    share_while_the_database_restarts(tmp_path, server, drivers=2, trials=9)


def test_a_stopped_driver_loses_its_run_and_drops_its_answer(tmp_path: Path) -> None:
    url, told = f"sqlite:///{tmp_path}/s.db", tmp_path / "told"
    named = {"trials": 4, "seeds": 1, "lease_seconds": 0.3}
    slow = start(simulate, url, told, step_seconds=0.1, **named)
    while not told.exists() or "began" not in told.read_text():
        slow.join(0.01)
    assert slow.pid is not None
    try:
        stop(slow.pid, tmp_path / "s.db")  # a laptop that sleeps
        simulate(url, told, step_seconds=0.0, **named)
    finally:
        os.kill(slow.pid, signal.SIGCONT)
    slow.join()
    assert slow.exitcode == 0
    store = StudyStore.open(url)
    check_complete(store, told)
    runs = [run for trial in store.studies.load(NAME).trials for run in trial.runs]
    assert max(run.attempt for run in runs) == 2
    assert {run.state for run in runs} == {RunState.COMPLETE, RunState.FAILED}
    store.close()

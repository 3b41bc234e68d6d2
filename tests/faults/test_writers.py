"""Several processes on one database; `make acceptance` does the same with 64 processes and eight drivers."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from faults.invariants import check_complete
from faults.postgresql import Server, running_server
from faults.processes import start
from faults.simulated_study import NAME, simulate
from faults.writers import share, share_while_the_database_restarts, write_at_once

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
    share(tmp_path, drivers=3, trials=9, kills=5)


def test_writers_outlast_a_database_that_restarts(tmp_path: Path, server: Server) -> None:
    write_at_once(tmp_path, processes=6, trials=10, server=server)


def test_drivers_go_on_through_restarts_and_do_nothing_twice(tmp_path: Path, server: Server) -> None:
    share_while_the_database_restarts(tmp_path, server, drivers=2, trials=9)


def stop(pid: int, database: Path) -> None:
    """Stop a process at a moment at which it holds no lock, which would last as long as the stop."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        while psutil.Process(pid).status() != psutil.STATUS_STOPPED:  # a call under way may still take the lock
            time.sleep(0.001)
        try:
            with closing(sqlite3.connect(database, timeout=0.2)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
            return
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)


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
    runs = [run for trial in store.load(NAME).trials for run in trial.runs]
    assert max(run.attempt for run in runs) == 2
    assert {run.state for run in runs} == {RunState.COMPLETE, RunState.FAILED}
    store.close()

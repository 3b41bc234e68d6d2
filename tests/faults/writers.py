"""Many processes and one database: writers that only write, and drivers that share a study."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
from faults.invariants import check_complete, check_file
from faults.postgresql import Server
from faults.processes import start
from faults.simulated_study import NAME, simulate, write_trials

from unipelt_search.records.history import RunState
from unipelt_search.storage.store import StudyStore

RESTARTS = 3
_LEASE_SECONDS = 0.5


def write_at_once(folder: Path, processes: int, trials: int, server: Server | None = None) -> dict[str, float]:
    """Let processes add, start and finish trials of one study at the same time, each its own number of them.

    Args:
        folder: Where a SQLite file goes.
        processes: How many.
        trials: Of each process.
        server: A PostgreSQL to be used instead, and to be restarted under way as by a crash.

    Returns:
        ``seconds`` that it took, and the ``longest`` that one trial took from begin to end.
    """
    if server is None:
        return _write_at_once(f"sqlite:///{folder}/written.db", folder / "written", processes, trials, None)
    with server.database() as url:
        return _write_at_once(url, folder / "written", processes, trials, server)


def _write_at_once(url: str, told: Path, processes: int, trials: int, server: Server | None) -> dict[str, float]:
    write_trials(url, told, 0)
    began = time.monotonic()
    writers = [start(write_trials, url, told, trials) for _ in range(processes)]
    if server is not None:
        for restart in range(RESTARTS):
            _wait_for_lines(told, processes * trials * (restart + 1) // (RESTARTS + 1))
            server.restart()
    for writer in writers:
        writer.join()
    seconds = time.monotonic() - began
    assert [writer.exitcode for writer in writers] == [0] * processes
    store = StudyStore.open(url)
    record = store.studies.load(NAME)
    store.close()
    assert [trial.number for trial in record.trials] == list(range(processes * trials))
    runs = {run.id: run for trial in record.trials for run in trial.runs}
    lines = [line.split() for line in told.read_text(encoding="utf-8").splitlines()]
    assert Counter(run_id for run_id, _ in lines) == Counter(runs.keys())
    assert {run.state for run in runs.values()} == {RunState.COMPLETE}
    assert {run.attempt for run in runs.values()} == {1}
    check_file(url)
    return {"seconds": seconds, "longest": max(float(took) for _, took in lines)}


def _wait_for_lines(file: Path, count: int) -> None:
    while not file.exists() or len(file.read_text(encoding="utf-8").splitlines()) < count:
        time.sleep(0.02)


@dataclass(frozen=True)
class Shared:
    """What became of a study that drivers shared while some were killed or held up."""

    kills: int
    pauses: int
    runs: int
    attempts: int


def share(folder: Path, drivers: int, trials: int, *, kills: int = 0, pauses: int = 0, seed: int = 0) -> Shared:
    """Let drivers share a study while some of them are killed and replaced, others held up until their runs are lost.

    Args:
        folder: Where the database goes.
        drivers: How many at a time.
        trials: The study's trials.
        kills: How many drivers are killed at most; the study may be complete before.
        pauses: How many are held up for longer than their leases at most.
        seed: The study's seed, and that of the moments.

    Returns:
        How it went.
    """
    database, told = folder / f"shared-{seed}.db", folder / f"shared-{seed}"
    url, chance = f"sqlite:///{database}", random.Random(seed)
    named = {"seed": seed, "trials": trials, "lease_seconds": _LEASE_SECONDS}
    working = [start(simulate, url, told, **named) for _ in range(drivers)]
    faults, done = ["kill"] * kills + ["pause"] * pauses, Counter[str]()
    chance.shuffle(faults)
    for fault in faults:
        victim = _one_at_work(working, told, chance)
        if victim is None:
            break  # the study is complete
        time.sleep(chance.uniform(0.0, 0.02))  # of the 60 ms and more that a run takes
        if fault == "kill":
            victim.kill()
            victim.join()
            assert victim.exitcode in {0, -9}, f"seed {seed}: a driver ended with {victim.exitcode}"
            working.remove(victim)
            working.append(start(simulate, url, told, **named))
        elif victim.pid is None or not stop(victim.pid, database):
            break
        else:
            time.sleep(2 * _LEASE_SECONDS)
            os.kill(victim.pid, signal.SIGCONT)
        done[fault] += 1
    for driver in working:
        driver.join()
        assert driver.exitcode == 0, f"seed {seed}: a driver ended with {driver.exitcode}"
    # Who is held up, wakes, writes down the state of a run that others have finished, and is killed, leaves it there
    # until the study is asked for again.
    simulate(url, told, **named)
    store = StudyStore.open(url)
    check_complete(store, told)
    runs = [run for trial in store.studies.load(NAME, details=False).trials for run in trial.runs]
    store.close()
    check_file(url)
    return Shared(done["kill"], done["pause"], len(runs), sum(run.attempt for run in runs))


def _one_at_work(drivers: Sequence[BaseProcess], told: Path, chance: random.Random) -> BaseProcess | None:
    """Wait for drivers that have a run and choose one of them; None where all have ended."""
    while any(driver.is_alive() for driver in drivers):
        last = {line.split()[-1]: line.split()[0] for line in told.read_text().splitlines()} if told.exists() else {}
        busy = [d for d in drivers if d.is_alive() and last.get(str(d.pid), "done") not in {"done", "failed"}]
        if busy:
            return chance.choice(busy)
        time.sleep(0.005)
    return None


def stop(pid: int, database: Path) -> bool:
    """Stop a driver at a moment at which it holds no lock of a SQLite file, which would last as long as the stop.

    Args:
        pid: The driver.
        database: The file.

    Returns:
        Whether it is stopped; False where it has ended.
    """
    while True:
        os.kill(pid, signal.SIGSTOP)
        while (status := psutil.Process(pid).status()) != psutil.STATUS_STOPPED:  # a call under way may take the lock
            if status == psutil.STATUS_ZOMBIE:
                return False
            time.sleep(0.001)
        try:
            with closing(sqlite3.connect(database, timeout=0.2)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
            return True
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)


def share_while_the_database_restarts(folder: Path, server: Server, drivers: int, trials: int) -> None:
    """Let drivers share a study on a PostgreSQL that is restarted under way; none of them ends, nothing is done twice.

    Args:
        folder: Where the acknowledgements go.
        server: The PostgreSQL.
        drivers: How many.
        trials: The study's trials.
    """
    told = folder / "shared"
    with server.database() as url:
        working = [start(simulate, url, told, trials=trials) for _ in range(drivers)]
        for restart in range(RESTARTS):
            _wait_for_lines(told, 10 * (restart + 1))
            server.restart()
        for driver in working:
            driver.join()
        assert [driver.exitcode for driver in working] == [0] * drivers
        store = StudyStore.open(url)
        check_complete(store, told)
        runs = [run for trial in store.studies.load(NAME, details=False).trials for run in trial.runs]
        store.close()
    assert sum(run.attempt for run in runs) == len(runs) + 1, "only the run that wants memory is done again"

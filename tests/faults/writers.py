"""Many processes and one database: writers that only write, and drivers that share a study."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from faults.invariants import check_complete, check_file
from faults.postgresql import Server
from faults.processes import start
from faults.simulated_study import NAME, simulate, write_trials

from unipelt_search.records.history import RunState
from unipelt_search.storage.store import StudyStore

RESTARTS = 3


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
    record = store.load(NAME)
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


def share(folder: Path, drivers: int, trials: int, kills: int, seed: int = 0) -> int:
    """Let drivers share a study while some of them are killed and replaced.

    Args:
        folder: Where the database goes.
        drivers: How many at a time.
        trials: The study's trials.
        kills: How many drivers are killed.
        seed: The study's seed, and that of the kills.

    Returns:
        How many attempts it took.
    """
    url, told = f"sqlite:///{folder}/shared-{seed}.db", folder / f"shared-{seed}"
    chance, left = random.Random(seed), kills
    named = {"seed": seed, "trials": trials, "lease_seconds": 5.0}
    working = [start(simulate, url, told, **named) for _ in range(drivers)]
    while working:
        if left:
            working[0].join(chance.uniform(0.1, 0.6))
            victim = working.pop(chance.randrange(len(working)))
            victim.kill()
            left -= 1
            working.append(start(simulate, url, told, **named))
        else:
            victim = working.pop()
        victim.join()
        assert victim.exitcode in {0, -9}, f"seed {seed}: a driver ended with {victim.exitcode}"
    store = StudyStore.open(url)
    check_complete(store, told)
    runs = [run for trial in store.load(NAME, details=False).trials for run in trial.runs]
    store.close()
    check_file(url)
    return sum(run.attempt for run in runs)


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
        runs = [run for trial in store.load(NAME, details=False).trials for run in trial.runs]
        store.close()
    assert sum(run.attempt for run in runs) == len(runs) + 1, "only the run that wants memory is done again"

"""Kill a driver with SIGKILL at random moments until its study is complete, and look after every kill."""

from __future__ import annotations

import random
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from faults.invariants import check_acknowledged, check_complete, check_file, check_mirror, check_no_step_twice
from faults.processes import start
from faults.simulated_study import NAME, simulate

from unipelt_search.storage.store import StudyStore


@dataclass(frozen=True)
class Crashed:
    """What became of a study whose driver was killed again and again."""

    kills: int
    attempts: int
    runs: int


def undisturbed(url: str, acknowledged: Path, seed: int) -> str:
    """Run a study in peace; returns the hash of its leaderboard."""
    simulate(url, acknowledged, seed=seed, step_seconds=0.0)
    store = StudyStore.open(url)
    try:
        return check_complete(store, acknowledged)
    finally:
        store.close()


def kill_again_and_again(folder: Path, seed: int, *, limit: int) -> Crashed:
    """Run a study whose driver is killed at random moments: a third of them from its start, the others while it works.

    Args:
        folder: Where the databases go.
        seed: The study's seed, and that of the moments.
        limit: Kills at most; then the study may end in peace.

    Returns:
        How it went.
    """
    reference = undisturbed(f"sqlite:///{folder}/calm-{seed}.db", folder / f"calm-{seed}", seed)
    url, acknowledged = f"sqlite:///{folder}/killed-{seed}.db", folder / f"killed-{seed}"
    moments, kills = random.Random(seed), 0
    while True:
        driver = start(simulate, url, acknowledged, seed=seed)
        if kills == limit:
            driver.join()
        elif moments.random() < 1 / 3:
            driver.join(moments.uniform(0.0, 1.0))
        else:
            _wait_for_news(driver, acknowledged)
            driver.join(moments.uniform(0.0, 0.2))
        driver.kill()
        driver.join()
        if driver.exitcode == 0:
            break
        assert driver.exitcode == -9, f"seed {seed}, after {kills} kills: the driver ended with {driver.exitcode}"
        kills += 1
        store = StudyStore.open(url)
        if store.studies.find(NAME):
            check_acknowledged(store.studies.load(NAME), acknowledged)
        store.close()
    store = StudyStore.open(url)
    assert check_complete(store, acknowledged) == reference, f"seed {seed}: another leaderboard"
    check_mirror(store)
    check_file(url)
    check_no_step_twice(acknowledged)
    runs = [run for trial in store.studies.load(NAME, details=False).trials for run in trial.runs]
    store.close()
    return Crashed(kills, sum(run.attempt for run in runs), len(runs))


def _wait_for_news(driver: BaseProcess, acknowledged: Path) -> None:
    """Wait until the driver has begun, gone on with or ended one more run, or has ended itself."""
    before = acknowledged.stat().st_size if acknowledged.exists() else 0
    while driver.is_alive() and (not acknowledged.exists() or acknowledged.stat().st_size == before):
        driver.join(0.005)

"""The full counts of the crash tests, one after another; goes on where it was when it is started again.

    make acceptance

What was measured is kept in build/acceptance/measured.json, and shown at the end. `--only kills` runs one part alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from faults.crash import kill_again_and_again
from faults.damage import damage_and_open
from faults.postgresql import running_server
from faults.writers import share, share_while_the_database_restarts, write_at_once

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "acceptance"
KILLS, STUDIES, DAMAGED, PROCESSES, TRIALS, DRIVERS, ROUNDS = 1_000, 20, 2_000, 64, 100, 8, 200
PARTS: dict[str, Callable[[Path, dict[str, float]], bool]] = {}

_Counts = dict[str, float]
_Part = Callable[[Path, _Counts], bool]


def part(work: _Part) -> _Part:
    """Register a part: it does a piece of its work, adds to its counts, and tells whether it is done."""
    PARTS[work.__name__] = work
    return work


@part
def kills(folder: Path, counts: _Counts) -> bool:
    """Kill the drivers of one more study."""
    study = int(counts.get("studies", 0))
    crashed = kill_again_and_again(folder, 1_000 + study, limit=KILLS // STUDIES)
    _add(counts, studies=1, kills=crashed.kills, runs=crashed.runs, attempts=crashed.attempts)
    return counts["kills"] >= KILLS and counts["studies"] >= STUDIES


@part
def command(folder: Path, counts: _Counts) -> bool:
    """Kill the real command on Ray."""
    from faults.killed_command import kill_the_command  # every child process imports this module, but needs no torch

    crashed = kill_the_command(folder, 20, seed=1)
    _add(counts, kills=crashed.kills, runs=crashed.runs, attempts=crashed.attempts)
    return True


@part
def failpoints(folder: Path, counts: _Counts) -> bool:
    """Let every failpoint fire with every fault."""
    return _pytest("tests/faults/test_every_failpoint.py", folder, counts)


@part
def model(folder: Path, counts: _Counts) -> bool:
    """Compare the store with its model on both databases."""
    return _pytest("tests/storage/test_state_machine.py", folder, counts)


@part
def checkpoints(folder: Path, counts: _Counts) -> bool:
    """Damage the checkpoints of runs that train, and interrupt such runs."""
    return _pytest("tests/training/test_checkpoint.py", folder, counts)


@part
def writers(folder: Path, counts: _Counts) -> bool:
    """Let many processes write at once."""
    _add(counts, trials=PROCESSES * TRIALS, **write_at_once(folder, PROCESSES, TRIALS))
    return True


@part
def postgresql(folder: Path, counts: _Counts) -> bool:
    """Let many processes write at once, and drivers share a study, on a PostgreSQL that crashes three times."""
    with running_server() as server:
        _add(counts, trials=PROCESSES * TRIALS, **write_at_once(folder, PROCESSES, TRIALS, server))
        share_while_the_database_restarts(folder, server, DRIVERS, 16)
    return True


@part
def drivers(folder: Path, counts: _Counts) -> bool:
    """Let drivers share one more study while one is killed and one is held up until it has lost its run."""
    study = int(counts.get("studies", 0))
    _add(counts, studies=1, **asdict(share(folder, DRIVERS, 6, kills=1, pauses=1, seed=study)))
    return counts["studies"] >= ROUNDS


@part
def damaged(folder: Path, counts: _Counts) -> bool:
    """Open damaged databases."""
    _add(counts, **damage_and_open(folder, DAMAGED, seed=1))
    return True


def _pytest(file: str, folder: Path, counts: _Counts) -> bool:
    report = folder / "report.txt"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider", f"--basetemp={folder}/tests"]
    with report.open("w") as out:
        code = subprocess.run([*command, file], cwd=ROOT, stdout=out, check=False).returncode
    last = report.read_text().rstrip().rpartition("\n")[2]
    assert code == 0, report.read_text()
    _add(counts, passed=int(last.split(" passed")[0].split()[-1]))
    return True


def _add(counts: _Counts, **more: float) -> None:
    for name, count in more.items():
        counts[name] = round(counts.get(name, 0) + count, 3)


def main() -> None:
    """Do what is left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    chosen = parser.parse_args().only
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in [chosen] if chosen else PARTS:
        kept = PLACE / f"{name}.json"
        counts: _Counts = json.loads(kept.read_text()) if kept.exists() else {}
        while not counts.get("done"):
            began = time.monotonic()
            with TemporaryDirectory(prefix="acceptance-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as at:
                done = PARTS[name](Path(at), counts)
            _add(counts, wall_seconds=time.monotonic() - began, done=int(done))
            half = kept.with_suffix(f".{os.getpid()}")
            half.write_text(json.dumps(counts))
            half.replace(kept)
            print(name, json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()

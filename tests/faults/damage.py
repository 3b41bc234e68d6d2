"""Damage copies of a database, each in another way, and open every one as a report and a driver do."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from faults.simulated_study import NAME, simulate

from unipelt_search.errors import StorageError, StudyNotFoundError
from unipelt_search.records.notice import Notice
from unipelt_search.storage.store import StudyStore

_HEADER = 100
"""Bytes of SQLite's file header."""


def damage_and_open(folder: Path, count: int, seed: int = 0) -> Counter[str]:
    """Open damaged copies.

    Args:
        folder: Where they go.
        count: How many.
        seed: Of the damage.

    Returns:
        How many were ``found`` (one sentence, no traceback) and how many were ``harmless``: a study that is readable
        and can be written to. Anything else raises.
    """
    whole = _make(folder / "whole.db")
    chance, outcomes, path = random.Random(seed), Counter[str](), folder / "damaged.db"
    for at in range(count):
        for left in folder.glob("damaged.db*"):
            left.unlink()
        kind = _KINDS[at % len(_KINDS)]
        path.write_bytes(kind(whole, chance))
        try:
            outcomes[_open(f"sqlite:///{path}")] += 1
        except Exception as error:
            error.add_note(f"damage {at} of seed {seed}: {kind.__name__}")
            raise
    return outcomes


def _make(path: Path) -> bytes:
    simulate(f"sqlite:///{path}", path.with_suffix(".told"), step_seconds=0.0, trials=4, seeds=1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def _open(url: str) -> str:
    try:
        store = StudyStore.open(url, create=False)
    except (StorageError, StudyNotFoundError):
        return "found"
    try:
        study = store.studies.load(NAME).id
        store.studies.lines()
        store.studies.add_notice(study, Notice(code="after_damage"))
        store.attempts.requeue_expired(study)
    except (StorageError, StudyNotFoundError):
        return "found"
    finally:
        store.close()
    return "harmless"


def truncated(whole: bytes, chance: random.Random) -> bytes:
    """Cut off anywhere, down to nothing."""
    return whole[: chance.randrange(len(whole))]


def header_overwritten(whole: bytes, chance: random.Random) -> bytes:
    """Some bytes of the header are others."""
    start = chance.randrange(_HEADER - 8)
    return whole[:start] + chance.randbytes(8) + whole[start + 8 :]


def bit_flipped(whole: bytes, chance: random.Random) -> bytes:
    """One bit is another."""
    damaged = bytearray(whole)
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def block_overwritten(whole: bytes, chance: random.Random) -> bytes:
    """Half a kilobyte is noise."""
    start = chance.randrange(len(whole) - 512)
    return whole[:start] + chance.randbytes(512) + whole[start + 512 :]


_KINDS = (truncated, header_overwritten, bit_flipped, block_overwritten)

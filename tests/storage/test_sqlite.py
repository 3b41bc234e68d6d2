from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from unipelt_search.errors import StorageError
from unipelt_search.storage.sqlite import back_up
from unipelt_search.storage.store import StudyStore


def test_a_writing_block_takes_the_lock_with_its_first_statement(url: str, tmp_path: Path) -> None:
    database = StudyStore.open(url)._database
    other = sqlite3.connect(database.url.database or "", timeout=0)
    with database.session(write=True) as session:
        session.scalar(text("SELECT count(*) FROM ups_study"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    with database.session() as session:
        session.scalar(text("SELECT count(*) FROM ups_study"))
        other.execute("BEGIN IMMEDIATE")
        other.rollback()
    other.close()
    database.close()


def test_a_lock_that_stays_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipelt_search.storage.sqlite.BUSY_SECONDS", 0)
    database = StudyStore.open(url)._database
    other = sqlite3.connect(database.url.database or "")
    other.execute("BEGIN IMMEDIATE")
    with (
        pytest.raises(StorageError, match="stayed locked by another program"),
        database.session(write=True) as session,
    ):
        session.scalar(text("SELECT count(*) FROM ups_study"))
    other.close()
    database.close()


def test_of_writers_that_wait_each_gets_its_turn(url: str) -> None:
    StudyStore.open(url)._database.close()
    begun, turns = threading.Barrier(4), []

    def write(writer: int) -> None:
        database = StudyStore.open(url, create=False)._database
        begun.wait()
        for _ in range(10):
            with database.session(write=True) as session:
                session.execute(text("UPDATE ups_alembic_version SET version_num = version_num"))
                turns.append(writer)
        database.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert sorted(turns) == sorted(list(range(4)) * 10)


def test_a_copy_holds_what_is_still_in_the_log(url: str, tmp_path: Path) -> None:
    database = StudyStore.open(url)._database
    path = Path(database.url.database or "")
    with database.session(write=True) as session:
        session.execute(text("CREATE TABLE mine (id INTEGER)"))
    copy = back_up(path, "0000")
    assert copy == path.with_name(f"{path.name}.schema-0000")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'mine'").fetchall() == [("mine",)]
    database.close()

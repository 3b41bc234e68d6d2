from __future__ import annotations

import hashlib
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from read_only_mount import can_mount, run_read_only

from unipelt_search.errors import StorageError
from unipelt_search.storage import read_only
from unipelt_search.storage.store import StudyReader, StudyStore

OLD = Path(__file__).parents[1] / "databases"
WRITER = """
import os, signal, sys
from unipelt_search.records.notice import Notice
from unipelt_search.storage.store import StudyStore
store = StudyStore.open(sys.argv[1])
store.studies.add_notice(store.studies.find("first"), Notice(code="last_words"))
os.kill(os.getpid(), signal.SIGKILL)
"""
READER = """
import sys
from unipelt_search.storage.store import StudyReader
with StudyReader.open(sys.argv[1]) as reader:
    record = reader.studies.load("first")
    print(",".join(notice.code for notice in record.notices))
"""


def files(folder: Path) -> dict[str, str]:
    """The hash of every file of a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def codes(url: str) -> list[str]:
    with StudyReader.open(url) as reader:
        assert [line.name for line in reader.studies.lines()] == ["first"]
        return [notice.code for notice in reader.studies.load("first").notices]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "100% {mine} #1"
    made.mkdir()
    return made


@pytest.fixture
def path(folder: Path, study_spec: Callable, task: object) -> Path:
    """A database that was closed in peace: in write-ahead mode, without a log."""
    store = StudyStore.open(f"sqlite:///{folder}/studies.db")
    store.studies.create(study_spec("first"), task, {}, "")
    store.close()
    assert set(files(folder)) == {"studies.db"}
    return folder / "studies.db"


@pytest.fixture
def killed(path: Path) -> Path:
    """A database whose driver was killed: the last notice is in the log only."""
    assert subprocess.run([sys.executable, "-c", WRITER, f"sqlite:///{path}"], check=False).returncode == -9
    assert set(files(path.parent)) == {"studies.db", "studies.db-wal", "studies.db-shm"}
    return path


def test_reading_leaves_a_closed_database_alone(path: Path) -> None:
    before = files(path.parent)
    assert codes(f"sqlite:///{path}") == []
    assert files(path.parent) == before


def test_what_a_killed_driver_left_in_the_log_is_read_and_left(killed: Path) -> None:
    before = files(killed.parent)
    assert codes(f"sqlite:///{killed}") == ["last_words"]
    assert files(killed.parent) == before


def test_a_log_without_its_index_is_read_from_a_copy(killed: Path) -> None:
    killed.with_name("studies.db-shm").unlink()
    before = files(killed.parent)
    assert codes(f"sqlite:///{killed}") == ["last_words"]
    assert files(killed.parent) == before


def test_a_study_is_read_while_a_driver_writes(path: Path) -> None:
    url = f"sqlite:///{path}"
    store = StudyStore.open(url)
    study = store.studies.find("first") or ""
    with StudyReader.open(url) as reader:
        assert reader.studies.load("first").wall_seconds == 0.0
        store.studies.add_seconds(study, 2.0)
        assert reader.studies.load("first").wall_seconds == 2.0
    store.studies.add_seconds(study, 1.0)
    store.close()
    assert codes(url) == []


@pytest.mark.parametrize("schema", ["0001", "0002", "0003"])
def test_an_older_schema_is_read_from_an_upgraded_copy(folder: Path, schema: str, tmp_path: Path) -> None:
    path = folder / "studies.db"
    path.write_bytes((OLD / f"schema-{schema}.db").read_bytes())
    before = files(folder)
    with StudyReader.open(f"sqlite:///{path}") as reader:
        assert reader.studies.load("complete").edition == 1
        used = Path(reader._database._engine.url.database or "")
        assert used != path
        assert used.exists()
    assert files(folder) == before
    assert not used.parent.exists(), "the copy goes with the reader"


def test_no_copy_stays_where_opening_fails(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE ups_alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StorageError, match="9999"):
        StudyReader.open(f"sqlite:///{path}")
    assert [entry.name for entry in tmp_path.glob("unipelt-search-*")] == []


def test_a_reader_cannot_write(killed: Path) -> None:
    with StudyReader.open(f"sqlite:///{killed}") as reader:
        with pytest.raises(StorageError, match="readonly"), reader._database.session(write=True) as session:
            session.connection().exec_driver_sql("DELETE FROM ups_notice")


def test_each_kind_of_file_is_opened_in_its_own_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, index = (path.with_name(f"studies.db-{name}") for name in ("wal", "shm"))
    assert read_only._how_to_read(path) is None
    log.touch()
    assert read_only._how_to_read(path) is None
    index.touch()
    assert read_only._how_to_read(path) == "mode=ro&readonly_shm=1"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert read_only._how_to_read(path) == "mode=ro&readonly_shm=1", "a log must never be left out"
    log.unlink()
    assert read_only._how_to_read(path) == "mode=ro&immutable=1"
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    assert read_only._how_to_read(path) == "mode=ro"


def test_a_file_that_never_stands_still_is_refused_in_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(1000))
    monkeypatch.setattr(read_only, "_stamps", lambda path: [next(numbers)])
    monkeypatch.setattr(read_only, "_PAUSE_SECONDS", 0.0)
    with pytest.raises(StorageError, match="stand still"):
        StudyReader.open(f"sqlite:///{path}")


@pytest.mark.skipif(not can_mount(), reason="a read-only mount needs the right to make one")
@pytest.mark.parametrize("kept", [("wal", "shm"), ("wal",), ()], ids=["log and index", "log", "neither"])
def test_a_read_only_mount_is_read(killed: Path, kept: tuple[str, ...]) -> None:
    for name in {"wal", "shm"} - set(kept):
        killed.with_name(f"studies.db-{name}").unlink()
    before = files(killed.parent)
    found = run_read_only(killed.parent, [sys.executable, "-c", READER, f"sqlite:///{killed}"])
    assert found == ("last_words" if "wal" in kept else "")
    assert files(killed.parent) == before


def _read_as_nobody(url: str, answer: object) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    answer.put(codes(url))  # type: ignore[attr-defined]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_reads_what_they_may_not_write(killed: Path) -> None:
    for parent in (killed.parent, *killed.parent.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    for path in killed.parent.iterdir():
        path.chmod(0o444)
    killed.parent.chmod(0o555)
    before = files(killed.parent)
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    reader = context.Process(target=_read_as_nobody, args=(f"sqlite:///{killed}", answer))
    reader.start()
    assert answer.get(timeout=30) == ["last_words"]
    reader.join()
    assert files(killed.parent) == before

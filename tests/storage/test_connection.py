from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text

from unipelt_search.errors import RequestError, StorageError, StudyNotFoundError
from unipelt_search.storage.connection import database_now, parse_url, redacted_url
from unipelt_search.storage.store import StudyStore


def test_a_new_file_gets_its_folder_a_write_ahead_log_and_foreign_keys(url: str) -> None:
    database = StudyStore.open(url)._database
    with database.session() as session:
        pragmas = {
            name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 60_000}
    database.close()


def test_a_relative_path_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = parse_url("sqlite:///studies/studies.db")
    assert url.database == str(tmp_path / "studies" / "studies.db")


def test_a_block_that_raises_writes_nothing(url: str) -> None:
    database = StudyStore.open(url)._database
    insert = text("INSERT INTO ups_alembic_version VALUES ('x')")
    with pytest.raises(KeyError), database.session(write=True) as session:
        session.execute(insert)
        raise KeyError
    with database.session() as session:
        assert session.scalar(text("SELECT count(*) FROM ups_alembic_version")) == 1
    database.close()


def test_a_database_that_is_not_there_is_not_made_for_reading(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFoundError, match=r"that is there; got sqlite:///.*/none/x\.db"):
        StudyStore.open(f"sqlite:///{tmp_path}/none/x.db", create=False)
    assert not (tmp_path / "none").exists()
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE mine (id INTEGER)").connection.close()
    with pytest.raises(StudyNotFoundError, match="holds no studies"):
        StudyStore.open(f"sqlite:///{tmp_path}/other.db", create=False)


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("text,label\n" * 500)
    for create in (True, False):
        with pytest.raises(StorageError, match=r"must name a SQLite database; .*train\.csv is a file of another kind"):
            StudyStore.open(f"sqlite:///{path}", create=create)
    assert path.read_text() == "text,label\n" * 500


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    StudyStore.open(f"sqlite:///{path}").close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StorageError, match=r"x\.db is damaged"):
        StudyStore.open(f"sqlite:///{path}").studies.lines()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    StudyStore.open(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE ups_alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match=r"has schema 9999, known: up to 0006\. Upgrade unipelt-search\."):
        StudyStore.open(f"sqlite:///{path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RequestError, match="folder that can be made"):
        StudyStore.open(f"sqlite:///{tmp_path}/a/x.db")


def test_a_folder_under_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(RequestError, match=r"folder that can be made; got .*/a/b"):
        StudyStore.open(f"sqlite:///{tmp_path}/a/b/x.db")


@pytest.mark.parametrize("url", ["studies.db", "", "sqlite://", "sqlite:///:memory:", "oracle://me@host/x"])
def test_other_urls_are_refused_with_an_example(url: str) -> None:
    with pytest.raises(RequestError, match=r"--storage must .*such as sqlite:///"):
        StudyStore.open(url)


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg2://u@h/d", "postgresql+psycopg2"),
        ("mysql://u@h/d", "mysql+pymysql"),
        ("mariadb://u@h/d", "mysql+pymysql"),
    ],
)
def test_a_driver_is_chosen_where_the_url_names_none(given: str, driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipelt_search.storage.connection.find_spec", {"psycopg": 1, "psycopg2": 2}.get)
    url = parse_url(given)
    assert (url.drivername, url.host, url.database) == (driver, "h", "d")


def test_psycopg2_is_taken_where_it_alone_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipelt_search.storage.connection.find_spec", {"psycopg2": 2}.get)
    assert parse_url("postgresql://u@h/d").drivername == "postgresql+psycopg2"


def test_a_missing_driver_is_named_and_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(RequestError, match=r"pip install 'psycopg\[binary\]'") as caught:
        StudyStore.open("postgresql+psycopg://me:geheim@host/x?sslpassword=geheim&sslmode=require")
    assert "geheim" not in str(caught.value)
    assert "me:***@host/x" in str(caught.value)


def test_passwords_in_the_query_are_hidden_too() -> None:
    redacted = redacted_url(parse_url("mysql://me:geheim@host/x?password=geheim&charset=utf8"))
    assert "geheim" not in redacted
    assert "charset=utf8" in redacted


def test_a_full_disk_is_named_and_nothing_is_half_written(url: str) -> None:
    database = StudyStore.open(url)._database
    with database.session(write=True) as session:
        session.execute(text("CREATE TABLE big (content BLOB)"))

    @event.listens_for(database._engine, "connect")
    def limit(connection: sqlite3.Connection, record: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")  # what SQLite answers on a full disk

    database.close()
    with pytest.raises(StorageError, match=r"needs more room; [\d.]+ GB are free"), database.session(write=True) as s:
        s.execute(text("INSERT INTO big VALUES (zeroblob(100)), (zeroblob(1000000))"))
    with database.session() as session:
        assert session.scalar(text("SELECT count(*) FROM big")) == 0
    database.close()


def test_the_databases_clock_is_utc_to_the_millisecond(url: str) -> None:
    database = StudyStore.open(url)._database
    with database.session() as session:
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        now = database_now(session)
        assert before <= now <= datetime.now(UTC)
    database.close()


def test_a_fault_of_ours_while_writing_is_not_called_damage(url: str) -> None:
    database = StudyStore.open(url)._database
    with pytest.raises(ValueError, match="ours"), database.session(write=True):
        raise ValueError("ours")
    with pytest.raises(StorageError, match="is damaged"), database.session(write=True):
        b"\xff".decode()
    database.close()

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command

from unipelt_search.errors import OldSchemaError, StorageError, StudyNotFoundError
from unipelt_search.records.history import DroppedMethod, TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import StudySpec
from unipelt_search.storage import upgrade
from unipelt_search.storage.store import StudyReader, StudyStore, upgrade_database

OLD = Path(__file__).parents[1] / "databases" / "schema-0001.db"


def downgraded(store: StudyStore, schema: str) -> None:
    """Give a database the tables of an older version."""
    with store._database.connection(write=True) as connection:
        config = upgrade._config()
        config.attributes["connection"] = connection
        command.downgrade(config, schema)


def test_an_upgrade_says_what_it_did_and_doing_it_twice_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    path.write_bytes(OLD.read_bytes())
    done = upgrade_database(f"sqlite:///{path}")
    copy = tmp_path / "studies.db.schema-0001"
    assert (done.before, done.now, done.copy_path) == ("0001", upgrade.newest_schema(), str(copy))
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT version_num FROM ups_alembic_version").fetchone() == ("0001",)
    after = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    again = upgrade_database(f"sqlite:///{path}")
    assert (again.before, again.now, again.copy_path) == (done.now, done.now, None)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == after


def test_only_a_study_database_can_be_upgraded(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFoundError):
        upgrade_database(f"sqlite:///{tmp_path}/none.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE mine (id INTEGER)").connection.close()
    with pytest.raises(StudyNotFoundError):
        upgrade_database(f"sqlite:///{tmp_path}/other.db")
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]


def test_an_older_schema_is_not_written_to_without_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    path.write_bytes(OLD.read_bytes())
    with pytest.raises(OldSchemaError, match="unipelt-search upgrade"):
        StudyStore.open(f"sqlite:///{path}", create=False)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM ups_alembic_version").fetchone() == ("0001",)


def test_every_database_is_upgraded_and_its_sentences_become_notices(
    database_url: str, study_spec: Callable[..., StudySpec], task: TaskSummary
) -> None:
    store = StudyStore.open(database_url)
    study = store.studies.create(study_spec("first"), task, {}, "")
    sentence = Notice(code="legacy", values={"sentence": "größer 🎉"})
    store.studies.add_notice(study, sentence)
    store.studies.add_dropped(study, DroppedMethod(method="head", phase="tune", reason=sentence))
    downgraded(store, "0003")
    store.close()
    if database_url.startswith("sqlite"):
        with StudyReader.open(database_url) as reader:
            assert reader.studies.load("first").notices == (sentence,)
    else:
        with pytest.raises(OldSchemaError, match="unipelt-search upgrade"):
            StudyReader.open(database_url)
    with StudyReader.open(database_url, any_schema=True) as reader:
        assert (reader.studies.names(), reader.studies.spec("first")) == (["first"], study_spec("first"))
    assert upgrade_database(database_url).before == "0003"
    store = StudyStore.open(database_url)
    record = store.studies.load("first")
    assert (record.notices, [row.reason for row in record.dropped]) == ((sentence,), [sentence])
    # The hash of a notice that was a sentence is that of the same notice today.
    store.studies.add_notice(study, sentence)
    assert store.studies.load("first").notices == (sentence,)
    store.close()


def test_a_newer_schema_is_refused_by_readers_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    StudyStore.open(url).close()
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("UPDATE ups_alembic_version SET version_num = '9999'")
        connection.commit()
    for open_it in (StudyReader.open, upgrade_database):
        with pytest.raises(StorageError, match="has schema 9999, known: up to"):
            open_it(url)

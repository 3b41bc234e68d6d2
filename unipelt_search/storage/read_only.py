"""Opening a study database so that reading it changes nothing: no table, no file, no copy beside it.

A SQLite file in write-ahead mode is read together with its log ``-wal``, and SQLite itself needs an index of the log,
``-shm``, which it makes or writes even for a connection that only reads. So:

    a log and its index are there       mode=ro, and the index is read, never written
    no log, the folder is read-only     immutable=1: nobody can begin a log while we read
    no log, no write-ahead mode         mode=ro
    anything else                       a copy of the file and its log in a temporary folder

An older schema is always copied and upgraded in the copy. Servers are read in transactions that may not write.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event

from unipelt_search.errors import StorageError
from unipelt_search.storage.connection import (
    Database,
    begin_sqlite,
    check_exists,
    is_sqlite,
    make_engine,
    parse_url,
    redacted_url,
    sqlite_path,
)
from unipelt_search.storage.sqlite import BUSY_SECONDS
from unipelt_search.storage.upgrade import check_schema, existing_schema, newest_schema, upgrade

_SIDE_FILES = ("-wal", "-journal")
"""What belongs to a SQLite file and is copied with it; ``-shm`` is made anew from the log."""
_TRIES = 20
_PAUSE_SECONDS = 0.05
_MAGIC = b"SQLite format 3\x00"
_WRITE_AHEAD = 2
"""What bytes 18 and 19 of a file in write-ahead mode are. Source: https://www.sqlite.org/fileformat.html#file_format_version_numbers"""


def open_to_read(url: str, *, any_schema: bool = False) -> Database:
    """Open a study database to read it; nothing is written to it, nor beside it.

    Args:
        url: A SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB.
        any_schema: Leave an older schema as it is; only what every schema has may then be read.

    Returns:
        The database; `close` removes the copy that an older SQLite file needs.

    Raises:
        RequestError: The URL is wrong.
        MachineError: The driver is not installed, or a file that is not there could not be made either.
        StudyNotFoundError: No study database is there.
        OldSchemaError: It is an older one on a server.
        StorageError: The database cannot be read, or was written by a newer version.
    """
    database = open_any(url)
    try:
        found = existing_schema(database)
        if any_schema or found == newest_schema():
            return database
        if not database.is_sqlite:
            check_schema(database)
        return _upgraded_copy(database)
    except BaseException:
        database.close()
        raise


def open_any(url: str) -> Database:
    """Open any database to read it, whatever tables it has; nothing is written to it, nor beside it.

    Args:
        url: A SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB.

    Returns:
        The database.

    Raises:
        RequestError: The URL is wrong.
        MachineError: The driver is not installed, or a file that is not there could not be made either.
        StudyNotFoundError: The file is not there.
        StorageError: The file changes all the time.
    """
    parsed = parse_url(url)
    check_exists(parsed)
    if is_sqlite(parsed):
        return _open_file(parsed)
    return Database(parsed, make_engine(parsed).execution_options(postgresql_readonly=True))


def _open_file(url: URL) -> Database:
    """Open a SQLite file in the first way that changes nothing; a driver may begin or end in the meantime."""
    path = sqlite_path(url)
    for _ in range(_TRIES):
        how = _how_to_read(path)
        if how is not None and _can_read(path, how):
            return Database(url, _reading_engine(url, how))
        copied = _copied(url)
        if copied is not None:
            return copied
        time.sleep(_PAUSE_SECONDS)
    raise StorageError(
        f"The study database {redacted_url(url)} must stand still for a moment to be copied; it changed {_TRIES} times "
        "meanwhile. Try again."
    )


def _how_to_read(path: Path) -> str | None:
    """Return the parameters of SQLite's URI with which reading a file writes nothing; None where it must be copied."""
    if _side_file(path, "-wal").exists():
        # SQLite asks nobody for the index but opens it: read-only, it never rewrites what a killed driver left.
        return "mode=ro&readonly_shm=1" if _side_file(path, "-shm").exists() else None
    if not os.access(path.parent, os.W_OK):
        return "mode=ro&immutable=1"
    return None if _is_write_ahead(path) else "mode=ro"


def _can_read(path: Path, how: str) -> bool:
    """Tell whether SQLite can open a file so; another fault, as damage, is told when the file is read."""
    try:
        with closing(_connect(path, how)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return not any(word in str(error) for word in ("unable to open", "readonly"))
    except sqlite3.DatabaseError:
        return True
    return True


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?{how}"
    # None: the driver begins no transaction by itself.
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _reading_engine(url: URL, how: str) -> Engine:
    path = sqlite_path(url)
    engine = create_engine(url, creator=lambda: _connect(path, how), hide_parameters=True)
    event.listen(engine, "begin", begin_sqlite)
    return engine


def _copied(url: URL) -> Database | None:
    """Open a copy of a file and its log; None where either changed while it was copied."""
    path = sqlite_path(url)
    folder = TemporaryDirectory(prefix="unipelt-search-")
    copy = Path(folder.name) / path.name
    engine = make_engine(url.set(database=str(copy)))
    # The URL stays that of the user's file, because messages name it.
    database = Database(url, engine, clean_up=folder.cleanup)
    try:
        with database.translated_errors():
            stood_still = _copy_files(path, copy)
    except BaseException:
        database.close()
        raise
    if stood_still:
        return database
    database.close()
    return None


def _copy_files(path: Path, copy: Path) -> bool:
    """Copy a file and its log; tells whether both stood still meanwhile."""
    before = _stamps(path)
    shutil.copyfile(path, copy)
    for suffix in _SIDE_FILES:
        try:
            shutil.copyfile(_side_file(path, suffix), _side_file(copy, suffix))
        except FileNotFoundError:
            continue  # there is none, or a driver that ended has just removed it, which the stamps tell
    return before == _stamps(path)


def _upgraded_copy(database: Database) -> Database:
    """Copy an older database into a temporary folder and upgrade it there; closes the one that was copied."""
    path = sqlite_path(database.url)
    folder = TemporaryDirectory(prefix="unipelt-search-")
    copy = Path(folder.name) / path.name
    engine = make_engine(database.url.set(database=str(copy)))
    upgraded = Database(database.url, engine, clean_up=folder.cleanup)
    try:
        with database.translated_errors(reading=True), database.connection() as connection:
            # SQLite's own copying sees one moment, whatever a driver writes meanwhile.
            source = connection.connection.dbapi_connection
            with closing(sqlite3.connect(copy)) as target:
                source.backup(target)  # type: ignore[union-attr]
        upgrade(upgraded, keep_copy=False)
    except BaseException:
        upgraded.close()
        raise
    database.close()
    return upgraded


def _stamps(path: Path) -> list[tuple[int, int, int] | None]:
    """Return what changes whenever a file or its log is written to."""
    return [_stamp(path), *(_stamp(_side_file(path, suffix)) for suffix in _SIDE_FILES)]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _side_file(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _is_write_ahead(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return False  # SQLite says what is wrong
    return header.startswith(_MAGIC) and _WRITE_AHEAD in header[18:20]

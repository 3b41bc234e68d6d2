"""SQLite, so that several processes may write.

A write-ahead log, a minute of patience for a lock, and write transactions that take the lock when they begin. A
transaction that reads first and writes later would fail at once where another process has written in between
(SQLITE_BUSY_SNAPSHOT), however patient it is.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import cast

from sqlalchemy import Connection

BUSY_SECONDS = 60
_RETRY_SECONDS = (0.002, 0.02)


def set_up_sqlite(connection: sqlite3.Connection, record: object) -> None:
    """Prepare a new connection to a SQLite file: a write-ahead log, foreign keys, transactions that we begin."""
    # None: the driver begins no transaction by itself, `_begin_sqlite` does.
    connection.isolation_level = None
    _switch_to_wal(connection)
    connection.execute("PRAGMA foreign_keys=ON")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging, once; SQLite does not wait for a lock by itself when it switches."""
    end = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def begin_immediate(connection: Connection) -> None:
    """Begin a transaction on SQLite with the lock to write, waiting for it with the same odds as everybody.

    SQLite's own waiting tries ever less often, so that of many writers one may lose against newcomers for minutes.

    Args:
        connection: A connection of an engine that `set_up_sqlite` prepared.
    """
    raw = cast(sqlite3.Connection, connection.connection.dbapi_connection)
    end = time.monotonic() + BUSY_SECONDS
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while time.monotonic() < end:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    break
                time.sleep(random.uniform(*_RETRY_SECONDS))
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # the last time, with an error that SQLAlchemy has translated
    finally:
        raw.execute(f"PRAGMA busy_timeout={1000 * BUSY_SECONDS}")


def back_up(path: Path, revision: str) -> Path:
    """Copy a SQLite file that is in use, whole or not at all.

    Args:
        path: The file.
        revision: Its schema, for the copy's name.

    Returns:
        The copy, beside it: ``studies.db.schema-0001``; an older copy of that name is replaced.

    Raises:
        OSError: It cannot be written.
    """
    copy = path.with_name(f"{path.name}.schema-{revision}")
    half = copy.with_name(f"{copy.name}.{os.getpid()}")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(half)) as target:
        source.backup(target)
    os.replace(half, copy)
    return copy

"""One study database: its engine, its transactions, and bringing its tables up to date.

SQLite is set up so that several processes may write: a write-ahead log, a minute of patience for a lock, and
write transactions that take the lock when they begin. A transaction that reads first and writes later would fail
at once where another process has written in between (SQLITE_BUSY_SNAPSHOT), however patient it is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from unipelt_search.errors import MachineError, RequestError, StorageError, StudyNotFoundError
from unipelt_search.storage.tables import VERSION_TABLE

BUSY_SECONDS = 60
_EXAMPLES = "sqlite:///studies/studies.db or postgresql://user@host/database"
_INSTALL = {"psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}
_SECRET_PARAMETERS = {"password", "passwd", "sslpassword", "ssl_key_password"}
_WRITES = "unipelt_writes"


class Database:
    """One study database. Objects may be used by several threads, never across a fork."""

    def __init__(self, url: str, *, create: bool) -> None:
        """Open the database and bring its tables up to date.

        Args:
            url: A SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB.
            create: Make a SQLite file and the tables where there are none.

        Raises:
            RequestError: The URL is wrong.
            MachineError: The driver is not installed, or the place cannot be written to.
            StudyNotFoundError: ``create`` is False and no study database is there.
            StorageError: The database cannot be used.
        """
        self.url = parse_url(url)
        self.shown = shown_url(self.url)
        """The URL as it may be printed, without passwords."""
        path = Path(self.url.database or "") if self.is_sqlite else None
        if path is not None and create:
            _make_folder(path.parent)
        elif path is not None and not path.exists():
            _check_folder(path.parent)
            raise StudyNotFoundError(
                f"--storage must name a study database that is there; got {self.shown}. `unipelt-search run` makes one."
            )
        self._engine = _make_engine(self.url, self.shown)
        # Our reads are several statements; they must all see the same moment.
        self._reader = self._engine if self.is_sqlite else self._engine.execution_options(
            isolation_level="REPEATABLE READ"
        )  # fmt: skip
        self._writer = self._engine.execution_options(**{_WRITES: True})
        with self._errors():
            self._upgrade(create)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def session(self, *, write: bool = False) -> Iterator[Session]:
        """Open one transaction: committed at the end of the block, rolled back where the block raises.

        Args:
            write: Whether the block writes; two such blocks on SQLite run one after the other.

        Yields:
            A session that is closed behind the block.

        Raises:
            StorageError: The database refused.
        """
        with (
            self._errors(),
            Session(self._writer if write else self._reader, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise StorageError(self._sentence(error)) from error

    def _sentence(self, error: SQLAlchemyError) -> str:
        cause = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
        if "file is not a database" in cause:
            return f"--storage must name a SQLite database; {self.shown} is a file of another kind. Name another file."
        if "malformed" in cause:
            return f"The study database {self.shown} is damaged ({cause}). Restore a copy, or name another file."
        if "locked" in cause:
            return f"The study database {self.shown} stayed locked by another program for {BUSY_SECONDS} s. Try again."
        return f"The study database {self.shown} must be readable and writable; it answered: {cause}."

    def _upgrade(self, create: bool) -> None:
        config = Config()
        # A percent sign begins an interpolation in alembic's settings.
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        script = ScriptDirectory.from_config(config)
        known = [revision.revision for revision in script.walk_revisions()]
        with self._reader.connect() as connection:
            current = _revision(connection)
        if current is None and not create:
            raise StudyNotFoundError(f"--storage must name a study database; {self.shown} holds no studies.")
        if current is not None and current not in known:
            raise StorageError(
                f"The study database {self.shown} must not be newer than this unipelt-search; it has schema {current}, "
                f"known: up to {known[0]}. Upgrade unipelt-search."
            )
        if current != script.get_current_head():
            with self._writer.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


def parse_url(url: str) -> URL:
    """Read a database URL and choose the driver where it names none.

    Args:
        url: For example ``sqlite:///studies/studies.db`` or ``postgresql://user@host/name``.

    Returns:
        The URL with a driver; a SQLite path is absolute.

    Raises:
        RequestError: It is no URL, or of a database that is not supported.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise RequestError(f"--storage must be a database URL, such as {_EXAMPLES}; got no URL.") from error
    backend, _, driver = parsed.drivername.partition("+")
    if backend in {"postgresql", "postgres"}:
        default = "psycopg2" if find_spec("psycopg") is None and find_spec("psycopg2") else "psycopg"
        return parsed.set(drivername=f"postgresql+{driver or default}")
    if backend in {"mysql", "mariadb"}:
        return parsed.set(drivername=f"mysql+{driver or 'pymysql'}")
    if backend != "sqlite":
        raise RequestError(
            f"--storage must be a URL of SQLite, PostgreSQL, MySQL or MariaDB, such as {_EXAMPLES}; got {backend!r}."
        )
    path = parsed.database or ":memory:"
    if path == ":memory:" or path.startswith("file:"):
        raise RequestError(
            f"--storage must name a SQLite file, such as sqlite:///studies/studies.db; got {shown_url(parsed)}."
        )
    return parsed.set(database=str(Path(path).absolute()))


def shown_url(url: URL) -> str:
    """Return a URL as it may be printed: every password is three stars."""
    hidden: dict[str, Any] = {name: "***" for name in url.query if name.lower() in _SECRET_PARAMETERS}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def engine_arguments(url: URL) -> dict[str, Any]:
    """Return the arguments of ``create_engine`` that every engine over a study database needs."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    return {"pool_pre_ping": True}


def _make_engine(url: URL, shown: str) -> Engine:
    try:
        engine = create_engine(
            url,
            **engine_arguments(url),
            hide_parameters=True,
            json_serializer=partial(json.dumps, allow_nan=False),
        )
    except ImportError as error:
        package = _INSTALL.get(error.name or "", error.name)
        raise MachineError(
            f"--storage must name a database whose driver is installed; {shown} needs the Python package "
            f"{error.name}. Install it: pip install '{package}'."
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise RequestError(f"--storage must be a database URL, such as {_EXAMPLES}; got {shown}: {error}.") from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: SqliteConnection, record: object) -> None:
    # None: the driver begins no transaction by itself, `_begin_sqlite` does.
    connection.isolation_level = None
    _switch_to_wal(connection)
    connection.execute("PRAGMA foreign_keys=ON")


def _switch_to_wal(connection: SqliteConnection) -> None:
    """Switch the file to write-ahead logging, once; SQLite does not wait for a lock by itself when it switches."""
    end = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(connection: Connection) -> str | None:
    revision: str | None = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()
    return revision


def _check_folder(folder: Path) -> None:
    """Check that a folder is there and can be written to, or can be made, before a study does any work for it."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "is no folder" if not nearest.is_dir() else "cannot be written to"
        raise MachineError(
            f"--storage must lie in a folder that can be written to; {nearest} {why}. Name another file."
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"--storage must lie in a folder that can be made; got {folder}: {error}.") from error

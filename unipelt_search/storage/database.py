"""One study database: its engine, its transactions, and bringing its tables up to date."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, literal_column, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from unipelt_search.errors import MachineError, RequestError, StorageError, StudyNotFoundError, TransientError
from unipelt_search.failpoints import reach
from unipelt_search.storage.retry_policy import RetryPolicy, is_transient
from unipelt_search.storage.sqlite import BUSY_SECONDS, back_up, begin_immediate, set_up_sqlite
from unipelt_search.storage.tables import VERSION_TABLE, UtcDateTime

_EXAMPLES = "sqlite:///studies/studies.db or postgresql://user@host/database"
_INSTALL = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
_SECRET_PARAMETERS = {"password", "passwd", "sslpassword", "ssl_key_password"}
_WRITES = "unipelt_writes"
_MIGRATIONS = Path(__file__).parent / "migrations"
_NOW = {
    # Three zeros more, because SQLAlchemy reads the fraction as microseconds.
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'",
    "postgresql": "timezone('utc', clock_timestamp())",
    "mysql": "utc_timestamp(6)",
}
# Of two that make the tables at once, one waits; SQLite's transaction has the lock. Ends with the transaction or, in
# MySQL, the connection.
_UPGRADE_LOCK = {
    "postgresql": "SELECT pg_advisory_xact_lock(hashtext('unipelt_search'))",
    "mysql": "SELECT get_lock(concat('unipelt_search ', database()), 60)",
}
# What reading a row raises whose bytes are not what was written.
_UNREADABLE = (ValueError, LookupError, TypeError)
_BYTES = (UnicodeDecodeError, json.JSONDecodeError)

_Result = TypeVar("_Result")


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
        self.redacted = redacted_url(self.url)
        """The URL as it may be printed, without passwords."""
        self.retry_policy = RetryPolicy(self.redacted)
        """How long work waits for a database that goes away once it is open."""
        path = Path(self.url.database or "") if self.is_sqlite else None
        if path is not None and create:
            _make_folder(path.parent)
        elif path is not None and not path.exists():
            _check_folder(path.parent)
            raise StudyNotFoundError(
                f"--storage must name a study database that is there; got {self.redacted}. "
                "`unipelt-search run` makes one."
            )
        self._engine = _make_engine(self.url, self.redacted)
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

    def read(self, work: Callable[[Session], _Result]) -> _Result:
        """Read in one transaction, again and again while the database is away.

        Args:
            work: What to read; may be called several times.

        Returns:
            What it returned.

        Raises:
            StorageError: The database refused, or stayed away.
        """

        def once() -> _Result:
            with self.session() as session:
                return work(session)

        return self.retry_policy.retry(once)

    def write(
        self,
        step: str,
        work: Callable[[Session], _Result],
        done: Callable[[Session], _Result | None] | None = None,
    ) -> _Result:
        """Write in one transaction, again while the database is away, and once all the same.

        Args:
            step: What the work does, the name of its failpoints.
            work: What to write; may be called several times.
            done: Where doing it twice would differ: what the work has returned if it was committed already, else
                None. It is asked when the answer to a commit was lost.

        Returns:
            What the work returned.

        Raises:
            StorageError: The database refused, or stayed away.
        """

        def once(again: bool) -> _Result:
            with self.session(write=True, step=step) as session:
                before = done(session) if again and done is not None else None
                return work(session) if before is None else before

        return self.retry_policy.run(once)

    @contextmanager
    def session(self, *, write: bool = False, step: str = "database.write") -> Iterator[Session]:
        """Open one transaction, once: committed at the end of the block, rolled back where the block raises.

        Args:
            write: Whether the block writes; two such blocks on SQLite run one after the other.
            step: What a writing block does, the name of its failpoints: ``….before`` and ``….after`` the commit.

        Yields:
            A session that is closed behind the block.

        Raises:
            TransientError: The database is away, or another transaction was in the way.
            StorageError: The database refused, or holds what no version writes.
        """
        with self._errors(reading=not write):
            with Session(self._writer if write else self._reader, expire_on_commit=False) as session, session.begin():
                yield session
                if write:
                    reach(f"{step}.before")
            if write:
                reach(f"{step}.after")

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._engine.dispose()

    @contextmanager
    def _errors(self, *, reading: bool = False) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            if is_transient(error):
                self.retry_policy.note_away()
                raise TransientError(self._sentence(error)) from error
            raise StorageError(self._sentence(error)) from error
        except OSError as error:
            raise StorageError(f"The study database {self.redacted} must be writable; it answered: {error}.") from error
        except _UNREADABLE as error:
            # A block that writes computes as well, and a fault of ours there must not look like damage.
            if not reading and not isinstance(error, _BYTES) and type(error) is not LookupError:
                raise
            raise StorageError(
                f"The study database {self.redacted} is damaged: a row holds what was never written "
                f"({' '.join(str(error).split())[:300]}). Restore a copy, or name another file."
            ) from error

    def _sentence(self, error: SQLAlchemyError) -> str:
        cause = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
        if "file is not a database" in cause:
            return (
                f"--storage must name a SQLite database; {self.redacted} is a file of another kind. Name another file."
            )
        if "disk is full" in cause:
            free = shutil.disk_usage(Path(self.url.database or ".").parent).free / 1e9
            return f"The study database {self.redacted} needs more room; {free:.1f} GB are free on its disk. Make room."
        if "malformed" in cause or "decode" in cause:
            return f"The study database {self.redacted} is damaged ({cause}). Restore a copy, or name another file."
        if "locked" in cause:
            return (
                f"The study database {self.redacted} stayed locked by another program for {BUSY_SECONDS} s. Try again."
            )
        return f"The study database {self.redacted} must be readable and writable; it answered: {cause}."

    def _upgrade(self, create: bool) -> None:
        config = Config()
        # A percent sign begins an interpolation in alembic's settings.
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        script = ScriptDirectory.from_config(config)
        known = [revision.revision for revision in script.walk_revisions()]
        with self._reader.connect() as connection:
            current = _revision(connection)
        if current is None and not create:
            raise StudyNotFoundError(f"--storage must name a study database; {self.redacted} holds no studies.")
        if current is not None and current not in known:
            raise StorageError(
                f"The study database {self.redacted} must not be newer than this unipelt-search; it has schema "
                f"{current}, known: up to {known[0]}. Upgrade unipelt-search."
            )
        head = script.get_current_head()
        if current == head:
            return
        with self._writer.begin() as connection:
            lock = _UPGRADE_LOCK.get(self.url.get_backend_name())
            if lock is not None:
                connection.execute(text(lock))
            # Read again under the lock: another process may have upgraded in between.
            current = _revision(connection)
            if current is not None and current != head and self.is_sqlite:
                back_up(Path(self.url.database or ""), current)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            reach("database.upgrade.before")
        self._engine.dispose()  # with MySQL's connection ends its lock
        reach("database.upgrade.after")


def database_now(session: Session) -> datetime:
    """Ask the database for the time, which is the same for all who use it.

    Args:
        session: An open transaction.

    Returns:
        The moment of asking, aware, in UTC.
    """
    clock = _NOW[session.get_bind().dialect.name]
    now: datetime = session.scalars(select(literal_column(clock, UtcDateTime()))).one()
    return now


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
            f"--storage must name a SQLite file, such as sqlite:///studies/studies.db; got {redacted_url(parsed)}."
        )
    return parsed.set(database=str(Path(path).absolute()))


def redacted_url(url: URL) -> str:
    """Return a URL as it may be printed: every password is three stars."""
    hidden: dict[str, Any] = {name: "***" for name in url.query if name.lower() in _SECRET_PARAMETERS}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def engine_arguments(url: URL) -> dict[str, Any]:
    """Return the arguments of ``create_engine`` that every engine over a study database needs."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    return {"pool_pre_ping": True}


def _make_engine(url: URL, redacted: str) -> Engine:
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
            f"--storage must name a database whose driver is installed; {redacted} needs the Python package "
            f"{error.name}. Install it: pip install '{package}'."
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise RequestError(
            f"--storage must be a database URL, such as {_EXAMPLES}; got {redacted}: {error}."
        ) from error
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITES, False):
        begin_immediate(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _revision(connection: Connection) -> str | None:
    revision: str | None = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()
    return revision


def _check_folder(folder: Path) -> None:
    """Check that a folder is there and can be written to, or can be made, before a study does any work for it."""
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
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

"""One study database: its URL, its engine, its transactions, and what its errors mean."""

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

from sqlalchemy import URL, Connection, Engine, create_engine, event, literal_column, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from unipelt_search.errors import MachineError, RequestError, StorageError, StudyNotFoundError, TransientError
from unipelt_search.failpoints import reach
from unipelt_search.storage.retry_policy import RetryPolicy, is_transient
from unipelt_search.storage.sqlite import BUSY_SECONDS, begin_immediate, set_up_sqlite
from unipelt_search.storage.tables import UtcDateTime

_EXAMPLES = "sqlite:///studies/studies.db or postgresql://user@host/database"
_INSTALL = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
_SECRET_PARAMETERS = {"password", "passwd", "sslpassword", "ssl_key_password"}
_WRITES = "unipelt_writes"
_NOW = {
    # Three zeros more, because SQLAlchemy reads the fraction as microseconds.
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'",
    "postgresql": "timezone('utc', clock_timestamp())",
    "mysql": "utc_timestamp(6)",
}
# What reading a row raises whose bytes are not what was written.
_UNREADABLE = (ValueError, LookupError, TypeError)
_BYTES = (UnicodeDecodeError, json.JSONDecodeError)

_Result = TypeVar("_Result")


class Database:
    """One study database. Objects may be used by several threads, never across a fork."""

    def __init__(self, url: URL, engine: Engine, *, clean_up: Callable[[], object] | None = None) -> None:
        """Take an engine; nothing is asked of the database yet.

        Args:
            url: As `parse_url` returns it, for messages and for Optuna's own engine.
            engine: Over this database, or over a copy of it.
            clean_up: Removes what reading needed, after the last connection is closed.
        """
        self.url = url
        self.redacted = redacted_url(url)
        """The URL as it may be printed, without passwords."""
        self.retry_policy = RetryPolicy(self.redacted)
        """How long work waits for a database that goes away once it is open."""
        self._engine = engine
        self._clean_up = clean_up
        # Our reads are several statements; they must all see the same moment, as they do on SQLite by themselves.
        self._reader = engine
        if not self.is_sqlite:
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ")
        self._writer = engine.execution_options(**{_WRITES: True})

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return is_sqlite(self.url)

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
                None. It is asked when the response to a commit was lost.

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
            A session that is closed after the block.

        Raises:
            TransientError: The database is away, or another transaction was in the way.
            StorageError: The database refused, or holds what no version writes.
        """
        engine = self._writer if write else self._reader
        with self.translated_errors(reading=not write):
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
                if write:
                    reach(f"{step}.before")
            if write:
                reach(f"{step}.after")

    @contextmanager
    def connection(self, *, write: bool = False) -> Iterator[Connection]:
        """Open one transaction without objects, as a change of the schema needs it.

        Args:
            write: Whether the block writes.

        Yields:
            A connection; what it did is committed at the end of the block.
        """
        engine = self._writer if write else self._reader
        with engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection that is not in use, and remove what reading needed."""
        self.disconnect()
        if self._clean_up is not None:
            self._clean_up()

    def disconnect(self) -> None:
        """Close every connection that is not in use; the next use makes new ones."""
        self._engine.dispose()

    @contextmanager
    def translated_errors(self, *, reading: bool = False) -> Iterator[None]:
        """Raise what a database raises as the errors of this package.

        Args:
            reading: Whether the block only reads, so that a value it cannot use is damage and no fault of ours.

        Yields:
            Nothing.

        Raises:
            TransientError: The database is away, or another transaction was in the way.
            StorageError: The database refused, or holds what no version writes.
        """
        try:
            yield
        except SQLAlchemyError as error:
            if is_transient(error):
                self.retry_policy.note_away()
                raise TransientError(self._message(error)) from error
            raise StorageError(self._message(error)) from error
        except OSError as error:
            raise StorageError(
                f"The study database {self.redacted} must be writable; it responded: {error}."
            ) from error
        except _UNREADABLE as error:
            # A block that writes computes as well, and a fault of ours there must not look like damage.
            if not reading and not isinstance(error, _BYTES) and type(error) is not LookupError:
                raise
            cause = " ".join(str(error).split())[:300]
            raise StorageError(
                f"The study database {self.redacted} is damaged: a row holds what was never written ({cause}). "
                "Restore a copy, or name another file."
            ) from error

    def _message(self, error: SQLAlchemyError) -> str:
        original = error.orig if isinstance(error, DBAPIError) else error
        cause = " ".join(str(original).split())
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
        return f"The study database {self.redacted} must be readable and writable; it responded: {cause}."


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


def is_sqlite(url: URL) -> bool:
    """Tell whether a URL names a SQLite file."""
    return url.get_backend_name() == "sqlite"


def sqlite_path(url: URL) -> Path:
    """Return the path of a SQLite file.

    Args:
        url: As `parse_url` returns it.

    Returns:
        The absolute path.
    """
    return Path(url.database or "")


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
        return parsed.set(drivername=f"postgresql+{driver or _postgresql_driver()}")
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


def _postgresql_driver() -> str:
    """Return psycopg 3, or psycopg 2 where it alone is installed."""
    if find_spec("psycopg") is None and find_spec("psycopg2"):
        return "psycopg2"
    return "psycopg"


def redacted_url(url: URL) -> str:
    """Return a URL as it may be printed: every password is three stars."""
    secret = [name for name in url.query if name.lower() in _SECRET_PARAMETERS]
    hidden: dict[str, Any] = dict.fromkeys(secret, "***")
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def engine_arguments(url: URL) -> dict[str, Any]:
    """Return the arguments of ``create_engine`` that every engine over a study database needs."""
    if is_sqlite(url):
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    return {"pool_pre_ping": True}


def make_engine(url: URL) -> Engine:
    """Make the engine of a database that is written to.

    Args:
        url: As `parse_url` returns it.

    Returns:
        The engine; it has no connection yet.

    Raises:
        MachineError: The driver is not installed.
        RequestError: The URL is wrong.
    """
    redacted = redacted_url(url)
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
    if is_sqlite(url):
        event.listen(engine, "connect", set_up_sqlite)
        event.listen(engine, "begin", begin_sqlite)
    return engine


def begin_sqlite(connection: Connection) -> None:
    """Begin a transaction on SQLite, with the lock to write where the engine's options say that it writes.

    Args:
        connection: A connection whose driver begins no transaction by itself.
    """
    if connection.get_execution_options().get(_WRITES, False):
        begin_immediate(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def make_folder(url: URL) -> None:
    """Make the folder of a SQLite file; nothing happens for a server.

    Args:
        url: As `parse_url` returns it.

    Raises:
        MachineError: It cannot be made.
    """
    if not is_sqlite(url):
        return
    folder = sqlite_path(url).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"--storage must lie in a folder that can be made; got {folder}: {error}.") from error


def check_exists(url: URL) -> None:
    """Check that a SQLite file is there; nothing happens for a server.

    Args:
        url: As `parse_url` returns it.

    Raises:
        MachineError: It is not, and could not be made either.
        StudyNotFoundError: It is not.
    """
    if not is_sqlite(url) or sqlite_path(url).exists():
        return
    _check_folder(sqlite_path(url).parent)
    raise StudyNotFoundError(
        f"--storage must name a study database that is there; got {redacted_url(url)}. `unipelt-search run` makes one."
    )


def check_writable(url: str) -> None:
    """Check that a SQLite file can be written to, or made, before a study does any work for it.

    Args:
        url: A SQLAlchemy URL; a server says by itself what is allowed there.

    Raises:
        RequestError: The URL is wrong.
        MachineError: The file or its folder is read-only.
    """
    parsed = parse_url(url)
    if not is_sqlite(parsed):
        return
    path = sqlite_path(parsed)
    _check_folder(path.parent)
    if path.exists() and not os.access(path, os.W_OK):
        raise MachineError(f"--storage must name a file that can be written to; {path} is read-only. Name another one.")


def _check_folder(folder: Path) -> None:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not nearest.is_dir():
        why = "is no folder"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        why = "cannot be written to"
    else:
        return
    raise MachineError(f"--storage must lie in a folder that can be written to; {nearest} {why}. Name another file.")

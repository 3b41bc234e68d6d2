"""Opening a study database, to read it or to write to it, and putting its parts together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from types import TracebackType
from typing import Self

from unipelt_search.errors import StudyNotFoundError
from unipelt_search.storage.attempts import Attempts
from unipelt_search.storage.connection import Database, make_engine, make_folder, parse_url
from unipelt_search.storage.event_table import EventReader, EventTable
from unipelt_search.storage.history_reader import HistoryReader
from unipelt_search.storage.mirror import Mirror, check_name_read_only
from unipelt_search.storage.read_only import open_any, open_to_read
from unipelt_search.storage.runs import Runs
from unipelt_search.storage.studies import Studies
from unipelt_search.storage.upgrade import Upgraded, check_schema, existing_schema, upgrade


class StudyReader:
    """The studies of one database, to be read; nothing is written to it, nor beside it.

    Any process may read at any time, and a reading sees one moment. Use it in a ``with`` block, or close it: an older
    SQLite file is read from a copy that goes with it.
    """

    def __init__(self, database: Database) -> None:
        """Take an open database; `open` is the usual way."""
        self._database = database
        self.studies = HistoryReader(database)
        self.events = EventReader(database)

    @classmethod
    def open(cls, url: str, *, any_schema: bool = False) -> Self:
        """Open a study database to read it.

        Args:
            url: A SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB.
            any_schema: Leave an older schema as it is; only `studies.names` and `studies.spec` may then be asked for.

        Returns:
            The reader.

        Raises:
            RequestError: The URL is wrong, or its driver is not installed.
            StudyNotFoundError: No study database is there.
            OldSchemaError: It is an older one on a server.
            StorageError: The database cannot be read, or was written by a newer version.
        """
        return cls(open_to_read(url, any_schema=any_schema))

    def __enter__(self) -> Self:
        """Return the reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the reader."""
        self.close()

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._database.close()


class StudyStore:
    """The studies of one database, by what is written together: `studies`, `runs`, `attempts`, `events`.

    Every method of these is one transaction: it happens whole or not at all, and what it returned survives a kill. Any
    process may read at any time, and a reading sees one moment. Several processes may write; of two that create the
    same name one wins.

    Several drivers may work on one study. Whoever adds a trial may say which number it must get, and is refused when
    another driver was first. A waiting run is started by one of them: `attempts.start` hands out the attempt's number
    and a lease, every later write of the run must bring that number, and once the run was taken away the old number is
    refused. Finished runs never change.

    Our tables are written first; the Optuna mirror follows in a transaction of its own. A kill, an outage or an error
    between the two keeps our change and leaves the mirror outdated until `runs.repair_mirror`, as do drivers that write
    it at once: were each of them to repair it at once, they would undo one another's repairs.

    A store may be used by several threads, never across a fork.
    """

    def __init__(self, database: Database) -> None:
        """Take an open database; `open` is the usual way."""
        self._database = database
        self._mirror = Mirror(database.url)
        self.url = database.url.render_as_string(hide_password=False)
        """The URL with its password, to open the database again; print `redacted_url` instead."""
        self.redacted_url = database.redacted
        self.retry_policy = database.retry_policy
        """How long the store waits for a database that is away."""
        self.studies = Studies(database, self._mirror)
        self.runs = Runs(database, self._mirror)
        self.attempts = Attempts(database)
        """Who works on which run, and for how long."""
        self.events = EventTable(database)
        """What the drivers did."""

    def notify_of_waits(self, notify: Callable[[str], object]) -> None:
        """Tell somebody, in one line, when the store begins to wait for a database that is away, and when it is back.

        Args:
            notify: Is told in the thread that waits; whoever was told before no longer is.
        """
        self.retry_policy.notify = notify

    def stop_waiting(self) -> None:
        """Wait no longer for a database that is away; may be called by a signal's handler."""
        self.retry_policy.stop_waiting()

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> StudyStore:
        """Open a study database to write to it.

        Args:
            url: A SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB.
            create: Make the SQLite file, its folder and the tables where there are none, and bring older tables up to
                date. Without it the database must be there and have the schema of this version.

        Returns:
            The store.

        Raises:
            RequestError: The URL is wrong, or its driver is not installed.
            StudyNotFoundError: ``create`` is False and no study database is there.
            OldSchemaError: ``create`` is False and the tables are those of an older version.
            StorageError: The database cannot be used, or was written by a newer version.
        """
        parsed = parse_url(url)
        if create:
            make_folder(parsed)
        else:
            # By a reader, because the first connection that may write changes a file already.
            with closing(open_to_read(url, any_schema=True)) as found:
                check_schema(found)
        database = Database(parsed, make_engine(parsed))
        if create:
            upgrade(database)
        return cls(database)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._database.close()
        self._mirror.close()


def upgrade_database(url: str) -> Upgraded:
    """Bring the tables of a study database up to date; a database that is up to date stays as it is.

    Args:
        url: A SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB.

    Returns:
        What was found and done.

    Raises:
        RequestError: The URL is wrong, or its driver is not installed.
        StudyNotFoundError: No study database is there.
        StorageError: The database cannot be used, or was written by a newer version.
    """
    with closing(open_to_read(url, any_schema=True)) as found:
        existing_schema(found)
    parsed = parse_url(url)
    with closing(Database(parsed, make_engine(parsed))) as database:
        return upgrade(database)


def check_new_name(url: str, name: str) -> None:
    """Check that a new study would not take the name of somebody's Optuna study; nothing is made or changed for it.

    Args:
        url: A SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB.
        name: The study's name.

    Raises:
        StudyExistsError: An Optuna study of this name is in the database and is no mirror of ours.
        StorageError: The database cannot be read.
    """
    with suppress(StudyNotFoundError), closing(open_any(url)) as database:
        with database.translated_errors(), database.connection() as connection:
            check_name_read_only(connection, name)

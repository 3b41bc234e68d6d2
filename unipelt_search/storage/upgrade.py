"""The schema of a study database: which one it has, and bringing its tables up to date.

Every change of the tables is one more module in ``migrations/versions``. Whoever only reads never upgrades.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from unipelt_search.errors import OldSchemaError, StorageError, StudyNotFoundError
from unipelt_search.failpoints import reach
from unipelt_search.frozen import Frozen
from unipelt_search.storage.connection import Database, sqlite_path
from unipelt_search.storage.sqlite import back_up
from unipelt_search.storage.tables import VERSION_TABLE

_MIGRATIONS = Path(__file__).parent / "migrations"
# Of two that make the tables at once, one waits; SQLite's transaction has the lock. Ends with the transaction or, in
# MySQL, the connection.
_LOCK = {
    "postgresql": "SELECT pg_advisory_xact_lock(hashtext('unipelt_search'))",
    "mysql": "SELECT get_lock(concat('unipelt_search ', database()), 60)",
}


class Upgraded(Frozen):
    """What an upgrade has done."""

    database: str
    """The URL, as it may be printed."""
    before: str | None
    """The schema that was found; None where there were no tables."""
    now: str
    copy_path: str | None = None
    """The copy of the file as it was; None for a server, and where nothing was done."""


def schema_of(database: Database) -> str | None:
    """Read which schema a database has.

    Args:
        database: An open database.

    Returns:
        For example ``0003``; None where it has no tables of ours.

    Raises:
        StorageError: It cannot be read, or was written by a newer version.
    """
    with database.translated_errors(), database.connection() as connection:
        found = _revision(connection)
    known = [revision.revision for revision in _scripts().walk_revisions()]
    if found is not None and found not in known:
        raise StorageError(
            f"The study database {database.redacted} must not be newer than this unipelt-search; it has schema "
            f"{found}, known: up to {known[0]}. Upgrade unipelt-search."
        )
    return found


def newest_schema() -> str:
    """Return the schema that this version writes and reads."""
    return str(_scripts().get_current_head())


def check_schema(database: Database) -> None:
    """Check that a database has the schema of this version.

    Args:
        database: An open database.

    Raises:
        StudyNotFoundError: It has no tables of ours.
        OldSchemaError: It has an older schema.
        StorageError: It has a newer schema, or cannot be read.
    """
    found = existing_schema(database)
    if found != newest_schema():
        raise OldSchemaError(
            f"The study database {database.redacted} must have schema {newest_schema()}; it has {found}. "
            "Upgrade it with the same --storage: unipelt-search upgrade."
        )


def existing_schema(database: Database) -> str:
    """Read the schema of a database that must have one.

    Args:
        database: An open database.

    Returns:
        The schema, of this version or an older one.

    Raises:
        StudyNotFoundError: It has no tables of ours.
        StorageError: It cannot be read, or was written by a newer version.
    """
    found = schema_of(database)
    if found is None:
        raise StudyNotFoundError(f"--storage must name a study database; {database.redacted} holds no studies.")
    return found


def upgrade(database: Database, *, keep_copy: bool = True) -> Upgraded:
    """Make the tables, or bring them up to date, in one transaction where the database can.

    Args:
        database: An open database.
        keep_copy: Copy a SQLite file beside itself before its schema changes.

    Returns:
        What was found and done.

    Raises:
        StorageError: The database refused, or was written by a newer version.
    """
    before = schema_of(database)
    head = newest_schema()
    if before == head:
        return Upgraded(database=database.redacted, before=before, now=head)
    copy: Path | None = None
    with database.translated_errors():
        with database.connection(write=True) as connection:
            lock = _LOCK.get(connection.dialect.name)
            if lock is not None:
                connection.execute(text(lock))
            # Read again under the lock: another process may have upgraded in between.
            current = _revision(connection)
            if current not in {None, head} and database.is_sqlite and keep_copy:
                copy = back_up(sqlite_path(database.url), str(current))
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            reach("database.upgrade.before")
        database.disconnect()  # with MySQL's connection ends its lock
        reach("database.upgrade.after")
    copy_path = None if copy is None else str(copy)
    return Upgraded(database=database.redacted, before=before, now=head, copy_path=copy_path)


def _config() -> Config:
    config = Config()
    # A percent sign begins an interpolation in alembic's settings.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    revision: str | None = context.get_current_revision()
    return revision

"""What alembic runs for every command: the steps, over the connection that ``database.upgrade`` hands in."""

from __future__ import annotations

from alembic import context

from unipelt_search.storage.tables import PREFIX, VERSION_TABLE, Row


def _is_ours(name: str | None, kind: str, parents: object) -> bool:
    return kind != "table" or (name or "").startswith(PREFIX)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    version_table=VERSION_TABLE,
    include_name=_is_ours,
)
with context.begin_transaction():
    context.run_migrations()

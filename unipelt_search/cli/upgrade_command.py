"""The command `upgrade`."""

from __future__ import annotations

import typer

from unipelt_search.cli import options


def upgrade(storage: options.Storage = None) -> None:
    """Upgrade a study database of an older version. A SQLite file is copied first. Harmless where nothing is to do.

    Examples:

        unipelt-search upgrade

        unipelt-search upgrade --storage sqlite:///elsewhere.db
    """
    from unipelt_search import api

    done = api.upgrade_storage(storage=storage)
    if done.before == done.now:
        typer.echo(f"{done.database} has schema {done.now} already; nothing was changed.", err=True)
        return
    typer.echo(f"Upgraded {done.database} from schema {done.before} to {done.now}.", err=True)
    if done.copy_path is not None:
        typer.echo(f"The file as it was is {done.copy_path}.", err=True)

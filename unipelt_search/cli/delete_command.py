"""The command `delete`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from unipelt_search.cli import options
from unipelt_search.specs.option import Option


def delete(
    name: options.StudyName,
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False,
    storage: options.Storage = None,
) -> None:
    """Delete a study with everything that the database holds of it. A terminal is asked first.

    Examples:

        unipelt-search delete reviews-1

        unipelt-search delete reviews-1 --yes
    """
    from unipelt_search import api

    if sys.stdin.isatty() and not yes:
        api.open_study(name, storage=storage)  # a wrong name is told before anything is asked
        typer.confirm(f"Delete study {name!r} with all its trials, runs and gates?", abort=True, err=True)
    api.delete_study(name, storage=storage)
    typer.echo(f"Deleted study {name!r}.", err=True)

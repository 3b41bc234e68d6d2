"""What the shell offers for a half-written word."""

from __future__ import annotations

import typer

from unipelt_search.errors import UnipeltError
from unipelt_search.kinds.label_kind import AUTO, metric_names
from unipelt_search.methods.catalogue import trained_methods


def complete_study(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the studies of the database that the command line names.

    Args:
        context: The command line so far.
        incomplete: The word so far.

    Returns:
        Names that begin with it; none where the database cannot be read, since a shell has no place for an error.
    """
    from unipelt_search import api

    try:
        lines = api.list_studies(storage=context.params.get("storage"))
    except UnipeltError:
        return []
    return [line.name for line in lines if line.name.startswith(incomplete)]


def complete_methods(incomplete: str) -> list[str]:
    """Offer one more method at the end of a comma-separated list.

    Args:
        incomplete: The list so far.

    Returns:
        The list with each method that is not in it and fits the unfinished name.
    """
    *given, begun = incomplete.split(",")
    if "[" in incomplete.rpartition("]")[2]:  # inside a set: a submodule is asked for
        return []
    try:
        known = trained_methods()
    except UnipeltError:
        return []
    fitting = [method for method in known if method.startswith(begun)]
    return [",".join([*given, method]) for method in fitting if method not in given]


def complete_metric(incomplete: str) -> list[str]:
    """Offer the metrics of all kinds of task.

    Args:
        incomplete: The name so far.

    Returns:
        `auto` and the metrics that begin with it.
    """
    return [name for name in (AUTO, *metric_names()) if name.startswith(incomplete)]

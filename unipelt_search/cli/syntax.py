"""How the values of options are written on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unipelt_search.cli.completion import complete_methods, complete_metric
from unipelt_search.cli.durations import parse_duration
from unipelt_search.methods.catalogue import split_methods
from unipelt_search.specs.option import Syntax


def split_names(text: str) -> list[str]:
    """Split a list of names at its commas; empty names are left out.

    Args:
        text: For example ``cola, mrpc``.

    Returns:
        The names.
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def _unchanged(value: Any) -> Any:
    return value


PARSERS: dict[Syntax, Callable[[Any], Any]] = {
    "plain": _unchanged,
    "duration": parse_duration,
    "methods": split_methods,
    "metric": _unchanged,
}
"""What reads each syntax."""
COMPLETIONS: dict[Syntax, Callable[[str], list[str]]] = {
    "methods": complete_methods,
    "metric": complete_metric,
}
"""What completes a half-written value in a shell."""

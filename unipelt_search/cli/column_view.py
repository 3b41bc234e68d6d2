"""What `run` prints where nobody has said which columns are the text and the label."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unipelt_search.records.data_columns import DataColumns
from unipelt_search.specs.option import KeyPath

MAX_COLUMNS = 50
"""Columns that people see; the others are counted."""
_DEFAULT_MODEL = "minilm"


def missing_options(values: Mapping[str, Any], given: Mapping[KeyPath, Any]) -> tuple[str, ...]:
    """Tell what a study lacks, where it is known what its data is but not which columns are meant.

    Args:
        values: What the study file says.
        given: What the command line says.

    Returns:
        Of `--text`, `--label` and `--model` those that are missing; none where both columns are named, or no data.
    """
    task = values.get("task", {})
    if not isinstance(task, Mapping) or not _data(values, given):
        return ()
    missing = [f"--{key}" for key in ("text", "label") if not (task.get(key) or given.get(("task", key)))]
    if missing and "backbone" not in values and ("backbone", "model") not in given:
        missing.append("--model")
    return tuple(missing)


def data_name(values: Mapping[str, Any], given: Mapping[KeyPath, Any]) -> str:
    """Return what the data is called, on the command line or else in the study file."""
    return str(_data(values, given))


def complete_command(found: DataColumns, missing: Sequence[str], words: Sequence[str]) -> str:
    """Return the command that was given with what it lacks.

    Args:
        found: The columns of the data.
        missing: Which options are missing.
        words: The command that was given, from the program's name on.

    Returns:
        The command; `COLUMN` stands for a column that cannot be guessed.
    """
    guessed = {"--text": found.text or ("COLUMN",), "--label": found.label or ("COLUMN",), "--model": (_DEFAULT_MODEL,)}
    completed = list(words)
    for option in missing:
        for value in guessed[option]:
            completed += [option, value]
    return shlex.join(completed)


def show_columns(program: str, found: DataColumns, missing: Sequence[str], command: str, *, as_json: bool) -> None:
    """List the columns of a dataset on stderr, and the command to use.

    Args:
        program: The name that messages begin with.
        found: The columns of the data.
        missing: Which options are missing.
        command: The complete command.
        as_json: Whether the user wants JSON: one object on one line.
    """
    console = Console(stderr=True)
    sentence = f"A study needs {', '.join(missing)}; {found.data} has {_counted(len(found.columns))}."
    if as_json:
        listing = {"error": sentence, "command": command, **found.model_dump(mode="json")}
        console.out(json.dumps(listing), highlight=False)
        return
    console.out(f"{program}: {sentence}", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("column", "filled", "different", "sample", ""):
        table.add_column(header, justify="right" if header in {"filled", "different"} else "left", overflow="fold")
    for column in found.columns[:MAX_COLUMNS]:
        guess = "text?" if column.name in found.text else "label?" * (column.name in found.label)
        cells = (column.name, f"{column.filled} of {found.rows}", f"{column.distinct}", column.sample, guess)
        table.add_row(*map(escape, cells))
    console.print(table)
    if len(found.columns) > MAX_COLUMNS:
        console.out(f"And {len(found.columns) - MAX_COLUMNS} more columns.", highlight=False)
    console.out(f"Run: {command}", highlight=False)


def _data(values: Mapping[str, Any], given: Mapping[KeyPath, Any]) -> object:
    return given.get(("task", "data")) or values.get("task", {}).get("data")


def _counted(columns: int) -> str:
    return "1 column" if columns == 1 else f"{columns} columns"

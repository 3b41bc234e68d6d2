"""From a study file and options to a `StudySpec`; what is wrong becomes one plain sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unipelt_search.cli.durations import parse_duration
from unipelt_search.errors import RequestError
from unipelt_search.methods.catalogue import split_methods
from unipelt_search.specs.load_study import format_validation_error
from unipelt_search.specs.study import StudySpec

_KEYS: dict[str, tuple[str, ...]] = {
    "name": ("name",),
    "data": ("task", "data"),
    "text": ("task", "text"),
    "label": ("task", "label"),
    "metric": ("task", "metric"),
    "allow_overlap": ("task", "allow_overlap"),
    "train_size": ("task", "train_size"),
    "redraw": ("task", "redraw"),
    "model": ("backbone", "model"),
    "methods": ("space", "methods"),
    "allocation": ("space", "allocation"),
    "prune_gates": ("space", "prune_gates"),
    "gate_null": ("space", "gate_null"),
    "max_parameters": ("space", "max_parameters"),
    "max_latency_ms": ("space", "max_latency_ms"),
    "trials": ("budget", "trials"),
    "seeds": ("budget", "seeds"),
    "time": ("budget", "time_seconds"),
    "seed": ("seed",),
    "device": ("machine", "device"),
    "concurrency": ("machine", "concurrency"),
    "gpus_per_trial": ("machine", "gpus_per_trial"),
    "cpus_per_trial": ("machine", "cpus_per_trial"),
    "checkpoints": ("machine", "checkpoints"),
    "address": ("machine", "address"),
}
"""Where each option stands in a study file."""
_OPTIONS: dict[tuple[int | str, ...], str] = {key: f"--{option.replace('_', '-')}" for option, key in _KEYS.items()}
_MAX_MESSAGES = 3


def build_spec(values: Mapping[str, Any], options: Mapping[str, Any]) -> StudySpec:
    """Lay the given options over a study file's values and check the whole.

    Args:
        values: What the study file says; empty without one.
        options: What the command line says, by parameter name; options that were not given are None, empty or
            False.

    Returns:
        The study that is asked for.

    Raises:
        RequestError: Something is missing, unknown or out of range.
    """
    merged: dict[str, Any] = {"task": {}, "backbone": {}, **values}
    for option, key in _KEYS.items():
        given = options.get(option)
        if given not in (None, [], ()) and given is not False:
            _set(merged, key, _CONVERT[option](given) if option in _CONVERT else given)
    try:
        return StudySpec.model_validate(merged)
    except ValidationError as error:
        raise RequestError(explain(error)) from error


def fresh_name(data: str, taken: Iterable[str]) -> str:
    """Make a study's name from its data: `<stem>-<n>` with the smallest free n.

    Args:
        data: A folder, a file, a hub name or `demo`.
        taken: The names that the database has.

    Returns:
        A name that is not taken.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data).stem).strip("-._")[:48] or "study"
    used = set(taken)
    number = 1
    while f"{stem}-{number}" in used:
        number += 1
    return f"{stem}-{number}"


def explain(error: ValidationError) -> str:
    """Turn pydantic's findings into at most four lines.

    Args:
        error: What pydantic found in a `StudySpec`.

    Returns:
        One line per fault, those that are missing gathered into one; at most three, then the number of the others.
    """
    missing = [_option_name(detail["loc"]) for detail in error.errors() if detail["type"] == "missing"]
    messages = [
        format_validation_error(detail, _option_name(detail["loc"]))
        for detail in error.errors()
        if detail["type"] != "missing"
    ]
    if missing:
        messages.insert(0, f"A study needs {', '.join(missing)}: give them as options or in a study file.")
    if len(messages) > _MAX_MESSAGES:
        messages[_MAX_MESSAGES:] = [f"And {len(messages) - _MAX_MESSAGES} more."]
    return "\n".join(messages)


def _set(values: dict[str, Any], path: tuple[str, ...], given: object) -> None:
    section = path[0]
    key = path[-1]
    if len(path) == 1:
        values[key] = given
    elif isinstance(inner := values.get(section, {}), Mapping):  # anything else is for the check to refuse
        values[section] = {**inner, key: given}


def _option_name(key: tuple[int | str, ...]) -> str:
    return next((_OPTIONS[part] for part in (key, key[:-1]) if part in _OPTIONS), ".".join(map(str, key)))


_CONVERT = {"methods": split_methods, "time": parse_duration}

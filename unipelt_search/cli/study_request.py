"""From a study file and options to a `StudySpec`; what is wrong becomes a few plain sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unipelt_search.errors import RequestError
from unipelt_search.specs.load_study import format_validation_error
from unipelt_search.specs.option import KeyPath, field_options
from unipelt_search.specs.study import StudySpec

_FLAGS: dict[tuple[int | str, ...], str] = {
    declared.path: declared.option.flag for declared in field_options(StudySpec)
}
"""The option of each field that has one, by the field's keys."""
_MAX_MESSAGES = 3
_MAX_STEM_LENGTH = 48
"""Characters of the data's name in a new study's name, which may have 64."""


def build_spec(values: Mapping[str, Any], given: Mapping[KeyPath, Any]) -> StudySpec:
    """Put the given options in place of a study file's values and check the whole.

    Args:
        values: What the study file says; empty without one.
        given: What the command line says, by the keys of a study file. A key that is absent was not given.

    Returns:
        The study that is asked for.

    Raises:
        RequestError: Something is missing, unknown or out of range.
    """
    merged: dict[str, Any] = {"task": {}, "backbone": {}, **values}
    for path, value in given.items():
        _set(merged, path, value)
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
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data).stem).strip("-._")
    stem = plain[:_MAX_STEM_LENGTH] or "study"
    used = set(taken)
    number = 1
    while f"{stem}-{number}" in used:
        number += 1
    return f"{stem}-{number}"


def explain(error: ValidationError) -> str:
    """Turn pydantic's validation errors into at most four lines.

    Args:
        error: What pydantic found in a `StudySpec`.

    Returns:
        One line per error, at most three, then the number of the others. One line names all missing values.
    """
    details = error.errors()
    missing = [_value_name(detail["loc"]) for detail in details if detail["type"] == "missing"]
    wrong = [detail for detail in details if detail["type"] != "missing"]
    messages = [format_validation_error(detail, _value_name(detail["loc"])) for detail in wrong]
    if missing:
        messages.insert(0, f"A study needs {', '.join(missing)}: give them as options or in a study file.")
    if len(messages) > _MAX_MESSAGES:
        messages[_MAX_MESSAGES:] = [f"And {len(messages) - _MAX_MESSAGES} more."]
    return "\n".join(messages)


def _set(values: dict[str, Any], path: KeyPath, value: object) -> None:
    """Set a value in a copy of its section, since the sections belong to the caller."""
    section, *inner = path
    if not inner:
        values[section] = value
        return
    known = values.get(section, {})
    if isinstance(known, Mapping):  # anything else is refused by the validation, with the section's name
        values[section] = {**known, inner[0]: value}


def _value_name(path: tuple[int | str, ...]) -> str:
    """Return the option that sets a value, else its dotted key; an element of a list is called like the list."""
    for known in (path, path[:-1]):
        if known in _FLAGS:
            return _FLAGS[known]
    return ".".join(str(part) for part in path)

"""Reading a study, or another spec, from a YAML file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from unipelt_search.errors import RequestError, did_you_mean
from unipelt_search.frozen import Frozen
from unipelt_search.methods.catalogue import part_models
from unipelt_search.specs.parts import WithParts
from unipelt_search.specs.study import StudySpec

Spec = TypeVar("Spec", bound=Frozen)

_ALIASES = ("demo", "minilm")
"""Names that mean the embedded data and model, whatever lies beside the study file."""
_LENGTHS = {"too_long": "most", "too_short": "least"}
_MAX_VALUE_LENGTH = 80
"""Characters of a wrong value that a message repeats."""


def load_study(path: str | Path) -> StudySpec:
    """Read a study from a YAML file.

    Args:
        path: The file; a data path or model folder in it may be relative to its own folder.

    Returns:
        The study.

    Raises:
        RequestError: The file cannot be read, is no YAML mapping, or has faults; all of them are named.
    """
    return load_spec(path, StudySpec)


def load_spec(path: str | Path, model: type[Spec]) -> Spec:
    """Read a spec from a YAML file.

    Args:
        path: The file; a data path or model folder in it may be relative to its own folder.
        model: What it says.

    Returns:
        The spec.

    Raises:
        RequestError: The file cannot be read, is no YAML mapping, or has faults; all of them are named.
    """
    messages: list[str] = []
    spec = _check(read_study_file(path, model), messages, model)
    if spec is None:
        count = "1 fault" if len(messages) == 1 else f"{len(messages)} faults"
        raise RequestError("\n".join([f"{path} has {count}:", *(f"  {detail}" for detail in messages)]))
    return spec


def read_study_file(path: str | Path, model: type[Frozen] = StudySpec) -> dict[str, Any]:
    """Read a study file as plain values, unchecked.

    Args:
        path: A YAML file.
        model: What it should hold.

    Returns:
        What it says; data and model paths that lead from the file's folder to something are completed.

    Raises:
        RequestError: The file cannot be read, or is no YAML mapping.
    """
    file = Path(path)
    what = f"A {model.__name__.removesuffix('Spec').lower()} file"
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{what} must be readable; got {str(file)!r}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RequestError(f"{what} must be YAML; {file} is not: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict):
        raise RequestError(
            f"{what} must be a mapping with the keys {', '.join(model.model_fields)}; "
            f"{file} holds {type(values).__name__}."
        )
    _point_from(file.parent, values, "task", "data")
    _point_from(file.parent, values, "backbone", "model")
    return values


def format_validation_error(detail: ErrorDetails, name: str, model: type[Frozen] = StudySpec) -> str:
    """Say what is wrong with one value of a spec.

    Args:
        detail: One of pydantic's findings in it.
        name: What to call the value: its dotted key, or an option.
        model: The spec's kind.

    Returns:
        `name: rule, got value`.
    """
    if detail["type"] == "missing":
        return f"{name}: must be given, got nothing"
    if detail["type"] == "extra_forbidden":
        *key_path, key = (str(part) for part in detail["loc"])
        known = _known_keys(key_path, model)
        return f"{name}: unknown key, known: {', '.join(known)}.{did_you_mean(key, known)}"
    if detail["type"] == "value_error":
        rule = str(detail["ctx"]["error"])
    elif detail["type"] in _LENGTHS:
        context = detail["ctx"]
        bound = context["min_length"] if "min_length" in context else context["max_length"]
        rule = f"must have at {_LENGTHS[detail['type']]} {bound} entries"
    else:
        rule = detail["msg"].replace("Input should", "must", 1).replace("valid tuple", "list")
    return f"{name}: {rule}" if "got" in rule else f"{name}: {rule}, got {_shorten(detail['input'])}"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}…"


def _check(values: dict[str, Any], messages: list[str], model: type[Spec]) -> Spec | None:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        messages.extend(_format_validation_errors(error, model))
    except RequestError as error:
        # The check of the methods speaks for itself and ends the validation; the rest is looked at without them.
        messages.append(f"space.methods: {error}")
        space = {key: value for key, value in values["space"].items() if key != "methods"}
        _check(values | {"space": space}, messages, model)
    return None


def _format_validation_errors(error: ValidationError, model: type[Frozen]) -> Iterator[str]:
    for detail in error.errors():
        # A fault of the whole has no key, and its rule says what was got.
        key_path = ".".join(str(part) for part in detail["loc"])
        yield format_validation_error(detail, key_path, model) if key_path else str(detail["ctx"]["error"])


def _point_from(folder: Path, values: dict[str, Any], section: str, key: str) -> None:
    inner = values.get(section)
    # What is no mapping, or no text, is refused by the check that follows.
    path = inner.get(key) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(path, str) or path in _ALIASES:
        return
    if (folder / path).exists():
        inner[key] = str(folder / path)


def _known_keys(key_path: list[str], root: type[Frozen]) -> list[str]:
    model: type[BaseModel] = root
    for part in key_path:
        if part.isdecimal():  # an index of a list, whose elements were looked up with the list
            continue
        model = _model_below(model, part)
    parts = part_models() if issubclass(model, WithParts) else {}
    return [*model.model_fields, *parts]


def _model_below(model: type[BaseModel], key: str) -> type[BaseModel]:
    if key not in model.model_fields:
        return part_models()[key]
    annotation = model.model_fields[key].annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return model

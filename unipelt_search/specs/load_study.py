"""Reading a study, or another spec, from a YAML file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from unipelt_search.errors import RequestError, did_you_mean
from unipelt_search.specs.frozen import Frozen
from unipelt_search.specs.study import StudySpec

Spec = TypeVar("Spec", bound=Frozen)

_ALIASES = ("demo", "minilm")
"""Names that mean the embedded data and model, whatever lies beside the study file."""
_LENGTHS = {"too_long": "most", "too_short": "least"}
_MOST_SHOWN = 80
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
    faults: list[str] = []
    spec = _check(read_study_file(path, model), faults, model)
    if spec is None:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise RequestError("\n".join([f"{path} has {count}:", *(f"  {fault}" for fault in faults)]))
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


def spoken_fault(fault: ErrorDetails, name: str, model: type[Frozen] = StudySpec) -> str:
    """Say what is wrong with one value of a spec.

    Args:
        fault: One of pydantic's findings in it.
        name: What to call the value: its dotted key, or an option.
        model: The spec's kind.

    Returns:
        `name: rule, got value`.
    """
    if fault["type"] == "missing":
        return f"{name}: must be given, got nothing"
    if fault["type"] == "extra_forbidden":
        *place, key = (str(part) for part in fault["loc"])
        known = _known_keys(place, model)
        return f"{name}: unknown key, known: {', '.join(known)}.{did_you_mean(key, known)}"
    if fault["type"] == "value_error":
        rule = str(fault["ctx"]["error"])
    elif fault["type"] in _LENGTHS:
        bound = next(value for key, value in fault["ctx"].items() if key in {"min_length", "max_length"})
        rule = f"must have at {_LENGTHS[fault['type']]} {bound} entries"
    else:
        rule = fault["msg"].replace("Input should", "must", 1).replace("valid tuple", "list")
    return f"{name}: {rule}" if "got" in rule else f"{name}: {rule}, got {_shown(fault['input'])}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _check(values: dict[str, Any], faults: list[str], model: type[Spec]) -> Spec | None:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults.extend(_spoken_faults(error, model))
    except RequestError as error:
        # The check of the methods speaks for itself and ends the validation; the rest is looked at without them.
        faults.append(f"space.methods: {error}")
        space = {key: value for key, value in values["space"].items() if key != "methods"}
        _check(values | {"space": space}, faults, model)
    return None


def _spoken_faults(error: ValidationError, model: type[Frozen]) -> Iterator[str]:
    for fault in error.errors():
        # A fault of the whole has no place, and its rule says what was got.
        place = ".".join(str(part) for part in fault["loc"])
        yield spoken_fault(fault, place, model) if place else str(fault["ctx"]["error"])


def _point_from(folder: Path, values: dict[str, Any], section: str, key: str) -> None:
    inner = values.get(section)
    if not isinstance(inner, dict) or not isinstance(inner.get(key), str) or inner[key] in _ALIASES:
        return
    if (folder / inner[key]).exists():
        inner[key] = str(folder / inner[key])


def _known_keys(place: list[str], root: type[Frozen]) -> list[str]:
    model: type[BaseModel] = root
    for part in place:
        if part.isdecimal():  # a place in a list, whose elements were looked up with the list
            continue
        annotation = model.model_fields[part].annotation
        inner = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        model = next((kind for kind in inner if issubclass(kind, BaseModel)), model)
    return list(model.model_fields)

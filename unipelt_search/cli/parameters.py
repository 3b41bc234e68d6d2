"""From declared options to the parameters of commands.

A command's function has few parameters. Some stand for several options: a `StudyOptions` for fields of a study, a
dataclass for options that belong together. `expand` gives typer one parameter for each option.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, Literal, Protocol, get_args, get_origin, get_type_hints

import typer

from unipelt_search.cli.syntax import COMPLETIONS, PARSERS
from unipelt_search.specs.option import FieldOption, KeyPath, Option, field_options
from unipelt_search.specs.study import StudySpec

Command = Callable[..., None]

_PANELS = {
    "task": "Task and backbone",
    "backbone": "Task and backbone",
    "space": "Search",
    "budget": "Budget",
    "machine": "Machine",
}
"""The panel of the help for the options of each section of a study file."""


@dataclass(frozen=True)
class StudyOptions:
    """The fields of a study that the command line gives."""

    values: Mapping[KeyPath, Any] = field(default_factory=dict)
    """The given values by their keys; a boolean that was switched off is False, one that was not given is absent."""


@dataclass(frozen=True)
class Fields:
    """Which fields of a study a command's `StudyOptions` have: dotted keys or whole sections; empty is all."""

    keys: tuple[str, ...] = ()

    def options(self) -> list[FieldOption]:
        """List their options, in the order of a study's fields."""
        found = list(field_options(StudySpec))
        return [option for option in found if self._has(option.path)] if self.keys else found

    def _has(self, path: KeyPath) -> bool:
        return path[0] in self.keys or ".".join(path) in self.keys


@dataclass(frozen=True)
class CommandOption:
    """An option of a command."""

    option: Option
    kind: Any
    """The type of its value; None stands for an option that was not given."""
    panel: str | None
    """Its panel in the help."""

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off, with a form for each."""
        return bool in (self.kind, *get_args(self.kind))

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it can have; empty if they cannot be listed."""
        kinds = (self.kind, *get_args(self.kind))
        return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())


class _Group(Protocol):
    """Options that reach the command's function as one parameter."""

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """What typer sees."""
        ...

    def gather(self, values: dict[str, Any]) -> object:
        """Take the group's values out of those that typer gives."""
        ...


def expand(command: Command) -> Command:
    """Make the function that typer registers for a command.

    Args:
        command: The command. Its parameters are typer's own, options that are declared as `Option`, `StudyOptions` with
            `Fields`, or dataclasses of options.

    Returns:
        The same command with one parameter for each option.
    """
    signature = inspect.signature(command, eval_str=True)
    groups = {name: _group(parameter) for name, parameter in signature.parameters.items()}

    @wraps(command)
    def expanded(**values: Any) -> None:
        command(**{name: group.gather(values) for name, group in groups.items()})

    parameters = [parameter for group in groups.values() for parameter in group.parameters]
    expanded.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return expanded


def command_options(command: Command) -> list[CommandOption]:
    """List the options of an expanded command.

    Args:
        command: What `expand` returned.

    Returns:
        The options, in the order of the parameters.
    """
    parameters = inspect.signature(command).parameters.values()
    metadata = [entry for parameter in parameters for entry in _split(parameter.annotation)[1]]
    return [entry for entry in metadata if isinstance(entry, CommandOption)]


def _group(parameter: inspect.Parameter) -> _Group:
    kind, metadata = _split(parameter.annotation)
    if kind is StudyOptions:
        (chosen,) = (entry for entry in metadata if isinstance(entry, Fields))
        return _StudyGroup(chosen.options())
    if isinstance(kind, type) and is_dataclass(kind):
        return _RecordGroup(kind)
    return _SingleParameter(parameter)


class _StudyGroup:
    def __init__(self, declared: list[FieldOption]) -> None:
        self._declared = declared
        self.parameters = [_field_parameter(entry) for entry in declared]

    def gather(self, values: dict[str, Any]) -> StudyOptions:
        given: dict[KeyPath, Any] = {}
        for entry in self._declared:
            value = values.pop(entry.option.parameter)
            if value is not None:
                given[entry.path] = PARSERS[entry.option.syntax](value)
        return StudyOptions(given)


class _RecordGroup:
    def __init__(self, record: type[Any]) -> None:
        self._record = record
        annotations = get_type_hints(record, include_extras=True)
        self.parameters = [
            _parameter(entry.name, annotations[entry.name], default=_default(entry)) for entry in fields(record)
        ]

    def gather(self, values: dict[str, Any]) -> object:
        names = [parameter.name for parameter in self.parameters]
        return self._record(**{name: values.pop(name) for name in names})


class _SingleParameter:
    def __init__(self, parameter: inspect.Parameter) -> None:
        self.parameters = [_parameter(parameter.name, parameter.annotation, default=parameter.default)]

    def gather(self, values: dict[str, Any]) -> object:
        return values.pop(self.parameters[0].name)


def _field_parameter(declared: FieldOption) -> inspect.Parameter:
    option = declared.option
    kind = declared.annotation
    if option.syntax != "plain":
        kind = str
    elif get_origin(kind) is tuple:
        kind = list[get_args(kind)[0]]  # type: ignore[misc]
    panel = _PANELS.get(declared.path[0])
    # None says that the option was not given, so that the study file or the field's default holds.
    return _parameter(option.parameter, Annotated[kind | None, option], default=None, panel=panel)


def _parameter(
    name: str,
    annotation: Any,
    *,
    default: Any,
    panel: str | None = None,
) -> inspect.Parameter:
    kind, metadata = _split(annotation)
    for entry in metadata:
        if isinstance(entry, Option):
            option = CommandOption(entry, kind, panel)
            # The option stays beside typer's form of it, for `command_options`.
            annotation = Annotated[kind, option, _typer_option(option)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _typer_option(command_option: CommandOption) -> Any:
    option = command_option.option
    text = option.help
    if option.metavar and command_option.choices:
        text = f"{text} One of {', '.join(command_option.choices)}."
    off = f"/--no-{option.flag.removeprefix('--')}" if command_option.is_switch else ""
    return typer.Option(
        f"{option.flag}{off}",
        metavar=option.metavar or None,
        help=text,
        autocompletion=COMPLETIONS.get(option.syntax),
        rich_help_panel=command_option.panel,
        show_default=not command_option.is_switch,
    )


def _split(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the type of an annotation, and its metadata."""
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
        return kind, tuple(metadata)
    return annotation, ()


def _default(entry: Field[Any]) -> Any:
    return inspect.Parameter.empty if entry.default is MISSING else entry.default

"""How a field of a study is given on the command line: declared once, beside the field.

The declaration is plain data. `cli/` makes parameters, help and the tables of docs/cli.md from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

Syntax = Literal["plain", "duration", "methods", "metric"]
KeyPath = tuple[str, ...]
"""The keys that lead to a value of a study file, for example ``("task", "train_size")``."""


@dataclass(frozen=True)
class Option:
    """An option of the command line."""

    flag: str
    """Its name, for example ``--train-size``. A boolean has the form ``--no-…`` too."""
    help: str
    """One or two sentences without Markdown, for ``--help`` and the documentation."""
    metavar: str = ""
    """What the value is called in the help; choices are then listed after the help. Empty stands for the choices."""
    details: str = ""
    """What only the documentation says, in Markdown."""
    syntax: Syntax = "plain"
    """How the value is written and completed, where that is not the plain form of its type."""

    @property
    def parameter(self) -> str:
        """The name of the option as a Python parameter, for example ``train_size``."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class FieldOption:
    """An option that sets a field of a study."""

    path: KeyPath
    option: Option
    annotation: Any
    """The type of the field."""


def field_options(model: type[BaseModel], path: KeyPath = ()) -> Iterator[FieldOption]:
    """List the options that a spec declares, those of its sections included.

    Args:
        model: The spec.
        path: The keys that lead to it.

    Yields:
        Each option with its field, in the order of the fields.
    """
    for name, field in model.model_fields.items():
        here = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from field_options(field.annotation, here)
        for option in field.metadata:
            if isinstance(option, Option):
                yield FieldOption(here, option, field.annotation)

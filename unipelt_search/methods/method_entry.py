"""What one method is, as data: the record that a settings module declares, and the method that a study compares."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from unipelt_search.frozen import Frozen
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.hyperparameter import Hyperparameter, declared

OURS = "unipelt-search"
"""The package (distribution) of the methods that ship with this one."""
LearningRates = tuple[float, float, float]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_RESERVED = frozenset({"method", "name", "training", "gate", "without", "variant"})
"""Keys of a configuration that are no submodule's."""
_TORCH_MODULE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Method(Frozen):
    """One method of the leaderboard."""

    name: str
    submodules: tuple[str, ...]
    """What is attached to the frozen backbone; empty for the baselines."""
    gated: bool
    """Whether each submodule is behind a learned gate."""
    trains: Literal["nothing", "head", "submodules", "backbone"]
    """What is trained; the head always is, `majority` aside."""
    sentence: str


class BaselineEntry(Frozen):
    """A method without submodules: what it trains, and its published learning rates."""

    name: str
    trains: Literal["nothing", "head", "backbone"]
    learning_rates: LearningRates | None
    """Of its screen trials, best guess first; None where nothing is trained."""
    sentence: str


class SubmoduleEntry(Frozen):
    """All that is known of a submodule without torch. A settings module declares one, as `ENTRY`."""

    name: str
    """In the command line, in study files and in the database: `lora`."""
    sentence: str
    """What it is, and who published it."""
    torch_module: str
    """Where its torch half is, as `package.module:NAME`; imported when it is first attached."""
    learning_rates: LearningRates
    """The learning rates of its screen trials, best guess first."""
    settings: type[Frozen] | None = None
    """The specification of its part of a configuration; every field has a default, which is what a stored configuration
    without the field means, and the published value unless a hyperparameter names another. None where it has no
    settings."""
    hyperparameters: tuple[Hyperparameter, ...] = ()
    """One for each field of `settings`, and those of the gate that only it has, in the order of sampling."""
    earlier: dict[int, tuple[Hyperparameter, ...]] = {}
    """The same of earlier editions, by the last edition that had them."""
    set_order: int = Field(default=0, ge=0)
    """Its rank in the canonical form of a set of gated submodules; a plug-in is ranked by its name, after ours."""
    list_order: int = Field(default=0, ge=0)
    """Its rank in lists of methods and in the order of sampling; a plug-in is ranked by its name, after ours."""
    package: str = OURS
    """The distribution that brings it; set when it is found."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED:
            raise ValueError(
                "a submodule's name must be 1 to 32 lower-case letters, digits or '_', beginning with a letter, and "
                f"none of {', '.join(sorted(_RESERVED))}; got {self.name!r}"
            )
        if not _TORCH_MODULE.fullmatch(self.torch_module):
            raise ValueError(f"torch_module must be package.module:NAME; got {self.torch_module!r}")
        fields = {} if self.settings is None else self.settings.model_fields
        for name, field in fields.items():
            if field.is_required():
                raise ValueError(f"{self.name}.{name} must have a default, the published value; got none")
        # The record is frozen, and this is still its making.
        object.__setattr__(self, "hyperparameters", self._completed(self.hyperparameters))
        earlier = {edition: self._completed(of_edition) for edition, of_edition in self.earlier.items()}
        object.__setattr__(self, "earlier", earlier)
        return self

    def hyperparameters_in(self, edition: int | None = None) -> tuple[Hyperparameter, ...]:
        """Return its hyperparameters in an edition.

        Args:
            edition: A study's; None is the newest.

        Returns:
            The hyperparameters, in the order of sampling.
        """
        lasting = [last for last in self.earlier if edition is not None and edition <= last]
        return self.earlier[min(lasting)] if lasting else self.hyperparameters

    def _completed(self, parameters: tuple[Hyperparameter, ...]) -> tuple[Hyperparameter, ...]:
        """Check the hyperparameters of one edition, and complete them with their published values."""
        fields = {} if self.settings is None else self.settings.model_fields
        own = [parameter.field for parameter in parameters if parameter.part == self.name]
        if sorted(own) != sorted(fields):
            raise ValueError(
                f"hyperparameters must name each field of the settings of {self.name} once; got "
                f"{', '.join(own) or 'none'}, fields: {', '.join(fields) or 'none'}"
            )
        sampled: set[str] = set()
        completed: list[Hyperparameter] = []
        for parameter in parameters:
            _check_hyperparameter(parameter, self.name, sampled)
            sampled.add(parameter.name)
            model = GateSpec if self.settings is None or parameter.part == "gate" else self.settings
            completed += declared(model, parameter, submodule=self.name)
        return tuple(completed)

    def as_method(self) -> Method:
        """Return the method that attaches this submodule alone, without a gate."""
        return Method(
            name=self.name,
            submodules=(self.name,),
            gated=False,
            trains="submodules",
            sentence=self.sentence,
        )


def _check_hyperparameter(parameter: Hyperparameter, submodule: str, sampled: set[str]) -> None:
    """Check that a hyperparameter is its submodule's or the gate's, and that its condition looks back."""
    in_gate = parameter.part == "gate" and parameter.field in GateSpec.model_fields
    if parameter.part != submodule and not in_gate:
        raise ValueError(f"a hyperparameter of {submodule} must be named {submodule}.*; got {parameter.name!r}")
    if parameter.unless is not None and parameter.unless[0] not in sampled:
        raise ValueError(
            f"the condition of {parameter.name} must name a hyperparameter before it; got {parameter.unless[0]!r}"
        )

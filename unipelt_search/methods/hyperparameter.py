"""One hyperparameter as data: its published value, what is searched, and where it acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from unipelt_search.frozen import Frozen
from unipelt_search.methods.basis import Basis, Bound, Published, Value, WidthShare, resolved

RATE_MARGIN = 4.0
"""The space reaches this factor below the lowest and above the highest published learning rate."""
ACTIVATIONS = ("relu", "gelu", "silu", "tanh")


class Hyperparameter(Frozen):
    """One number or choice of a configuration."""

    name: str
    """Dotted, as in a configuration: `lora.rank`."""
    kind: Literal["whole", "real", "choice", "rate", "fixed", "study"]
    """How it is searched: whole or real numbers of a range, choices, the method's own learning rates; or not at all."""
    low: Bound = None
    high: Bound = None
    step: float | None = None
    """Distance of the numbers that are tried; None is any number, evenly on a logarithmic scale."""
    choices: tuple[Value, ...] = ()
    submodule: str | None = None
    """Only methods with this submodule have it; set by the submodule's entry."""
    unless: tuple[str, Value] | None = None
    """Searched except where another hyperparameter, sampled before it, has this value."""
    published: Published = None
    """The published value; None also where it depends on the method or the study. The entry sets it to the field's
    default unless it was given, see `with_published`."""

    @property
    def part(self) -> str:
        """The part of a configuration that it belongs to: `training`, `gate` or a submodule."""
        return self.name.partition(".")[0]

    @property
    def field(self) -> str:
        """Its name within its part."""
        return self.name.partition(".")[2]

    @property
    def searched(self) -> bool:
        """Whether it is sampled."""
        return self.kind not in {"fixed", "study"}

    @property
    def published_text(self) -> str:
        """The published value as text."""
        if self.kind == "rate":
            return "the method's"
        if self.kind == "study":
            return "the study's"
        return _format_value(self.published)

    @property
    def searched_text(self) -> str:
        """What is searched, as text."""
        if self.kind == "choice":
            return ", ".join(_format_value(choice) for choice in self.choices)
        if self.kind == "rate":
            return f"1/{RATE_MARGIN:g} of the method's lowest to {RATE_MARGIN:g} times its highest, logarithmic"
        if self.low is None or self.high is None:
            return "fixed"
        spacing = "logarithmic" if self.step is None else f"in steps of {self.step:g}"
        return f"{_format_bound(self.low)} to {_format_bound(self.high)}, {spacing}"

    @property
    def condition_text(self) -> str:
        """Where it acts, as text."""
        if self.part == "gate":
            owner = "gated methods"
        else:
            owner = "methods" if self.submodule else "every method"
        where = f"{owner} with {self.submodule}" if self.submodule else owner
        if self.unless is None:
            return where
        name, value = self.unless
        return f"{where}, unless {name} is {_format_value(value)}"

    def with_published(self, value: Published) -> Hyperparameter:
        """Return the same hyperparameter with a published value that is not the default of its field.

        The default of a field is what a configuration means that lacks it, and stays as it is forever; what is
        published may change with an edition.
        """
        return self.model_copy(update={"published": value})

    def on(self, basis: Basis) -> Hyperparameter:
        """Return the hyperparameter with the plain numbers that it has in a study.

        Args:
            basis: The study's.

        Returns:
            The hyperparameter; itself where nothing depends on the backbone.

        Raises:
            UnipeltError: A number is a share of the hidden size, which is not known.
        """
        known = {name: getattr(self, name) for name in ("low", "high", "published")}
        changed = {name: resolved(value, basis) for name, value in known.items()}
        return self if changed == known else self.model_copy(update=changed)

    def acts(self, chosen: Mapping[str, Value]) -> bool:
        """Tell whether it makes a difference beside the values chosen so far."""
        if self.unless is None:
            return True
        name, value = self.unless
        return name not in chosen or chosen[name] != value


def declared(
    model: type[Frozen], *parameters: Hyperparameter, submodule: str | None = None
) -> tuple[Hyperparameter, ...]:
    """Complete hyperparameters with the published values: those given, else the defaults of a specification's fields.

    Args:
        model: The specification that has the fields.
        *parameters: What is declared of them.
        submodule: Whose they are; None for those of every method.

    Returns:
        The complete hyperparameters, in the same order.
    """
    return tuple(_complete(parameter, model, submodule) for parameter in parameters)


def _complete(parameter: Hyperparameter, model: type[Frozen], submodule: str | None) -> Hyperparameter:
    changes: dict[str, object] = {"submodule": submodule}
    # A learning rate depends on the method, and what every run shares on the study.
    if parameter.kind not in {"rate", "study"} and "published" not in parameter.model_fields_set:
        changes["published"] = model.model_fields[parameter.field].get_default()
    return parameter.model_copy(update=changes)


def integer(name: str, low: int, high: int) -> Hyperparameter:
    """Declare a whole number, sampled evenly on a logarithmic scale.

    Args:
        name: Dotted, as in a configuration.
        low: The smallest number that is tried.
        high: The largest one.

    Returns:
        The hyperparameter.
    """
    return Hyperparameter(name=name, kind="whole", low=low, high=high)


def share_of_width(name: str, smallest: int, largest: int) -> Hyperparameter:
    """Declare a size that is a share of the backbone's hidden size, sampled evenly on a logarithmic scale.

    Args:
        name: Dotted, as in a configuration.
        smallest: The smallest size that is tried is the hidden size divided by this.
        largest: The largest one is the hidden size divided by this.

    Returns:
        The hyperparameter.
    """
    return Hyperparameter(name=name, kind="whole", low=WidthShare(divisor=smallest), high=WidthShare(divisor=largest))


def real(
    name: str,
    low: float,
    high: float,
    step: float | None = None,
    unless: tuple[str, Value] | None = None,
) -> Hyperparameter:
    """Declare a real number.

    Args:
        name: Dotted, as in a configuration.
        low: The smallest number that is tried.
        high: The largest one.
        step: Distance of the numbers that are tried; None is any number, evenly on a logarithmic scale.
        unless: Another hyperparameter, sampled before it, and the value of that at which this one has no effect.

    Returns:
        The hyperparameter.
    """
    return Hyperparameter(
        name=name,
        kind="real",
        low=low,
        high=high,
        step=step,
        unless=unless,
    )


def choice(name: str, *choices: Value) -> Hyperparameter:
    """Declare a choice.

    Args:
        name: Dotted, as in a configuration.
        choices: What is tried.

    Returns:
        The hyperparameter.
    """
    return Hyperparameter(name=name, kind="choice", choices=choices)


def fixed(name: str) -> Hyperparameter:
    """Declare a value that is never sampled: the published one, unless a user gives another.

    Args:
        name: Dotted, as in a configuration.

    Returns:
        The hyperparameter.
    """
    return Hyperparameter(name=name, kind="fixed")


def _format_bound(bound: Bound) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _format_value(value: Published) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)

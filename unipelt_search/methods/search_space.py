"""The search space as data: every hyperparameter, its published value, what is searched, and where it acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from unipelt_search.frozen import Frozen
from unipelt_search.methods.catalogue import METHODS, PARTS, Submodule

Value = bool | str | int | float | None

_UNIPELT_RATES = (2e-3, 5e-4, 5e-3)
LEARNING_RATES: dict[str, tuple[float, float, float]] = {
    "head": (5e-3, 2e-2, 1e-3),
    "bitfit": (5e-3, 1e-3, 1e-2),
    "ia3": (5e-3, 2e-2, 1e-3),
    "lora": (2e-3, 5e-4, 5e-3),
    "adapter": (2e-3, 5e-4, 5e-3),
    "parallel_adapter": (1e-3, 3e-4, 3e-3),
    "prefix": (2e-3, 5e-4, 5e-3),
    "unipelt_ap": _UNIPELT_RATES,
    "unipelt_al": _UNIPELT_RATES,
    "unipelt_pl": _UNIPELT_RATES,
    "unipelt_apl": _UNIPELT_RATES,
    "fine_tuning": (1e-4, 3e-5, 3e-4),
}
"""The learning rates of each method's screen trials, best guess first."""
_RATE_MARGIN = 4.0
"""The space reaches this factor below the lowest and above the highest published learning rate."""


class Hyperparameter(Frozen):
    """One number or choice of a configuration."""

    name: str
    """Dotted, as in a configuration: `lora.rank`."""
    kind: Literal["whole", "real", "choice", "rate", "fixed", "study"]
    """How it is searched: whole or real numbers of a range, choices, the method's own learning rates; or not at all."""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    """Distance of the numbers that are tried; None is any number, evenly on a logarithmic scale."""
    choices: tuple[Value, ...] = ()
    submodule: Submodule | None = None
    """Only methods with this submodule have it."""
    unless: tuple[str, Value] | None = None
    """Searched except where another hyperparameter has this value."""

    @property
    def part(self) -> str:
        """The part of a configuration that it belongs to: `training`, `gate` or a submodule."""
        return self.name.partition(".")[0]

    @property
    def published(self) -> Value:
        """The published value; None also where it depends on the method or the study."""
        default: Value = PARTS[self.part].model_fields[self.name.partition(".")[2]].get_default()
        return None if self.kind in {"rate", "study"} else default

    @property
    def published_text(self) -> str:
        """The published value as text."""
        if self.kind in {"rate", "study"}:
            return "the method's" if self.kind == "rate" else "the study's"
        return _format_value(self.published)

    @property
    def searched_text(self) -> str:
        """What is searched, as text."""
        if self.kind == "choice":
            return ", ".join(_format_value(choice) for choice in self.choices)
        if self.kind == "rate":
            return f"1/{_RATE_MARGIN:g} of the method's lowest to {_RATE_MARGIN:g} times its highest, logarithmic"
        if self.low is None or self.high is None:
            return "fixed"
        spacing = "logarithmic" if self.step is None else f"in steps of {self.step:g}"
        return f"{self.low:g} to {self.high:g}, {spacing}"

    @property
    def condition_text(self) -> str:
        """Where it acts, as text."""
        owner = "gated methods" if self.part == "gate" else "methods" if self.submodule else "every method"
        where = f"{owner} with {self.submodule}" if self.submodule else owner
        return where if self.unless is None else f"{where}, unless {self.unless[0]} is {_format_value(self.unless[1])}"

    def belongs_to(self, method: str) -> bool:
        """Tell whether a method has this hyperparameter."""
        found = METHODS[method]
        return (self.part != "gate" or found.gated) and (self.submodule is None or self.submodule in found.submodules)

    def acts(self, chosen: Mapping[str, Value]) -> bool:
        """Tell whether it makes a difference beside the values chosen so far."""
        return self.unless is None or self.unless[0] not in chosen or chosen[self.unless[0]] != self.unless[1]


def _real(name: str, low: float, high: float, step: float | None = None) -> Hyperparameter:
    return Hyperparameter(name=name, kind="real", low=low, high=high, step=step)


def _choice(name: str, *choices: Value, submodule: Submodule | None = None) -> Hyperparameter:
    return Hyperparameter(name=name, kind="choice", choices=choices, submodule=submodule)


def _of(submodule: Submodule, *parameters: Hyperparameter) -> tuple[Hyperparameter, ...]:
    return tuple(parameter.model_copy(update={"submodule": submodule}) for parameter in parameters)


def _integer(name: str, low: int, high: int) -> Hyperparameter:
    return Hyperparameter(name=name, kind="whole", low=low, high=high)


_ACTIVATIONS = ("relu", "gelu", "silu", "tanh")
# In the order in which they are drawn: a condition looks back.
HYPERPARAMETERS: tuple[Hyperparameter, ...] = (
    Hyperparameter(name="training.learning_rate", kind="rate"),
    _choice("training.schedule", "linear", "cosine", "constant"),
    _real("training.warmup_share", 0.0, 0.2, 0.05),
    _choice("training.weight_decay", 0.0, 0.01, 0.1),
    _real("training.dropout", 0.0, 0.3, 0.1),
    Hyperparameter(name="training.clip_norm", kind="fixed"),
    *(
        Hyperparameter(name=f"training.{name}", kind="study")
        for name in ("batch_size", "steps", "evaluations", "patience")
    ),
    _choice("gate.lora", "replace", "multiply", submodule="lora"),
    _choice("gate.prefix", "scale", "logit", submodule="prefix"),
    _choice("gate.sharing", "per_layer", "shared"),
    Hyperparameter(name="gate.pooling", kind="fixed"),
    *_of(
        "lora",
        _integer("lora.rank", 2, 64),
        # Where the gate stands in the place of alpha / rank, alpha changes nothing.
        _real("lora.alpha", 4.0, 64.0).model_copy(update={"unless": ("gate.lora", "replace")}),
        _real("lora.dropout", 0.0, 0.2, 0.1),
    ),
    *_of("adapter", _integer("adapter.bottleneck", 8, 96), _choice("adapter.activation", *_ACTIVATIONS)),
    *_of(
        "parallel_adapter",
        _integer("parallel_adapter.bottleneck", 8, 96),
        _choice("parallel_adapter.activation", *_ACTIVATIONS),
        _real("parallel_adapter.scale", 0.5, 8.0),
    ),
    *_of(
        "prefix",
        _integer("prefix.length", 2, 64),
        _choice("prefix.mlp", None, 512),
        Hyperparameter(name="prefix.position_shift", kind="fixed"),
    ),
)


def space_of(method: str) -> tuple[Hyperparameter, ...]:
    """List what is searched for a method, in the order in which it is drawn.

    Args:
        method: A trained method.

    Returns:
        Its searched hyperparameters, the learning rate with the method's own range.
    """
    rates = LEARNING_RATES[method]
    span = {"low": min(rates) / _RATE_MARGIN, "high": max(rates) * _RATE_MARGIN}
    return tuple(
        parameter.model_copy(update=span) if parameter.kind == "rate" else parameter
        for parameter in HYPERPARAMETERS
        if parameter.kind not in {"fixed", "study"} and parameter.belongs_to(method)
    )


def _format_value(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

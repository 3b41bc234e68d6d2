"""A configuration: one method with all its hyperparameters, and what one run of it is asked to do.

Two configurations are the same trial exactly when their content is the same (`TrialSpec.content_hash`).
"""

from __future__ import annotations

from operator import not_, truth
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from unipelt_search.frozen import Frozen
from unipelt_search.methods.catalogue import MAX_NAME_LENGTH, is_installed, parts_of, stored_method
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.specs.parts import WithParts, check_trained, is_stored
from unipelt_search.specs.seeds import RunSeeds

Phase = Literal["screen", "tune", "confirm"]
PHASES: tuple[Phase, ...] = ("screen", "tune", "confirm")


Attachment = tuple[str, int]
"""A submodule in a layer, counted from 0."""


class TrialSpec(WithParts):
    """One configuration: a method with all its hyperparameters.

    Beside the declared fields it has one part for each submodule with settings, named like the submodule, and `gate`;
    see `part`.
    """

    method: str = Field(max_length=MAX_NAME_LENGTH)
    """Its canonical name."""
    training: TrainingSpec
    # Left out of the content where it is empty: configurations that were tried before it existed stay the same.
    without: tuple[Attachment, ...] = Field(default=(), exclude_if=not_)
    """(submodule, layer) pairs that are not attached, of a method with gates; sorted."""

    @field_validator("method")
    @classmethod
    def _known_method(cls, method: str, info: ValidationInfo) -> str:
        return check_trained(method, is_stored(info))

    @field_validator("without")
    @classmethod
    def _sorted(cls, without: tuple[Attachment, ...]) -> tuple[Attachment, ...]:
        return tuple(sorted(set(without)))

    @model_validator(mode="after")
    def _parts_fit_the_method(self) -> Self:
        # A method that is not installed has passed the check of its name only as a stored one.
        if is_installed(self.method):
            self._check_parts()
        method = stored_method(self.method)
        for submodule, layer in self.without:
            if not method.gated or submodule not in method.submodules or layer < 0:
                raise ValueError(
                    f"without must name submodules of a method with gates, and layers from 0; got {submodule} in layer "
                    f"{layer} of {self.method}"
                )
        return self

    def _check_parts(self) -> None:
        needed = parts_of(self.method)[1:]
        for part in needed:
            if part not in self.parts:
                raise ValueError(f"method {self.method} needs {part} settings")
        for part in self.parts:
            if part not in needed:
                raise ValueError(f"method {self.method} takes no {part} settings")


class RunSpec(Frozen):
    """One training of a configuration: its seeds, and what is measured at the end."""

    trial: TrialSpec
    seeds: RunSeeds
    confirm: bool = False
    """Score the select and test rows and keep gate statistics in full; else only the tune rows are scored."""
    draw: int = Field(default=0, ge=0)
    """Which rows: 0 is the search's, n those that confirm run n has of its own, to train on or all of them."""
    gate_null: bool = False
    """Also train on shuffled labels, and keep what the gates are then."""
    prune: bool = False
    """Also find out which submodules could go, in which layers."""
    ablation: bool = False
    """Also measure the score with each submodule removed."""
    # Left out where it is true: runs that were begun before it existed stay the same.
    ablation_layers: bool = Field(default=True, exclude_if=truth)
    """An ablation also removes each submodule from single layers."""


def config_of(spec: TrialSpec) -> dict[str, bool | str | int | float | None]:
    """Flatten a configuration into dotted names and plain values, without the method.

    Args:
        spec: The configuration.

    Returns:
        For example ``{"training.learning_rate": 0.001, "lora.rank": 8, …}``.
    """
    flat: dict[str, bool | str | int | float | None] = {}
    parts = spec.model_dump(mode="json", exclude={"method", "without"})
    for part, values in parts.items():
        for name, value in (values or {}).items():
            flat[f"{part}.{name}"] = value
    if spec.without:
        flat["without"] = ", ".join(f"{submodule} {layer}" for submodule, layer in spec.without)
    return flat

"""A configuration: one method with all its hyperparameters, and what one run of it is asked to do.

Two configurations are the same trial exactly when their content is the same (`TrialSpec.content_hash`).
"""

from __future__ import annotations

from operator import not_
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from unipelt_search.specs.frozen import Frozen
from unipelt_search.specs.methods import METHODS, TRAINED_METHODS, Submodule
from unipelt_search.specs.seeds import RunSeeds

Phase = Literal["screen", "tune", "confirm"]
PHASES: tuple[Phase, ...] = ("screen", "tune", "confirm")


LearningRate = Annotated[float, Field(gt=0, le=1)]
Schedule = Literal["linear", "cosine", "constant"]
UnitInterval = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
ClipNorm = Annotated[float, Field(gt=0)]
BatchSize = Annotated[int, Field(ge=1, le=4096)]
Steps = Annotated[int, Field(ge=1)]
Evaluations = Annotated[int, Field(ge=1, le=1000)]
Patience = Annotated[int, Field(ge=1)]


class LoraSpec(Frozen):
    """LoRA on the query and value projections."""

    rank: int = Field(default=8, ge=1, le=512)
    """Columns of the low-rank update."""
    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by alpha / rank where no gate replaces that factor."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the update's inputs that are dropped while training."""


class AdapterSpec(Frozen):
    """A bottleneck adapter on the feed-forward network's output."""

    bottleneck: int = Field(default=48, ge=1, le=4096)
    """Units in the middle."""
    activation: Literal["relu", "gelu", "silu", "tanh"] = "gelu"
    """Maps 0 to 0, which zero-padding in a pack relies on."""


class ParallelAdapterSpec(Frozen):
    """A bottleneck adapter from the feed-forward network's input to its output."""

    bottleneck: int = Field(default=48, ge=1, le=4096)
    """Units in the middle."""
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    """Maps 0 to 0, which zero-padding in a pack relies on."""
    scale: float = Field(default=4.0, gt=0, le=100)
    """What its answer is multiplied with."""


class PrefixSpec(Frozen):
    """Trained keys and values in front of each layer's attention."""

    length: int = Field(default=10, ge=1, le=512)
    """Positions put in front."""
    mlp: int | None = Field(default=512, ge=1, le=4096)
    """Units of the training-only reparameterisation MLP; None trains keys and values directly."""
    # Left out of a configuration's content where it is off: those that were tried before it existed stay the same.
    position_shift: bool = Field(default=False, exclude_if=not_)
    """Tokens' positions begin after the prefix, as PEFT has it; off is the UniPELT way."""

    @property
    def shift(self) -> int:
        """Positions that the tokens are moved up by."""
        return self.length if self.position_shift else 0


class GateSpec(Frozen):
    """How the gates of a gated method act (docs/methods.md has the formulas)."""

    lora: Literal["replace", "multiply"] = "replace"
    """The gate replaces alpha / rank (as published), or multiplies it."""
    prefix: Literal["scale", "logit"] = "scale"
    """The gate scales keys and values (as published), or adds its logarithm to the prefix's attention logits."""
    sharing: Literal["per_layer", "shared"] = "per_layer"
    """Each layer has gate weights of its own (as published), or all layers share those of each gate."""
    pooling: Literal["tokens", "all_positions"] = "tokens"
    """Mean over real tokens, or over padding too (as the published code does)."""


class TrainingSpec(Frozen):
    """How a run is trained."""

    learning_rate: LearningRate
    """AdamW's highest learning rate."""
    schedule: Schedule = "linear"
    """What follows the warm-up."""
    warmup_share: UnitInterval = 0.1
    """Share of the steps in which the learning rate rises linearly from 0."""
    weight_decay: UnitInterval = 0.01
    """AdamW's decoupled weight decay; never on biases, layer norms, gates and IA3's scales."""
    clip_norm: ClipNorm = 1.0
    """Highest Euclidean norm of a run's gradient."""
    batch_size: BatchSize = 16
    """Rows per optimizer step."""
    steps: Steps
    """Optimizer steps at most."""
    evaluations: Evaluations = 10
    """Evaluations on the tune rows, spread evenly over the steps."""
    patience: Patience = 5
    """A run ends after this many evaluations in a row without a better tune score."""
    dropout: Share = 0.1
    """Share of hidden features that are dropped at the backbone's dropout sites while training."""


PARTS: dict[str, type[Frozen]] = {
    "training": TrainingSpec,
    "lora": LoraSpec,
    "adapter": AdapterSpec,
    "parallel_adapter": ParallelAdapterSpec,
    "prefix": PrefixSpec,
    "gate": GateSpec,
}
"""The parts of a configuration by name; those of submodules are named like the submodule."""


def parts_of(method: str) -> tuple[str, ...]:
    """List the parts of a method's configurations.

    Args:
        method: A trained method.

    Returns:
        `training`, then each submodule that has settings, then `gate` where there are gates.
    """
    known = METHODS[method]
    return tuple(
        part for part in PARTS if part == "training" or part in known.submodules or (part == "gate" and known.gated)
    )


class TrialSpec(Frozen):
    """One configuration: a method with all its hyperparameters."""

    method: str
    training: TrainingSpec
    lora: LoraSpec | None = None
    adapter: AdapterSpec | None = None
    parallel_adapter: ParallelAdapterSpec | None = None
    prefix: PrefixSpec | None = None
    gate: GateSpec | None = None
    # Left out of the content where it is empty: configurations that were tried before it existed stay the same.
    without: tuple[tuple[Submodule, int], ...] = Field(default=(), exclude_if=not_)
    """(submodule, layer) pairs that are not attached, of a method with gates; sorted."""

    @field_validator("without")
    @classmethod
    def _sorted(cls, without: tuple[tuple[Submodule, int], ...]) -> tuple[tuple[Submodule, int], ...]:
        return tuple(sorted(set(without)))

    @model_validator(mode="after")
    def _parts_fit_the_method(self) -> Self:
        if self.method not in TRAINED_METHODS:
            raise ValueError(f"method must be one of {', '.join(TRAINED_METHODS)}; got {self.method!r}")
        needed = parts_of(self.method)
        for part in PARTS:
            if (getattr(self, part) is not None) != (part in needed):
                raise ValueError(f"method {self.method} {'needs' if part in needed else 'takes no'} {part} settings")
        known = METHODS[self.method]
        for submodule, layer in self.without:
            if not known.gated or submodule not in known.submodules or layer < 0:
                raise ValueError(
                    f"without must name submodules of a method with gates, and layers from 0; got {submodule} in layer "
                    f"{layer} of {self.method}"
                )
        return self


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


def config_of(spec: TrialSpec) -> dict[str, bool | str | int | float | None]:
    """Flatten a configuration into dotted names and plain values, without the method.

    Args:
        spec: The configuration.

    Returns:
        For example ``{"training.learning_rate": 0.001, "lora.rank": 8, …}``.
    """
    flat: dict[str, bool | str | int | float | None] = {}
    for part, values in spec.model_dump(mode="json", exclude={"method", "without"}).items():
        for name, value in (values or {}).items():
            flat[f"{part}.{name}"] = value
    if spec.without:
        flat["without"] = ", ".join(f"{submodule} {layer}" for submodule, layer in spec.without)
    return flat

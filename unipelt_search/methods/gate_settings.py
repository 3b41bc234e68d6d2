"""How gates act: their settings, and what is searched of them whatever is gated."""

from __future__ import annotations

from typing import Literal

from unipelt_search.frozen import Frozen
from unipelt_search.methods.hyperparameter import choice, declared, fixed


class GateSpec(Frozen):
    """How the gates of a gated method act (docs/methods.md has the formulas)."""

    lora: Literal["replace", "multiply"] = "replace"
    """The gate replaces alpha / rank (as published), or multiplies it."""
    prefix: Literal["scale", "logit"] = "scale"
    """The gate scales keys and values (as published), or adds its logarithm to the prefix's attention logits."""
    sharing: Literal["per_layer", "shared"] = "per_layer"
    """Each layer has gate weights of its own (as published), or all layers share those of each gate."""
    pooling: Literal["tokens", "all_positions", "prefix_mean"] = "tokens"
    """Mean over real tokens, or over padding too (as the published code does); or, in a decoder, one gate for each
    position, the mean over the real tokens up to it."""

    @property
    def is_causal(self) -> bool:
        """Whether there is a gate for each position, which no later token changes."""
        return self.pooling == "prefix_mean"

    def by_position(self) -> GateSpec:
        """Return the same gates with one for each position, and what that needs of each submodule."""
        return self.model_copy(update={"pooling": "prefix_mean", "prefix": "logit"})


# `gate.lora` and `gate.prefix` are declared where LoRA and the prefix are.
GATE_HYPERPARAMETERS = declared(GateSpec, choice("gate.sharing", "per_layer", "shared"), fixed("gate.pooling"))

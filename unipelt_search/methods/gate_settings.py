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
    pooling: Literal["tokens", "all_positions"] = "tokens"
    """Mean over real tokens, or over padding too (as the published code does)."""


# `gate.lora` and `gate.prefix` are declared where LoRA and the prefix are.
GATE_HYPERPARAMETERS = declared(GateSpec, choice("gate.sharing", "per_layer", "shared"), fixed("gate.pooling"))

"""The sequential bottleneck adapter without torch: its settings, published values and search space."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.hyperparameter import ACTIVATIONS, choice, integer
from unipelt_search.methods.method_entry import SubmoduleEntry


class AdapterSpec(Frozen):
    """A bottleneck adapter on the feed-forward network's output."""

    bottleneck: int = Field(default=48, ge=1, le=4096)
    """Units in the middle."""
    activation: Literal["relu", "gelu", "silu", "tanh"] = "gelu"
    """Maps 0 to 0, which zero-padding in a pack relies on."""


ENTRY = SubmoduleEntry(
    name="adapter",
    sentence="A bottleneck adapter after the feed-forward network (Pfeiffer et al., 2021).",
    torch_module="unipelt_search.pelt.adapter:ADAPTER",
    settings=AdapterSpec,
    learning_rates=(2e-3, 5e-4, 5e-3),
    hyperparameters=(integer("adapter.bottleneck", 8, 96), choice("adapter.activation", *ACTIVATIONS)),
    set_order=1,
    list_order=4,
)

"""The parallel bottleneck adapter without torch: its settings, published values and search space."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.basis import WidthShare
from unipelt_search.methods.hyperparameter import ACTIVATIONS, choice, integer, real, share_of_width
from unipelt_search.methods.method_entry import SubmoduleEntry


class ParallelAdapterSpec(Frozen):
    """A bottleneck adapter from the feed-forward network's input to its output."""

    bottleneck: int = Field(default=48, ge=1, le=4096)
    """Units in the middle."""
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    """Maps 0 to 0, which zero-padding in a pack relies on."""
    scale: float = Field(default=4.0, gt=0, le=100)
    """The factor of its output."""


ENTRY = SubmoduleEntry(
    name="parallel_adapter",
    sentence="A scaled bottleneck adapter beside the feed-forward network (He et al., 2022).",
    torch_module="unipelt_search.pelt.adapter:PARALLEL_ADAPTER",
    settings=ParallelAdapterSpec,
    learning_rates=(1e-3, 3e-4, 3e-3),
    hyperparameters=(
        # He et al. take up to half of the hidden size; here it costs the same as the sequential adapter.
        share_of_width("parallel_adapter.bottleneck", 64, 4).with_published(WidthShare(divisor=16)),
        choice("parallel_adapter.activation", *ACTIVATIONS),
        real("parallel_adapter.scale", 0.5, 8.0),
    ),
    earlier={
        1: (
            integer("parallel_adapter.bottleneck", 8, 96),
            choice("parallel_adapter.activation", *ACTIVATIONS),
            real("parallel_adapter.scale", 0.5, 8.0),
        ),
    },
    set_order=2,
    list_order=5,
)

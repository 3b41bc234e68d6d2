"""What the bottleneck adapters may be asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unipelt_search.frozen import Frozen


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

"""The sequential bottleneck adapter without torch: its settings, published values and search space."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.basis import BlockOutputValue, WidthShare
from unipelt_search.methods.hyperparameter import ACTIVATIONS, choice, fixed, integer, share_of_width
from unipelt_search.methods.method_entry import SubmoduleEntry

AdapterInput = Literal["normalised", "feed_forward"]
AdapterUp = Literal["normal", "zero"]
NORMALISED: Final = "normalised"
FEED_FORWARD: Final = "feed_forward"
NORMAL: Final = "normal"
ZERO: Final = "zero"


class AdapterSpec(Frozen):
    """A bottleneck adapter on the feed-forward network's output.

    A field that is not given has the value of edition 1, as in whatever was stored then; the published settings are the
    hyperparameters' below.
    """

    bottleneck: int = Field(default=48, ge=1, le=4096)
    """Units in the middle."""
    activation: Literal["relu", "gelu", "silu", "tanh"] = "gelu"
    """Maps 0 to 0, which zero-padding in a pack relies on."""
    # Left out of a configuration's content where they are as before they existed: those configurations stay the same.
    input: AdapterInput = Field(default=FEED_FORWARD, exclude_if=FEED_FORWARD.__eq__)
    """What it and its gate read: as published what the block would hand on without it, or the feed-forward output."""
    up: AdapterUp = Field(default=ZERO, exclude_if=ZERO.__eq__)
    """How its up-projection begins: as published normal with standard deviation 0.02, or at zero."""


ENTRY = SubmoduleEntry(
    name="adapter",
    sentence="A bottleneck adapter after the feed-forward network (Pfeiffer et al., 2021).",
    torch_module="unipelt_search.pelt.adapter:ADAPTER",
    settings=AdapterSpec,
    learning_rates=(2e-3, 5e-4, 5e-3),
    hyperparameters=(
        share_of_width("adapter.bottleneck", 64, 4).with_published(WidthShare(divisor=16)),
        choice("adapter.activation", *ACTIVATIONS).with_published("relu"),
        fixed("adapter.input").with_published(BlockOutputValue(value=NORMALISED, otherwise=FEED_FORWARD)),
        fixed("adapter.up").with_published(NORMAL),
    ),
    earlier={
        1: (
            integer("adapter.bottleneck", 8, 96),
            choice("adapter.activation", *ACTIVATIONS),
            fixed("adapter.input"),
            fixed("adapter.up"),
        ),
    },
    set_order=1,
    list_order=4,
)

"""Prefix-tuning without torch: its settings, published values and search space."""

from __future__ import annotations

from operator import not_

from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.hyperparameter import choice, fixed, integer
from unipelt_search.methods.method_entry import SubmoduleEntry


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


ENTRY = SubmoduleEntry(
    name="prefix",
    sentence="Prefix-tuning (Li and Liang, 2021): trained keys and values in front of each attention.",
    torch_module="unipelt_search.pelt.prefix:PREFIX",
    settings=PrefixSpec,
    learning_rates=(2e-3, 5e-4, 5e-3),
    hyperparameters=(
        choice("gate.prefix", "scale", "logit"),
        integer("prefix.length", 2, 64),
        choice("prefix.mlp", None, 512),
        fixed("prefix.position_shift"),
    ),
    set_order=3,
    list_order=6,
)

"""What prefix-tuning may be asked."""

from __future__ import annotations

from operator import not_

from pydantic import Field

from unipelt_search.frozen import Frozen


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

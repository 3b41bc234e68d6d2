"""BitFit (Ben Zaken et al., 2022, arXiv 2106.10199): only the biases are trained.

A trained bias is the frozen one plus a delta that starts at zero. Adding the delta to the module's output trains the
same function as training the bias itself, and leaves the checkpoint's own tensors untouched.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unipelt_search.pelt.slots import ContextHolder, add_per_slot, slot_parameter, zeros
from unipelt_search.specs.trial import TrialSpec


class SlotBias(nn.Module):
    """The bias delta of one backbone module, for every slot of a pack."""

    def __init__(
        self, layer: int | None, name: str, width: int, trials: Sequence[TrialSpec], seeds: Sequence[int],
        holder: ContextHolder,
    ) -> None:  # fmt: skip
        """Make the delta, at zero.

        Args:
            layer: The layer that the module is in; None outside of the layers.
            name: The module's name in the backbone.
            width: Features of the module's output, D.
            trials: Each slot's configuration.
            seeds: Each slot's initialisation seed.
            holder: Where the pass under way is found.
        """
        super().__init__()
        self.layer, self.holder = layer, holder
        self.present = [trial.method == "bitfit" for trial in trials]
        shapes = [(width,) if has else None for has in self.present]
        self.delta = slot_parameter(seeds, f"bitfit.{name}", (width,), shapes, zeros)
        factor = torch.tensor([float(has) for has in self.present])
        self.register_buffer("factor", factor[:, None], persistent=False)

    def hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add the delta to the module's output ``(S·B, …, D)``."""
        removed = self.holder.context.removed
        if ("bitfit", None) in removed or (self.layer is not None and ("bitfit", self.layer) in removed):
            return output
        return add_per_slot(output, self.delta * self.factor)

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the delta of one slot, empty where it has none."""
        return {"delta": self.delta[slot]} if self.present[slot] else {}

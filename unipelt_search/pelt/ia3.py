"""IA3 (Liu et al., 2022, arXiv 2205.05638): keys, values and the feed-forward network's inner features are rescaled.

``l ⊙ k``, ``l ⊙ v`` on the outputs of the key and value projections and ``l ⊙ x`` on the input of the feed-forward
down-projection, each ``l = 1 + deviation`` with a deviation that starts at zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.slots import ContextHolder, slot_parameter, zeros
from unipelt_search.specs.trial import TrialSpec


class SlotIa3(nn.Module):
    """The scales of one place in one layer, for every slot of a pack."""

    def __init__(
        self, layer: int, site: str, width: int, trials: Sequence[TrialSpec], seeds: Sequence[int],
        holder: ContextHolder,
    ) -> None:  # fmt: skip
        """Make the deviations from one, at zero.

        Args:
            layer: The layer, counted from 0.
            site: `key`, `value` or `ffn`.
            width: Features that are rescaled, D.
            trials: Each slot's configuration.
            seeds: Each slot's initialisation seed.
            holder: Where the pass under way is found.
        """
        super().__init__()
        self.layer, self.site, self.holder = layer, f"ia3_{site}", holder
        self.present = ["ia3" in find_method(trial.method).submodules for trial in trials]
        shapes = [(width,) if has else None for has in self.present]
        self.deviation = slot_parameter(seeds, f"ia3.{layer}.{site}", (width,), shapes, zeros)
        factor = torch.tensor([float(has) for has in self.present])
        self.register_buffer("factor", factor[:, None], persistent=False)

    def output_hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Rescale the module's output ``(S·B, T, D)``."""
        content = self.holder.context.attention_inputs.get(self.layer)
        # DeBERTa's projections also run on relative positions; as in PEFT they are rescaled, but belong to no row.
        return self.rescale(output, of_rows=content is None or args[0] is content)

    def input_hook(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Rescale the module's input ``(S·B, T, D)``."""
        return (self.rescale(args[0]), *args[1:])

    def rescale(self, x: Tensor, *, of_rows: bool = True) -> Tensor:
        """Multiply every feature with its slot's scale: ``(S·B, T, D)``, or ``(S·B·T, D)`` (OPT), to the same shape."""
        state = self.holder.context
        if state.is_removed("ia3", self.layer):
            return x
        slots, width = self.deviation.shape
        deviation = (self.deviation * self.factor).view(slots, *([1] * (x.dim() - 1)), width)
        delta = (x.view(slots, -1, *x.shape[1:]) * deviation).view(x.shape)
        result = x + delta
        if of_rows:
            state.record_contribution(self.layer, self.site, delta, result)
        return result

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the deviation of one slot, empty where it has none."""
        return {"deviation": self.deviation[slot]} if self.present[slot] else {}

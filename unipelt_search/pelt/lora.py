"""LoRA on the query and value projections (Hu et al., 2021, arXiv 2106.09685).

``y = W x + f · B A x``, where f is alpha / rank, or the gate itself (UniPELT's published form), or gate · alpha / rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unipelt_search.pelt.dropout import site_key
from unipelt_search.pelt.slots import (
    ContextHolder,
    ForwardContext,
    scale_rows,
    slot_matmul,
    slot_parameter,
    uniform,
    zeros,
)
from unipelt_search.specs.trial import TrialSpec


class SlotLora(nn.Module):
    """The low-rank update of one projection in one layer, for every slot of a pack."""

    def __init__(
        self, layer: int, projection: str, shape: tuple[int, int], trials: Sequence[TrialSpec], seeds: Sequence[int],
        holder: ContextHolder,
    ) -> None:  # fmt: skip
        """Make the two factors: A is drawn as torch draws a linear layer, B is zero, so nothing changes at first.

        Args:
            layer: The layer, counted from 0.
            projection: `query` or `value`.
            shape: The projection's (out, in) features.
            trials: Each slot's configuration.
            seeds: Each slot's initialisation seed.
            holder: Where the pass under way is found.
        """
        super().__init__()
        self.layer, self.gate, self.holder = layer, f"lora_{projection}", holder
        out, inner = shape
        specs = [trial.lora for trial in trials]
        self.ranks = [spec.rank if spec else 0 for spec in specs]
        rank, name = max(self.ranks), f"lora.{layer}.{projection}"
        downs = [(r, inner) if r else None for r in self.ranks]
        ups = [(out, r) if r else None for r in self.ranks]
        self.down = slot_parameter(seeds, f"{name}.down", (rank, inner), downs, uniform(1 / math.sqrt(inner)))
        self.up = slot_parameter(seeds, f"{name}.up", (out, rank), ups, zeros)
        scales = [spec.alpha / spec.rank if spec else 0.0 for spec in specs]
        modes = [trial.gate.lora if trial.gate else None for trial in trials]
        offset = [0.0 if mode else scale for scale, mode in zip(scales, modes, strict=True)]
        slope = [
            0.0 if not (mode and scale) else 1.0 if mode == "replace" else scale
            for scale, mode in zip(scales, modes, strict=True)
        ]
        self.register_buffer("offset", torch.tensor(offset), persistent=False)
        self.register_buffer("slope", torch.tensor(slope), persistent=False)
        self.register_buffer("rates", torch.tensor([s.dropout if s else 0.0 for s in specs]), persistent=False)
        self.drops, self.site = any(s.dropout for s in specs if s), site_key(name)

    def hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add the update to the projection's output ``(S·B, T, out)``."""
        state = self.holder.context
        if state.is_removed("lora", self.layer):
            return output
        content = state.attention_inputs.get(self.layer)
        if content is not None and args[0] is not content:
            # DeBERTa's relative positions: no row's own, so no gate; as in PEFT, the plain update acts on them.
            return output + self.update(args[0], state, gated=False)
        delta = self.update(args[0], state)
        result = output + delta
        state.record_contribution(self.layer, self.gate, delta, result)
        return result

    def update(self, x: Tensor, state: ForwardContext, *, gated: bool = True) -> Tensor:
        """Compute ``f · B A x``: ``(S·B, T, in)`` → ``(S·B, T, out)``; ungated, f is alpha / rank or nothing."""
        if state.dropout is not None and self.drops:
            x = state.dropout.drop(x, self.site, self.rates)
        hidden = slot_matmul(x, self.down)  # (S·B, T, rank)
        factor = state.factor(self.offset, self.slope, self.layer, self.gate) if gated else self.offset
        return slot_matmul(scale_rows(hidden, factor), self.up)

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the factors of one slot without padding, empty where it has none."""
        rank = self.ranks[slot]
        return {"down": self.down[slot, :rank], "up": self.up[slot, :, :rank]} if rank else {}

"""The gate of UniPELT, written once.

Source: Mao et al., "UniPELT: A Unified Framework for Parameter-Efficient Language Model Tuning", ACL 2022, section 3:
``G = sigmoid(W x)`` per token, averaged to one value per example, layer and submodule. The published code averages over
padding too, so that a sentence's gate depends on its neighbours in the batch; here padding does not count, unless
``gate.pooling`` is `all_positions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unipelt_search.pelt.slots import ForwardState, normal, slot_parameter, zeros


def pooled_gate(x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """Compute ``G = mean over the mask of sigmoid(x · w + b)``.

    Args:
        x: ``(S·B, T, D)``, slot-major.
        weight: ``(S, D)``.
        bias: ``(S,)``.
        mask: ``(S·B, T)``, 1 where a position counts.

    Returns:
        ``(S·B,)``, in (0, 1).
    """
    slots, width = weight.shape
    logits = torch.bmm(x.reshape(slots, -1, width), weight[:, :, None]) + bias[:, None, None]  # (S, B·T, 1)
    values = torch.sigmoid(logits).view(mask.shape)
    return (values * mask).sum(1) / mask.sum(1).clamp(min=1)


class SlotGate(nn.Module):
    """One gate in one layer, for every slot of a pack that has it."""

    def __init__(
        self, name: str, layer: int, width: int, seeds: Sequence[int], gated: Sequence[bool], padding: Sequence[bool]
    ) -> None:
        """Make the gate's weights; they start near 0, so that the gate starts near 0.5.

        Args:
            name: The gate's name, for example `lora_query`.
            layer: The layer, counted from 0.
            width: Features of the gate's input, D.
            seeds: Each slot's initialisation seed.
            gated: Which slots have this gate.
            padding: Which slots average over padding too.
        """
        super().__init__()
        self.name, self.layer, self.gated = name, layer, list(gated)
        shapes = [(width,) if has else None for has in gated]
        self.weight = slot_parameter(seeds, f"gate.{layer}.{name}", (width,), shapes, normal(0.02))
        self.bias = slot_parameter(
            seeds, f"gate.{layer}.{name}.bias", (), [() if has else None for has in gated], zeros
        )
        self.register_buffer("padding", torch.tensor(padding, dtype=torch.float32), persistent=False)
        self.register_buffer("ungated", torch.tensor([float(not has) for has in gated]), persistent=False)
        self.counts_padding = any(padding)

    def forward(self, x: Tensor, state: ForwardState) -> Tensor:
        """Compute the gate, put it into the pass's state and show it to the recorder.

        Args:
            x: The gate's input, ``(S·B, T, D)``.
            state: The pass under way.

        Returns:
            ``(S·B,)``.
        """
        mask = state.tokens
        if self.counts_padding:
            mask = torch.maximum(mask, state.per_row(self.padding).to(mask.dtype)[:, None])
        value = pooled_gate(x, self.weight, self.bias, mask)
        state.gates[self.layer, self.name] = value
        if state.recorder is not None:
            seen = value if all(self.gated) else value.masked_fill(state.per_row(self.ungated) > 0, torch.nan)
            state.record("gate", self.layer, self.name, seen)
        return value

    def stored(self, slot: int) -> dict[str, Tensor]:
        """Return the gate of one slot, empty where it has none."""
        return {"weight": self.weight[slot], "bias": self.bias[slot]} if self.gated[slot] else {}

"""The gate of UniPELT, written once.

Source: Mao et al., "UniPELT: A Unified Framework for Parameter-Efficient Language Model Tuning", ACL 2022, section 3:
``G = sigmoid(W x)`` per token, averaged to one value per example, layer and submodule. The published code averages over
padding too, so that a sentence's gate depends on its neighbours in the batch; here padding does not count, unless
``gate.pooling`` is `all_positions`. Either mean shows a decoder's earlier positions what follows them; with
`prefix_mean` each position has a gate, the mean over the real tokens up to it. As published each layer has weights of
its own; with ``gate.sharing: shared`` all layers use the same ones, so that a gate differs between layers by its input
alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unipelt_search.pelt.slots import ForwardContext, PackSlots, SlotPart, normal, slot_parameter, zeros


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
    return _mean(token_gates(x, weight, bias, mask), mask)


def token_gates(x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor) -> Tensor:
    """Compute ``sigmoid(x · w + b)`` of every position; arguments as in `pooled_gate`.

    Args:
        x: ``(S·B, T, D)``, slot-major.
        weight: ``(S, D)``.
        bias: ``(S,)``.
        mask: ``(S·B, T)``, for its shape.

    Returns:
        ``(S·B, T)``, in (0, 1).
    """
    slots, width = weight.shape
    by_slot = x.reshape(slots, -1, width)
    products = torch.bmm(by_slot, weight[:, :, None])  # (S, B·T, 1)
    return torch.sigmoid(products + bias[:, None, None]).view(mask.shape)


def prefix_means(values: Tensor, mask: Tensor) -> Tensor:
    """Compute ``G_t = mean over the mask up to t of the values``.

    Args:
        values: ``(S·B, T)``.
        mask: ``(S·B, T)``, 1 where a position counts.

    Returns:
        ``(S·B, T)``; 0 in front of the first position that counts.
    """
    return (values * mask).cumsum(1) / mask.cumsum(1).clamp(min=1)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    # A row without tokens pads a shorter slot's batch: its gate is 0 and counts nowhere.
    return (values * mask).sum(1) / mask.sum(1).clamp(min=1)


class GateWeights(SlotPart):
    """The weights of a gate, for every slot of a pack that has them; they start near 0, the gate near 0.5."""

    def __init__(
        self,
        path: str,
        width: int,
        seeds: Sequence[int],
        present: Sequence[bool],
    ) -> None:
        """Draw the weights.

        Args:
            path: Whose they are, for example `0.lora_query` or `shared.prefix`.
            width: Features of the gate's input, D.
            seeds: Each slot's initialisation seed.
            present: Which slots have these weights.
        """
        super().__init__()
        self.present = list(present)
        weights = [(width,) if has else None for has in present]
        biases = [() if has else None for has in present]
        self.weight = slot_parameter(seeds, f"gate.{path}", (width,), weights, normal(0.02))
        self.bias = slot_parameter(seeds, f"gate.{path}.bias", (), biases, zeros)

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the weights of one slot, empty where it has none."""
        if not self.present[slot]:
            return {}
        return {"weight": self.weight[slot], "bias": self.bias[slot]}


class SlotGate(SlotPart):
    """One gate in one layer, for every slot of a pack that has it."""

    shares: Tensor
    """``(S,)``, which slots share their weights between layers."""
    padding: Tensor
    """``(S,)``, 1 in slots that average over padding too."""
    by_position: Tensor
    """``(S,)``, which slots have a gate for each position."""
    ungated: Tensor
    """``(S,)``, 1 in slots without this gate."""

    def __init__(
        self,
        name: str,
        layer: int,
        width: int,
        slots: PackSlots,
        gated: Sequence[bool],
        shared: GateWeights | None = None,
    ) -> None:
        """Make the weights of the slots that do not share theirs between layers.

        Args:
            name: The gate's name, for example `lora_query`.
            layer: The layer, counted from 0.
            width: Features of the gate's input, D.
            slots: The pack's runs.
            gated: Which slots have this gate.
            shared: The weights of the slots that share theirs, a part of its own in the pack.
        """
        super().__init__()
        self.name = name
        self.layer = layer
        self.gated = list(gated)
        # Out of nn.Module's registry: they are listed once, as a part of their own.
        object.__setattr__(self, "shared", shared)
        self.shared: GateWeights | None
        shares = shared.present if shared is not None else [False] * len(self.gated)
        own = [has and not share for has, share in zip(gated, shares, strict=True)]
        self.own = GateWeights(f"{layer}.{name}", width, slots.seeds, own) if any(own) else None
        padding = [gate is not None and gate.pooling == "all_positions" for gate in slots.gates]
        by_position = [gate is not None and gate.is_causal for gate in slots.gates]
        ungated = [float(not has) for has in gated]
        self.register_buffer("shares", torch.tensor(shares), persistent=False)
        self.register_buffer("padding", torch.tensor(padding, dtype=torch.float32), persistent=False)
        self.register_buffer("ungated", torch.tensor(ungated), persistent=False)
        self.register_buffer("by_position", torch.tensor(by_position), persistent=False)
        self.counts_padding = any(padding)
        self.any_by_position = any(by_position)

    def forward(self, x: Tensor, state: ForwardContext) -> Tensor:
        """Compute the gate, put it into the pass's state and show it to the recorder.

        Args:
            x: The gate's input, ``(S·B, T, D)``.
            state: The pass under way.

        Returns:
            ``(S·B,)``; in slots with a gate for each position that of the last real token, which is the mean over all.
        """
        mask = state.tokens
        if self.counts_padding:
            counts_all = state.per_row(self.padding).to(mask.dtype)
            mask = torch.maximum(mask, counts_all[:, None])
        values = token_gates(x, *self.weights(), mask)
        value = _mean(values, mask)
        state.gates[self.layer, self.name] = value
        if self.any_by_position:
            own = state.per_row(self.by_position)[:, None]
            state.position_gates[self.layer, self.name] = torch.where(own, prefix_means(values, mask), value[:, None])
        if state.recorder is not None:
            seen = value
            if not all(self.gated):  # a slot without the gate gets a value too, which is none of its own
                seen = value.masked_fill(state.per_row(self.ungated) > 0, torch.nan)
            state.record("gate", self.layer, self.name, seen)
        return value

    def weights(self) -> tuple[Tensor, Tensor]:
        """Return every slot's weight vector ``(S, D)`` and bias ``(S,)``, its own or the shared one."""
        sources = [source for source in (self.own, self.shared) if source is not None]
        if len(sources) == 1:
            return sources[0].weight, sources[0].bias
        own, shared = sources
        weight = torch.where(self.shares[:, None], shared.weight, own.weight)
        return weight, torch.where(self.shares, shared.bias, own.bias)

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the layer's own gate of one slot, empty where it has none."""
        return {} if self.own is None else self.own.slot_state_dict(slot)

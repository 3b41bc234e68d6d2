"""The bottleneck adapters: behind the feed-forward network, and beside it.

Behind it (Houlsby et al., 2019; Pfeiffer et al., 2021), on the feed-forward output h before the residual::

    h + f · (U act(D h + d) + u)        f = 1, or the gate

Beside it (the scaled parallel adapter of He et al., 2022, arXiv 2110.04366), from the feed-forward input x::

    h + s · (U act(D x + d) + u)        s = the scale
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.pelt.gate import SlotGate
from unipelt_search.pelt.slots import (
    ContextHolder,
    add_per_slot,
    normal,
    scale_rows,
    slot_matmul,
    slot_parameter,
    zeros,
)
from unipelt_search.specs.trial import TrialSpec

# Each maps 0 to 0, so that zero-padded units of a narrower bottleneck stay zero and get no gradient.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}


class SlotAdapter(nn.Module):
    """One kind of adapter in one layer, for every slot of a pack."""

    def __init__(
        self, layer: int, width: int, trials: Sequence[TrialSpec], seeds: Sequence[int], holder: ContextHolder,
        gate: SlotGate | None, kind: Literal["adapter", "parallel_adapter"] = "adapter",
    ) -> None:  # fmt: skip
        """Make the adapter; its up-projection is zero, so nothing changes at first.

        Args:
            layer: The layer, counted from 0.
            width: Features of the feed-forward output, D.
            trials: Each slot's configuration.
            seeds: Each slot's initialisation seed.
            holder: Where the pass under way is found.
            gate: The gate over the adapter's own input, if any slot has one.
            kind: Behind the feed-forward network, or beside it.
        """
        super().__init__()
        self.layer, self.holder, self.gate, self.kind = layer, holder, gate, kind
        specs = [trial.adapter if kind == "adapter" else trial.parallel_adapter for trial in trials]
        self.units = [spec.bottleneck if spec else 0 for spec in specs]
        self.activations = [spec.activation if spec else "relu" for spec in specs]
        units, name = max(self.units), f"{kind}.{layer}"
        middle = [(u,) if u else None for u in self.units]
        outer = [(width,) if u else None for u in self.units]
        self.down = slot_parameter(
            seeds, f"{name}.down", (units, width), [(u, width) if u else None for u in self.units], normal(0.02)
        )
        self.down_bias = slot_parameter(seeds, f"{name}.down_bias", (units,), middle, zeros)
        self.up = slot_parameter(
            seeds, f"{name}.up", (width, units), [(width, u) if u else None for u in self.units], zeros
        )
        self.up_bias = slot_parameter(seeds, f"{name}.up_bias", (width,), outer, zeros)
        gated = [trial.gate is not None for trial in trials]
        scales = [spec.scale if isinstance(spec, ParallelAdapterSpec) else float(spec is not None) for spec in specs]
        offset = [0.0 if has_gate else scale for scale, has_gate in zip(scales, gated, strict=True)]
        slope = [scale if has_gate else 0.0 for scale, has_gate in zip(scales, gated, strict=True)]
        self.register_buffer("offset", torch.tensor(offset), persistent=False)
        self.register_buffer("slope", torch.tensor(slope), persistent=False)

    def read(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Keep the feed-forward input ``(S·B, T, D)``, which an adapter beside the network reads."""
        self.holder.context.ffn_inputs[self.layer] = args[0]

    def hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add the adapter's answer to the feed-forward output ``(S·B, T, D)``."""
        state = self.holder.context
        if self.gate is not None:
            self.gate(output, state)
        if state.is_removed(self.kind, self.layer):
            return output
        x = output if self.kind == "adapter" else state.ffn_inputs[self.layer]
        delta = scale_rows(self.transform(x), state.factor(self.offset, self.slope, self.layer, self.kind))
        result = output + delta
        state.record_contribution(self.layer, self.kind, delta, result)
        return result

    def transform(self, h: Tensor) -> Tensor:
        """Compute ``U act(D h + d) + u``: ``(S·B, T, D)`` → ``(S·B, T, D)``."""
        middle = self._activate(add_per_slot(slot_matmul(h, self.down), self.down_bias))
        return add_per_slot(slot_matmul(middle, self.up), self.up_bias)

    def _activate(self, x: Tensor) -> Tensor:
        kinds = set(self.activations)
        if len(kinds) == 1:
            return ACTIVATIONS[kinds.pop()](x)
        parts = x.view(len(self.activations), -1, *x.shape[1:])
        return torch.cat([ACTIVATIONS[kind](part) for kind, part in zip(self.activations, parts, strict=True)])

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the tensors of one slot without padding, empty where it has none."""
        units = self.units[slot]
        if not units:
            return {}
        return {
            "down": self.down[slot, :units],
            "down_bias": self.down_bias[slot, :units],
            "up": self.up[slot, :, :units],
            "up_bias": self.up_bias[slot],
        }

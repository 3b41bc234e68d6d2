"""The bottleneck adapters: after the feed-forward network, and beside it.

After it (Houlsby et al., 2019; Pfeiffer et al., 2021), on the feed-forward output h before the residual::

    h + f · (U act(D h + d) + u)        f = 1, or the gate over h

Beside it (the scaled parallel adapter of He et al., 2022, arXiv 2110.04366), from the feed-forward input x::

    h + f · (U act(D x + d) + u)        f = the scale s, or s · the gate over x
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import LayerParts, layer_parts, present
from unipelt_search.errors import BackboneError
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.pelt.gate import SlotGate
from unipelt_search.pelt.slots import (
    PackSlots,
    SlotPart,
    add_per_slot,
    gate_factors,
    normal,
    scale_rows,
    slot_matmul,
    slot_parameter,
    zeros,
)
from unipelt_search.pelt.submodule import Obstacle, Submodule
from unipelt_search.specs.trial import TrialSpec

Kind = Literal["adapter", "parallel_adapter"]
Spec = AdapterSpec | ParallelAdapterSpec
# Each maps 0 to 0, so that zero-padded units of a narrower bottleneck stay zero and get no gradient.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}


class SlotAdapter(SlotPart):
    """One kind of adapter in one layer, for every slot of a pack."""

    offset: Tensor
    """``(S,)``, what the update is multiplied with in slots without a gate."""
    slope: Tensor
    """``(S,)``, what the gate is multiplied with in slots with one."""

    def __init__(
        self,
        kind: Kind,
        layer: int,
        width: int,
        slots: PackSlots,
        gate: SlotGate | None = None,
    ) -> None:
        """Make the adapter; its up-projection is zero, so nothing changes at first.

        Args:
            kind: After the feed-forward network, or beside it.
            layer: The layer, counted from 0.
            width: Features of the feed-forward output, D.
            slots: The pack's runs.
            gate: The gate over the adapter's own input, if any slot has one.
        """
        super().__init__()
        self.kind = kind
        self.layer = layer
        self.holder = slots.holder
        # A part of its own in the pack: here it is only called, not listed.
        object.__setattr__(self, "gate", gate)
        self.gate: SlotGate | None
        specs = [_settings(trial, kind) for trial in slots.trials]
        self.units = [spec.bottleneck if spec else 0 for spec in specs]
        self.activations = [spec.activation if spec else "relu" for spec in specs]
        self._initialise(f"{kind}.{layer}", width, slots.seeds)
        offset, slope = gate_factors([_scale(spec) for spec in specs], slots.gated(kind))
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("slope", slope, persistent=False)

    def _initialise(self, name: str, width: int, seeds: Sequence[int]) -> None:
        """Initialise the projections and their biases, each slot's in its own number of units."""
        units = max(self.units)
        downs = [(own, width) if own else None for own in self.units]
        middles = [(own,) if own else None for own in self.units]
        ups = [(width, own) if own else None for own in self.units]
        outers = [(width,) if own else None for own in self.units]
        self.down = slot_parameter(seeds, f"{name}.down", (units, width), downs, normal(0.02))
        self.down_bias = slot_parameter(seeds, f"{name}.down_bias", (units,), middles, zeros)
        self.up = slot_parameter(seeds, f"{name}.up", (width, units), ups, zeros)
        self.up_bias = slot_parameter(seeds, f"{name}.up_bias", (width,), outers, zeros)

    def read(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Keep the feed-forward input ``(S·B, T, D)``, which an adapter beside the network reads, and gate it."""
        context = self.holder.context
        context.kept[self.kind, self.layer] = args[0]
        if self.gate is not None:
            self.gate(args[0], context)

    def hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        """Add what the adapter computes to the feed-forward output ``(S·B, T, D)``."""
        context = self.holder.context
        x = output
        # The gate is computed even where the adapter is removed: an ablation must not lose the gate's statistics.
        if self.kind == "parallel_adapter":
            x = context.kept[self.kind, self.layer]
        elif self.gate is not None:
            self.gate(x, context)
        if context.is_removed(self.kind, self.layer):
            return output
        factor = context.factor(self.offset, self.slope, self.layer, self.kind)
        delta = scale_rows(self.transform(x), factor)
        result = output + delta
        context.record_contribution(self.layer, self.kind, delta, result)
        return result

    def transform(self, x: Tensor) -> Tensor:
        """Compute ``U act(D x + d) + u``: ``(S·B, T, D)`` → ``(S·B, T, D)``."""
        middle = self._activate(add_per_slot(slot_matmul(x, self.down), self.down_bias))
        return add_per_slot(slot_matmul(middle, self.up), self.up_bias)

    def _activate(self, x: Tensor) -> Tensor:
        kinds = set(self.activations)
        # The ordinary case, one call for all slots.
        if len(kinds) == 1:
            return ACTIVATIONS[kinds.pop()](x)
        parts = x.view(len(self.activations), -1, *x.shape[1:])
        pairs = zip(self.activations, parts, strict=True)
        return torch.cat([ACTIVATIONS[kind](part) for kind, part in pairs])

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


def _settings(trial: TrialSpec, kind: Kind) -> Spec | None:
    if kind == "adapter":
        return trial.part(kind, AdapterSpec)
    return trial.part(kind, ParallelAdapterSpec)


def _scale(spec: Spec | None) -> float:
    """Return what a slot's output is multiplied with, beside its gate; 0 where the slot has no adapter."""
    if spec is None:
        return 0.0
    return spec.scale if isinstance(spec, ParallelAdapterSpec) else 1.0


class Adapter(Submodule):
    """A bottleneck adapter of either kind; its gate reads the adapter's own input."""

    needs = ("ffn_in", "ffn_out")

    def __init__(self, kind: Kind, order: int, phrase: str) -> None:
        """Take which adapter it is.

        Args:
            kind: Its name.
            order: Where its hooks stand.
            phrase: What messages call it.
        """
        self.name = kind
        self.order = order
        self.kind: Kind = kind
        self.phrase = phrase

    def check(self, backbone: Backbone, trial: TrialSpec, tokens: int) -> None:
        """Check that the bottleneck is narrower than what it reads.

        Raises:
            BackboneError: It is not.
        """
        outputs = [layer.ffn_out for layer in layer_parts(backbone.base, backbone.family) if layer.ffn_out is not None]
        width = outputs[0].out
        spec = _settings(trial, self.kind)
        if spec is not None and spec.bottleneck >= width:
            raise BackboneError(
                f"{self.name}.bottleneck must be below {width}, the hidden size of {backbone.name!r}; "
                f"got {spec.bottleneck}."
            )

    def attach_layer(self, attachment: Attachment, layer: LayerParts) -> None:
        """Hook the feed-forward network's output, and its input where the adapter reads that."""
        ffn_out = present(layer.ffn_out)
        width = ffn_out.out
        gate = attachment.gate(self.name, layer.number, width)
        adapter = SlotAdapter(self.kind, layer.number, width, attachment.slots, gate)
        attachment.add_part(f"{self.name}/{layer.number}", adapter)
        if self.kind == "parallel_adapter":
            attachment.add_handle(present(layer.ffn_in).register_forward_pre_hook(adapter.read))
        attachment.add_handle(ffn_out.register_forward_hook(adapter.hook))

    def merge_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Say that it cannot be merged: its activation lies between two weights."""
        return Obstacle(f"a {self.phrase} is a further layer, which no weight of the backbone can hold")

    def peft_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Say that PEFT has no such type."""
        return Obstacle(f"PEFT has no {self.phrase}")


ADAPTER = Adapter("adapter", 40, "bottleneck adapter")
PARALLEL_ADAPTER = Adapter("parallel_adapter", 50, "parallel adapter")

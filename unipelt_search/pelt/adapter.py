"""The bottleneck adapters: after the feed-forward network, and beside it.

After it (Pfeiffer et al., 2021; in UniPELT, Mao et al., 2022), from what the layer would hand on without it, x, which
for a layer that normalises last is ``LN(h + r)`` with the feed-forward output h and the residual r
(`backbones.block_output` has the other layers)::

    h + f · (U act(D x + d) + u)        f = 1, or the gate over x

``adapter.input: feed_forward`` reads h in place of x. As in the official code x is computed from h after the layer's
dropout, and the adapter's update is not dropped; with `feed_forward` the update is dropped with h.

Beside it (the scaled parallel adapter of He et al., 2022, arXiv 2110.04366), from the feed-forward input x::

    h + f · (U act(D x + d) + u)        f = the scale s, or s · the gate over x

Source: Mao et al., ACL 2022, section 3.2 and the official code; `adapters` 1.3 computes the same (`seq_bn`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.block_output import BlockParts, block_parts
from unipelt_search.backbones.layers import LayerParts, layer_parts, present
from unipelt_search.errors import BackboneError
from unipelt_search.methods.adapter_settings import FEED_FORWARD, NORMAL, NORMALISED, AdapterSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.pelt.block_reader import BlockReader
from unipelt_search.pelt.dropout import backbone_site, in_layer
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
    reads_block: Tensor
    """``(S,)``, whether a slot's adapter reads what the layer would hand on without it."""

    def __init__(
        self,
        kind: Kind,
        layer: int,
        width: int,
        slots: PackSlots,
        gate: SlotGate | None = None,
    ) -> None:
        """Make the adapter; where its up-projection is zero nothing changes at first.

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
        self._initialise(f"{kind}.{layer}", width, specs, slots.seeds)
        offset, slope = gate_factors([_scale(spec) for spec in specs], slots.gated(kind))
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("slope", slope, persistent=False)
        reads_block = [_reads_block(spec) for spec in specs]
        self.register_buffer("reads_block", torch.tensor(reads_block), persistent=False)
        self.any_reads_block = any(reads_block)
        # Slots without an adapter read nothing.
        self.is_mixed = self.any_reads_block and any(
            spec is not None and not reads for spec, reads in zip(specs, reads_block, strict=True)
        )
        self.block: BlockReader | None = None
        self.dropout_site: int | None = None

    def _initialise(self, name: str, width: int, specs: Sequence[Spec | None], seeds: Sequence[int]) -> None:
        """Initialise the projections and their biases, each slot's in its own number of units."""
        units = max(self.units)
        downs = [(own, width) if own else None for own in self.units]
        middles = [(own,) if own else None for own in self.units]
        # Without a shape of its own a slot's tensor is zero.
        ups = [(width, spec.bottleneck) if spec and _begins_random(spec) else None for spec in specs]
        outers = [(width,) if own else None for own in self.units]
        self.down = slot_parameter(seeds, f"{name}.down", (units, width), downs, normal(0.02))
        self.down_bias = slot_parameter(seeds, f"{name}.down_bias", (units,), middles, zeros)
        self.up = slot_parameter(seeds, f"{name}.up", (width, units), ups, normal(0.02))
        self.up_bias = slot_parameter(seeds, f"{name}.up_bias", (width,), outers, zeros)

    def read(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Keep the feed-forward input ``(S·B, T, D)``, which an adapter beside the network reads, and gate it."""
        context = self.holder.context
        context.kept[self.kind, self.layer] = args[0]
        if self.gate is not None:
            self.gate(args[0], context)

    def keep(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        """Keep the feed-forward output ``(S·B, T, D)`` for the slots that read it, where others read the layer's."""
        self.holder.context.kept[self.kind, self.layer] = output
        return output

    def hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        """Add what the adapter computes to the feed-forward output ``(S·B, T, D)``."""
        context = self.holder.context
        is_removed = context.is_removed(self.kind, self.layer)
        # The gate is computed even where the adapter is removed: an ablation must not lose the gate's statistics.
        gate = None if self.kind == "parallel_adapter" else self.gate
        if is_removed and gate is None:
            return output
        x = self._input(output)
        if gate is not None:
            gate(x, context)
        if is_removed:
            return output
        factor = context.factor(self.offset, self.slope, self.layer, self.kind)
        delta = self._dropped(scale_rows(self.transform(x), factor))
        result = output + delta
        context.record_contribution(self.layer, self.kind, delta, result)
        return result

    def _input(self, output: Tensor) -> Tensor:
        """Return what each slot's adapter reads, ``(S·B, T, D)``."""
        kept = self.holder.context.kept
        if self.kind == "parallel_adapter":
            # Some mixtures of experts hand on the tokens of all rows together (Llama 4).
            return kept[self.kind, self.layer].reshape(output.shape)
        if self.block is None:
            return output
        x = self.block.output(output)
        if not self.is_mixed:
            return x
        slots = len(self.reads_block)
        own = kept[self.kind, self.layer].reshape(slots, -1)
        return torch.where(self.reads_block[:, None], x.reshape(slots, -1), own).view(x.shape)

    def _dropped(self, delta: Tensor) -> Tensor:
        """Drop the updates of slots that add them in front of the layer's dropout, where the pack adds after it."""
        dropout = self.holder.context.dropout
        if not self.is_mixed or self.dropout_site is None or dropout is None:
            return delta
        return dropout.drop(delta, self.dropout_site, dropout.rates.masked_fill(self.reads_block, 0.0))

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


def _dropout_site(layer: LayerParts, parts: BlockParts) -> int | None:
    """Return the key of the dropout between the feed-forward output and the sum; None where nothing is dropped."""
    names = [name for name, module in layer.dropouts if module is parts.dropout]
    return backbone_site(in_layer(layer.number, names[0])) if names else None


def _scale(spec: Spec | None) -> float:
    """Return what a slot's output is multiplied with, beside its gate; 0 where the slot has no adapter."""
    if spec is None:
        return 0.0
    return spec.scale if isinstance(spec, ParallelAdapterSpec) else 1.0


def _reads_block(spec: Spec | None) -> bool:
    return isinstance(spec, AdapterSpec) and spec.input == NORMALISED


def _begins_random(spec: Spec) -> bool:
    return isinstance(spec, AdapterSpec) and spec.up == NORMAL


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

    def changes_logits_at_first(self, trial: TrialSpec) -> bool:
        """Tell whether its up-projection begins with drawn values."""
        spec = _settings(trial, self.kind)
        return spec is not None and _begins_random(spec)

    def check(self, backbone: Backbone, trial: TrialSpec, tokens: int) -> None:
        """Check that the bottleneck is narrower than what it reads, and that there is what it reads.

        Raises:
            BackboneError: It is not, or there is not.
        """
        outputs = [layer.ffn_out for layer in layer_parts(backbone.base, backbone.family) if layer.ffn_out is not None]
        width = outputs[0].out
        spec = _settings(trial, self.kind)
        if spec is not None and spec.bottleneck >= width:
            raise BackboneError(
                f"{self.name}.bottleneck must be below {width}, the hidden size of {backbone.name!r}; "
                f"got {spec.bottleneck}."
            )
        if _reads_block(spec) and not backbone.has_block_output:
            raise BackboneError(
                f"{self.name}.input must be {FEED_FORWARD!r} where what a layer hands on is no sum of its feed-forward "
                f"output and a residual that can be found; {backbone.name!r} is such a backbone. Set it to that."
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
        if not adapter.any_reads_block:
            attachment.add_handle(ffn_out.register_forward_hook(adapter.hook))
            return
        parts = present(block_parts(layer, attachment.backbone.family))
        adapter.block = BlockReader(layer.number, parts, attachment.slots.holder)
        adapter.block.attach(attachment)
        adapter.dropout_site = _dropout_site(layer, parts)
        if adapter.is_mixed:
            attachment.add_handle(ffn_out.register_forward_hook(adapter.keep))
        # After the layer's dropout and what others add: all of that is part of what the layer would hand on.
        attachment.add_last_hook(parts.dropout or ffn_out, adapter.hook)

    def merge_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Say that it cannot be merged: its activation lies between two weights."""
        return Obstacle(f"a {self.phrase} is a further layer, which no weight of the backbone can hold")

    def peft_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Say that PEFT has no such type."""
        return Obstacle(f"PEFT has no {self.phrase}")


ADAPTER = Adapter("adapter", 40, "bottleneck adapter")
PARALLEL_ADAPTER = Adapter("parallel_adapter", 50, "parallel adapter")

"""The keys and values of prefixes, for every slot of a pack, and the mask and logits that go with them.

While training, keys and values may come out of a small MLP (the reparameterisation); only its output is kept. With a
gate, the published form scales keys and values by G, which cannot switch a prefix off, since a zero key still takes
attention; the `logit` form adds log G to the prefix's attention logits, which can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from unipelt_search.backbones.layers import AttentionShape
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.slots import (
    ForwardContext,
    Init,
    PackSlots,
    SlotPart,
    add_per_slot,
    normal,
    scale_rows,
    slot_matmul,
    slot_parameter,
    uniform,
)

_SMALLEST_GATE = 1e-6
"""Gates are clamped here before their logarithm is taken: it keeps the gradient of a closed gate finite."""
Shape = tuple[int, ...]


class SlotPrefix(SlotPart):
    """The prefixes of all layers, for every slot of a pack."""

    is_direct: Tensor
    """``(S,)``, which slots have no MLP."""
    shifts: Tensor
    """``(S,)``, positions that each slot's tokens are moved up by."""
    absent: Tensor
    """``(S, length)``, −inf at positions that a slot's prefix does not have, else 0."""
    offset: Tensor
    """``(S,)``, what keys and values are multiplied with in slots whose gate does not scale them."""
    slope: Tensor
    """``(S,)``, 1 in slots whose gate scales keys and values."""
    by_logit: Tensor
    """``(S,)``, 1 in slots whose gate is added to the prefix's logits."""

    def __init__(self, layers: Sequence[int], shape: AttentionShape, slots: PackSlots) -> None:
        """Make keys and values, or the MLP that computes them.

        Args:
            layers: The numbers of the layers that have one.
            shape: The key and value heads of a layer, and the hidden size, which is the width of the MLP's input.
            slots: The pack's runs.
        """
        super().__init__()
        specs = slots.settings("prefix", PrefixSpec)
        self.lengths = [spec.length if spec else 0 for spec in specs]
        self.middles = [spec.mlp or 0 if spec else 0 for spec in specs]
        self.indices = {layer: index for index, layer in enumerate(layers)}
        self.widths = (shape.head_width, shape.value_width)
        self.shape = (len(layers), 2, shape.heads, max(self.widths))
        self.out = len(layers) * shape.heads * sum(self.widths)
        """Numbers of one position, keys and values of all layers."""
        self.direct = self._initialise_direct(slots.seeds)
        self.embedding: Tensor | None = None
        if any(self.middles):
            self._initialise_mlp(shape.width, slots.seeds)
        is_direct = [bool(length and not middle) for length, middle in self._sizes()]
        self.register_buffer("is_direct", torch.tensor(is_direct), persistent=False)
        shifts = [spec.shift if spec else 0 for spec in specs]
        self.register_buffer("shifts", torch.tensor(shifts), persistent=False)
        self.longest_shift = max(shifts)
        self._set_masks()
        self._set_gates(slots)

    def _sizes(self) -> list[tuple[int, int]]:
        """Return each slot's length and units of the MLP, 0 where it has none."""
        return list(zip(self.lengths, self.middles, strict=True))

    def _initialise_direct(self, seeds: Sequence[int]) -> Tensor | None:
        """Initialise the keys and values of slots without an MLP."""
        out = self.out
        shapes: list[Shape | None] = [
            (length, out) if length and not middle else None for length, middle in self._sizes()
        ]
        if not any(shapes):
            return None
        return slot_parameter(seeds, "prefix.direct", (max(self.lengths), out), shapes, normal(0.02))

    def _initialise_mlp(self, width: int, seeds: Sequence[int]) -> None:
        """Initialise the MLPs with the initial values of torch's own Embedding and Linear."""
        out = self.out
        sizes = self._sizes()

        def initialise(
            name: str,
            shape_of: Callable[[int, int], Shape],
            init: Init,
        ) -> Tensor:
            envelope = shape_of(max(self.lengths), max(self.middles))
            shapes = [shape_of(length, units) if units else None for length, units in sizes]
            return slot_parameter(seeds, f"prefix.{name}", envelope, shapes, init)

        inner = uniform(1 / math.sqrt(width))
        self.embedding = initialise("embedding", lambda length, units: (length, width), normal(1.0))
        self.first = initialise("first", lambda length, units: (units, width), inner)
        self.first_bias = initialise("first_bias", lambda length, units: (units,), inner)
        self.second = initialise("second", lambda length, units: (out, units), uniform(1.0))
        self.second_bias = initialise("second_bias", lambda length, units: (out,), uniform(1.0))
        with torch.no_grad():  # the bound depends on each slot's own number of units
            for slot, units in enumerate(self.middles):
                bound = 1 / math.sqrt(units) if units else 0.0
                self.second[slot] *= bound
                self.second_bias[slot] *= bound

    def _set_masks(self) -> None:
        """Mask the positions that a slot's prefix does not have with −inf logits."""
        length = max(self.lengths)
        absent = torch.full((len(self.lengths), length), -math.inf)
        for slot, own in enumerate(self.lengths):
            absent[slot, :own] = 0.0
        self.register_buffer("absent", absent, persistent=False)
        # Without shorter or absent prefixes nothing is masked, and the attention may take its fast path.
        self.uneven = min(self.lengths) < length

    def _set_gates(self, slots: PackSlots) -> None:
        """Note how each slot's gate acts: on keys and values, on the logits, or not at all."""
        pairs = zip(slots.gates, self.lengths, strict=True)
        gates = [gate.prefix if gate and length else None for gate, length in pairs]
        self.scaled = "scale" in gates
        self.logit = "logit" in gates
        unscaled = [float(gate != "scale") for gate in gates]
        scaled = [float(gate == "scale") for gate in gates]
        by_logit = [float(gate == "logit") for gate in gates]
        self.register_buffer("offset", torch.tensor(unscaled), persistent=False)
        self.register_buffer("slope", torch.tensor(scaled), persistent=False)
        self.register_buffer("by_logit", torch.tensor(by_logit), persistent=False)

    def materialise(self) -> Tensor:
        """Compute this step's keys and values.

        Returns:
            ``(S, layers, 2, heads, length, head_width)``; index 0 of the third dimension is the key, 1 the value.
        """
        values = self.direct
        if self.embedding is not None:
            middle = torch.tanh(add_per_slot(slot_matmul(self.embedding, self.first), self.first_bias))
            computed = add_per_slot(slot_matmul(middle, self.second), self.second_bias)
            values = computed
            if self.direct is not None:  # a pack with slots of both kinds
                values = torch.where(self.is_direct[:, None, None], self.direct, computed)
        if values is None:
            raise RuntimeError("a pack without a prefix has no SlotPrefix")
        slots, length, _ = values.shape
        by_layer = self._apart(values.view(slots, length, -1))
        return by_layer.permute(0, 2, 3, 4, 1, 5)

    def _apart(self, values: Tensor) -> Tensor:
        """Take keys and values apart, the narrower ones padded: ``(S, length, out)`` → ``(S, length, *shape)``."""
        key_width, value_width = self.widths
        layers, _, heads, width = self.shape
        if key_width == value_width:
            return values.view(*values.shape[:2], *self.shape)
        by_head = values.view(*values.shape[:2], layers, heads, key_width + value_width)
        pair = by_head.split([key_width, value_width], -1)
        padded = [functional.pad(part, (0, width - part.shape[-1])) for part in pair]
        return torch.stack(padded, 3)

    def _together(self, values: Tensor) -> Tensor:
        """Undo `_apart` for one slot: ``(length, *shape)`` → ``(length, out)``."""
        key_width, value_width = self.widths
        if key_width == value_width:
            return values.flatten(1)
        key, value = values.unbind(2)
        return torch.cat([key[..., :key_width], value[..., :value_width]], -1).flatten(1)

    def extend(
        self,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        state: ForwardContext,
        layer: int,
        causal: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Put the prefix in front of one layer's keys and values, and extend the mask.

        Args:
            key: ``(S·B, heads, T, head_width)``.
            value: The same shape.
            mask: None, or ``(S·B or 1, 1, T, T)``, boolean (True attends) or additive.
            state: The pass under way, with its materialised prefix.
            layer: The layer, counted from 0.
            causal: Whether a missing mask means that a position sees only the ones before it.

        Returns:
            Keys and values ``(S·B, heads, length + T, head_width)``, and the mask for them, None where every
            position sees everything.
        """
        prefix_key, prefix_value, logits = self.of_rows(state, layer)
        length = prefix_key.shape[2]
        tokens = key.shape[2]
        # A mask is needed where one was implied (sdpa's own causal mask knows no prefix), or where logits are added.
        if mask is None and causal:
            mask = _all_seen(tokens, key.device).tril()
        if mask is None and logits is not None:
            mask = _all_seen(tokens, key.device)
        if mask is not None:
            mask = _widen(mask, logits, key.shape[0], length, key.dtype)
        keys = torch.cat([prefix_key.to(key.dtype), key], 2)
        values = torch.cat([prefix_value.to(value.dtype), value], 2)
        return keys, values, mask

    def of_rows(self, state: ForwardContext, layer: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return every row's prefix in one layer, after its gate.

        Args:
            state: The pass under way, with its materialised prefix.
            layer: The layer, counted from 0.

        Returns:
            Keys and values ``(S·B, heads, length, head_width)``, and what is added to their attention logits
            ``(S·B, 1 or T, length)``, the same for every query or for each its own; None for nothing.
        """
        prefix = state.kept.get(("prefix", None))
        if prefix is None:
            raise RuntimeError("the prefix of this pass was not materialised")
        own = prefix[:, self.indices[layer]]
        # Scaled per row: a gate belongs to an example, the keys and values to its run.
        parts = own.repeat_interleave(state.rows, 0)  # (S·B, 2, heads, length, head_width)
        if self.scaled:
            parts = scale_rows(parts, state.row_factor(self.offset, self.slope, layer, "prefix"))
        key_width, value_width = self.widths
        return parts[:, 0, ..., :key_width], parts[:, 1, ..., :value_width], self._logits(state, layer)

    def _logits(self, state: ForwardContext, layer: int) -> Tensor | None:
        """Return what is added to the prefix's attention logits, ``(S·B, 1 or T, length)``, or None for nothing."""
        gate = state.gates.get((layer, "prefix"))
        if not self.uneven and not (self.logit and gate is not None):
            return None
        added = self.absent.repeat_interleave(state.rows, 0)[:, None]
        if self.logit and gate is not None:
            # A query of its own gate asks for the prefix by that gate alone, so that no later token is seen.
            by_query = state.position_gates.get((layer, "prefix"), gate[:, None])
            by_logit = state.per_row(self.by_logit)[:, None] * by_query.clamp(min=_SMALLEST_GATE).log()
            added = added + by_logit[:, :, None]
        return added

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return one slot's keys and values as they are used, without the MLP; empty where it has none."""
        if not self.lengths[slot]:
            return {}
        with torch.no_grad():
            values = self.materialise()[slot]  # (layers, 2, heads, length, head_width)
            return {"key_value": values[:, :, :, : self.lengths[slot]]}

    @torch.no_grad()
    def load_slot_state_dict(self, slot: int, tensors: Mapping[str, Tensor]) -> None:
        """Set the keys and values of a slot without an MLP.

        In a mixed pack they are computed anew in every pass, so that `slot_state_dict` is no view of what is trained.

        Args:
            slot: The run's place in the pack.
            tensors: What `slot_state_dict` returned; nothing of a slot without a prefix.

        Raises:
            ValueError: The slot's keys and values come out of an MLP.
        """
        if not tensors:
            return
        if self.direct is None or self.middles[slot]:
            raise ValueError("stored keys and values go into a prefix without MLP; this slot's has one")
        for key_value in tensors.values():
            flat = self._together(key_value.permute(3, 0, 1, 2, 4))
            self.direct[slot, : self.lengths[slot]] = flat.to(self.direct)

    def trained_count(self, slot: int) -> int:
        """Count the numbers that are trained for one slot, the MLP included."""
        length = self.lengths[slot]
        middle = self.middles[slot]
        out = self.out
        if self.embedding is None or not middle:
            return length * out
        width = self.embedding.shape[-1]
        return length * width + middle * (width + 1) + out * (middle + 1)


def _all_seen(tokens: int, device: torch.device) -> Tensor:
    """Make a mask in which every token sees every other, ``(1, 1, T, T)``."""
    return torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device=device)


def _widen(
    mask: Tensor,
    logits: Tensor | None,
    rows: int,
    length: int,
    dtype: torch.dtype,
) -> Tensor:
    """Put columns for the prefix in front of a mask: ``(…, T, T)`` → ``(…, T, length + T)``."""
    if logits is None:  # every token sees the whole prefix: True in a boolean mask, 0 in an additive one
        seen = 1 if mask.dtype == torch.bool else 0
        shape = (*mask.shape[:-1], length)
        return torch.cat([mask.new_full(shape, seen), mask], -1)
    if mask.dtype == torch.bool:
        hidden = ~mask
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        mask = mask.masked_fill(hidden, -math.inf)
    queries, keys = mask.shape[-2:]
    front = logits.to(mask.dtype)[:, None].expand(rows, 1, queries, length)
    return torch.cat([front, mask.expand(rows, 1, queries, keys)], -1)

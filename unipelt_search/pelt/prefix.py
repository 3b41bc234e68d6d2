"""Prefix-tuning (Li and Liang, 2021, arXiv 2101.00190): trained keys and values in front of each layer's attention.

While training, keys and values may come out of a small MLP (the reparameterisation); only its output is kept. With a
gate, the published form scales keys and values by G, which cannot switch a prefix off, since a zero key still takes
attention; the `logit` form adds log G to the prefix's attention logits, which can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unipelt_search.pelt.slots import (
    ForwardContext,
    add_per_slot,
    normal,
    scale_rows,
    slot_matmul,
    slot_parameter,
    uniform,
)
from unipelt_search.specs.trial import TrialSpec

_SMALLEST_GATE = 1e-6


class SlotPrefix(nn.Module):
    """The prefixes of all layers, for every slot of a pack."""

    def __init__(
        self, layers: Sequence[int], heads: int, head_width: int, width: int, trials: Sequence[TrialSpec],
        seeds: Sequence[int],
    ) -> None:  # fmt: skip
        """Make keys and values, or the MLP that computes them.

        Args:
            layers: The numbers of the layers that have one.
            heads: Key/value heads of a layer.
            head_width: Features of a head.
            width: Features of the MLP's input, the backbone's hidden size.
            trials: Each slot's configuration.
            seeds: Each slot's initialisation seed.
        """
        super().__init__()
        specs = [trial.prefix for trial in trials]
        self.lengths = [spec.length if spec else 0 for spec in specs]
        self.middles = [spec.mlp or 0 if spec else 0 for spec in specs]
        self.indices = {layer: index for index, layer in enumerate(layers)}
        self.shape = (len(layers), 2, heads, head_width)
        length, middle, out = max(self.lengths), max(self.middles), len(layers) * 2 * heads * head_width
        direct = [(n, out) if n and not m else None for n, m in zip(self.lengths, self.middles, strict=True)]
        has_mlp = [(n, m) if n and m else None for n, m in zip(self.lengths, self.middles, strict=True)]
        if any(direct):
            self.direct = slot_parameter(seeds, "prefix.direct", (length, out), direct, normal(0.02))
        if any(has_mlp):
            # The initial values of torch's own Embedding and Linear.
            inner, outer = 1 / math.sqrt(width), [1 / math.sqrt(m) if m else 0.0 for m in self.middles]
            self.embedding = slot_parameter(
                seeds, "prefix.embedding", (length, width), [(s[0], width) if s else None for s in has_mlp], normal(1.0)
            )
            self.first = slot_parameter(
                seeds, "prefix.first", (middle, width), [(s[1], width) if s else None for s in has_mlp], uniform(inner)
            )
            self.first_bias = slot_parameter(
                seeds, "prefix.first_bias", (middle,), [(s[1],) if s else None for s in has_mlp], uniform(inner)
            )
            self.second = slot_parameter(
                seeds, "prefix.second", (out, middle), [(out, s[1]) if s else None for s in has_mlp], uniform(1.0)
            )
            self.second_bias = slot_parameter(
                seeds, "prefix.second_bias", (out,), [(out,) if s else None for s in has_mlp], uniform(1.0)
            )
            with torch.no_grad():  # the bound depends on each slot's own number of units
                for slot, bound in enumerate(outer):
                    self.second[slot] *= bound
                    self.second_bias[slot] *= bound
        self.register_buffer("is_direct", torch.tensor([float(bool(d)) for d in direct]), persistent=False)
        gates = [trial.gate.prefix if trial.gate and n else None for trial, n in zip(trials, self.lengths, strict=True)]
        self.scaled, self.logit = "scale" in gates, "logit" in gates
        self.register_buffer("offset", torch.tensor([float(g != "scale") for g in gates]), persistent=False)
        self.register_buffer("slope", torch.tensor([float(g == "scale") for g in gates]), persistent=False)
        self.register_buffer("by_logit", torch.tensor([float(g == "logit") for g in gates]), persistent=False)
        hidden = [[0.0] * n + [-math.inf] * (length - n) for n in self.lengths]
        self.register_buffer("absent", torch.tensor(hidden), persistent=False)  # (S, length)
        self.uneven = min(self.lengths) < length

    def materialise(self) -> Tensor:
        """Compute this step's keys and values.

        Returns:
            ``(S, layers, 2, heads, length, head_width)``; index 0 of the third dimension is the key, 1 the value.
        """
        values = self.direct if hasattr(self, "direct") else None
        if hasattr(self, "embedding"):
            middle = torch.tanh(add_per_slot(slot_matmul(self.embedding, self.first), self.first_bias))
            made = add_per_slot(slot_matmul(middle, self.second), self.second_bias)
            if values is None:
                values = made
            else:
                values = torch.where(self.is_direct[:, None, None] > 0, values, made)
        if values is None:
            raise RuntimeError("a pack without a prefix has no SlotPrefix")
        slots, length, _ = values.shape
        layers, two, heads, width = self.shape
        return values.view(slots, length, layers, two, heads, width).permute(0, 2, 3, 4, 1, 5)

    def extend(
        self, key: Tensor, value: Tensor, mask: Tensor | None, state: ForwardContext, layer: int, causal: bool
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
        prefix_key, prefix_value = prefix_key.to(key.dtype), prefix_value.to(value.dtype)
        length, tokens = prefix_key.shape[2], key.shape[2]
        if mask is None and causal:
            mask = torch.ones(tokens, tokens, dtype=torch.bool, device=key.device).tril()[None, None]
        if mask is None and logits is not None:
            mask = torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device=key.device)
        if mask is not None:
            mask = _widen(mask, logits, key.shape[0], length, key.dtype)
        return torch.cat([prefix_key, key], 2), torch.cat([prefix_value, value], 2), mask

    def of_rows(self, state: ForwardContext, layer: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return every row's prefix in one layer, behind its gate.

        Args:
            state: The pass under way, with its materialised prefix.
            layer: The layer, counted from 0.

        Returns:
            Keys and values ``(S·B, heads, length, head_width)``, and what is added to their attention logits
            ``(S·B, length)``, None for nothing.
        """
        if state.prefix is None:
            raise RuntimeError("the prefix of this pass was not materialised")
        own = state.prefix[:, self.indices[layer]]
        parts = own.repeat_interleave(state.rows, 0)  # (S·B, 2, heads, length, head_width)
        if self.scaled:
            parts = scale_rows(parts, state.factor(self.offset, self.slope, layer, "prefix"))
        return parts[:, 0], parts[:, 1], self._logits(state, layer)

    def _logits(self, state: ForwardContext, layer: int) -> Tensor | None:
        """What is added to the prefix's attention logits: ``(S·B, length)``, or None for nothing."""
        gate = state.gates.get((layer, "prefix"))
        if not self.uneven and not (self.logit and gate is not None):
            return None
        added = self.absent.repeat_interleave(state.rows, 0)
        if self.logit and gate is not None:
            added = added + (state.per_row(self.by_logit) * gate.clamp(min=_SMALLEST_GATE).log())[:, None]
        return added

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return one slot's keys and values as they are used, without the MLP; empty where it has none."""
        if not self.lengths[slot]:
            return {}
        with torch.no_grad():
            return {"key_value": self.materialise()[slot, :, :, :, : self.lengths[slot]]}

    @torch.no_grad()
    def set_key_value(self, slot: int, key_value: Tensor) -> None:
        """Set the keys and values of a slot without an MLP.

        Args:
            slot: The run's place in the pack.
            key_value: What `stored` returned, ``(layers, 2, heads, length, head_width)``.
        """
        flat = key_value.permute(3, 0, 1, 2, 4).flatten(1)  # (length, layers · 2 · heads · head_width)
        self.direct[slot, : self.lengths[slot]] = flat.to(self.direct)

    def trained_count(self, slot: int) -> int:
        """Count the numbers that are trained for one slot, the MLP included."""
        length, middle = self.lengths[slot], self.middles[slot]
        out = math.prod(self.shape)
        if not (length and middle):
            return length * out
        width = self.embedding.shape[-1]
        return length * width + middle * (width + 1) + out * (middle + 1)


def _widen(mask: Tensor, logits: Tensor | None, rows: int, length: int, dtype: torch.dtype) -> Tensor:
    """Put columns for the prefix in front of a mask: ``(…, T, T)`` → ``(…, T, length + T)``."""
    if logits is None:
        front = torch.ones if mask.dtype == torch.bool else torch.zeros
        return torch.cat([front(*mask.shape[:-1], length, dtype=mask.dtype, device=mask.device), mask], -1)
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, -math.inf)
    queries = mask.shape[-2]
    front = logits.to(mask.dtype)[:, None, None, :].expand(rows, 1, queries, length)
    return torch.cat([front, mask.expand(rows, 1, queries, mask.shape[-1])], -1)

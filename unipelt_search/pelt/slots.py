"""The slot dimension: S runs share one frozen backbone, and every trained tensor has a leading dimension S.

A batch is ``(S·B, T)``, slot-major: row ``s·B + b`` is row ``b`` of slot ``s``. This module owns what every
submodule needs for that: per-slot initial values that depend only on the run's own seed, and the state of one
forward pass that the hooks read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from unipelt_search.pelt.dropout import DropoutKeys
from unipelt_search.specs.seeds import derive_seed

Init = Callable[[Tensor, torch.Generator], object]


class Recorder(Protocol):
    """Whoever wants to see gates while a model runs; training owns it and clears it."""

    contributions: bool
    """Whether contributions are wanted too, which cost a second attention per prefix."""

    def record(self, kind: str, layer: int, gate: str, values: Tensor) -> None:
        """Take values ``(S·B,)`` of one gate in one layer, NaN in slots without it.

        Args:
            kind: `gate` or `contribution`.
            layer: Counted from 0.
            gate: The gate's name.
            values: One per row.
        """


@dataclass
class ForwardContext:
    """What one forward pass knows; `Pack.forward` fills it, the hooks read it."""

    slots: int
    tokens: Tensor
    """``(S·B, T)``: 1 for a real token, 0 for padding, in the backbone's dtype."""
    dropout: DropoutKeys | None = None
    """None switches dropout off."""
    recorder: Recorder | None = None
    removed: frozenset[tuple[str, int | None]] = frozenset()
    """(submodule, layer) pairs that act as if absent; layer None is all layers."""
    gates: dict[tuple[int, str], Tensor] = field(default_factory=dict)
    """Gates of this pass by (layer, gate name), each ``(S·B,)``."""
    attention_inputs: dict[int, Tensor] = field(default_factory=dict)
    """Inputs of the attention modules by layer, where their projections run on other vectors too (DeBERTa)."""
    seen: dict[tuple[str, int, str], list[Tensor]] = field(default_factory=dict)
    """What was recorded by (kind, layer, gate): one value per time that the layer ran."""
    ffn_inputs: dict[int, Tensor] = field(default_factory=dict)
    """Inputs of the feed-forward networks of this pass by layer, ``(S·B, T, D)``, where a part asks for them."""
    prefix: Tensor | None = None
    """Keys and values of this pass, ``(S, layers, 2, heads, length, head_dim)``."""

    @property
    def rows(self) -> int:
        """Rows per slot, B."""
        return self.tokens.shape[0] // self.slots

    def per_row(self, values: Tensor) -> Tensor:
        """Repeat per-slot values ``(S,)`` for every row: ``(S·B,)``."""
        return values.repeat_interleave(self.rows)

    def is_removed(self, submodule: str, layer: int) -> bool:
        """Tell whether a submodule is switched off in a layer."""
        return (submodule, None) in self.removed or (submodule, layer) in self.removed

    def factor(self, offset: Tensor, slope: Tensor, layer: int, gate: str) -> Tensor:
        """Return ``offset + slope · G`` for every row.

        Args:
            offset: ``(S,)``, the factor of slots without a gate; 0 where the submodule is absent.
            slope: ``(S,)``, what the gate is multiplied with; 0 in slots without a gate.
            layer: The layer, counted from 0.
            gate: The gate's name.

        Returns:
            ``(S·B,)``.
        """
        value = self.gates.get((layer, gate))
        if value is None:
            return self.per_row(offset)
        return self.per_row(offset) + self.per_row(slope) * value

    @property
    def wants_contributions(self) -> bool:
        """Whether contributions are recorded."""
        return self.recorder is not None and self.recorder.contributions

    def record(self, kind: str, layer: int, gate: str, values: Tensor) -> None:
        """Keep values ``(S·B,)`` of one gate for the recorder."""
        if self.recorder is not None:
            self.seen.setdefault((kind, layer, gate), []).append(values.detach())

    def show_recorder(self) -> None:
        """Hand over what was recorded: the mean where a layer ran several times in this pass (ALBERT)."""
        if self.recorder is not None:
            for (kind, layer, gate), values in self.seen.items():
                self.recorder.record(kind, layer, gate, torch.stack(values).mean(0))

    def record_contribution(self, layer: int, gate: str, delta: Tensor, output: Tensor) -> None:
        """Record mean over real tokens of ‖delta‖ / ‖output‖, both ``(S·B, T, D)`` or ``(S·B·T, D)``."""
        if not self.wants_contributions:
            return
        ratio = (delta.norm(dim=-1) / output.norm(dim=-1).clamp(min=1e-12)).view(self.tokens.shape)
        values = (ratio * self.tokens).sum(1) / self.tokens.sum(1).clamp(min=1)
        self.record("contribution", layer, gate, values)


class ContextHolder:
    """Where the hooks find the state of the pass that is under way."""

    def __init__(self) -> None:
        """Begin without a pass."""
        self._state: ForwardContext | None = None

    @property
    def context(self) -> ForwardContext:
        """The state of the pass under way."""
        if self._state is None:
            raise RuntimeError("the model was called outside of Pack.forward")
        return self._state

    def set(self, state: ForwardContext | None) -> None:
        """Begin a pass with its state, or end it with None."""
        self._state = state


def slot_parameter(
    seeds: Sequence[int], name: str, envelope: Sequence[int], real: Sequence[Sequence[int] | None], init: Init
) -> nn.Parameter:
    """Make a trained tensor with one slice per slot, zero-padded to the pack's envelope.

    Args:
        seeds: The initialisation seed of each slot's run.
        name: The tensor's name; with the seed it keys the generator, so that no other tensor, slot or pack
            changes the values.
        envelope: The shape without the slot dimension.
        real: Each slot's own shape (at most the envelope), None where the slot does not have this tensor.
        init: Fills a tensor in place from a generator.

    Returns:
        A parameter ``(S, *envelope)``.
    """
    values = torch.zeros(len(seeds), *envelope)
    for slot, (seed, shape) in enumerate(zip(seeds, real, strict=True)):
        if shape is None:
            continue
        own = torch.zeros(tuple(shape))
        init(own, torch.Generator().manual_seed(derive_seed(seed, name)))
        values[slot][tuple(slice(0, size) for size in shape)] = own
    return nn.Parameter(values)


def zeros(tensor: Tensor, generator: torch.Generator) -> None:
    """Leave a tensor at zero."""


def ones(tensor: Tensor, generator: torch.Generator) -> None:
    """Set a tensor to one."""
    tensor.fill_(1.0)


def normal(std: float) -> Init:
    """Return an initialiser that draws from a normal distribution with mean 0."""
    return lambda tensor, generator: tensor.normal_(0.0, std, generator=generator)


def uniform(bound: float) -> Init:
    """Return an initialiser that draws uniformly between -bound and bound."""
    return lambda tensor, generator: tensor.uniform_(-bound, bound, generator=generator)


def slot_matmul(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply each slot's rows with the slot's own matrix.

    Args:
        x: ``(S·B, …, in)``, slot-major.
        weight: ``(S, out, in)``.

    Returns:
        ``(S·B, …, out)``.
    """
    slots, out, inner = weight.shape
    return torch.bmm(x.reshape(slots, -1, inner), weight.transpose(1, 2)).view(*x.shape[:-1], out)


def add_per_slot(x: Tensor, values: Tensor) -> Tensor:
    """Add each slot's own vector ``(S, D)`` to all positions of its rows ``(S·B, …, D)``."""
    slots = values.shape[0]
    shape = (slots, *([1] * (x.dim() - 1)), x.shape[-1])
    return (x.view(slots, -1, *x.shape[1:]) + values.view(shape)).view(x.shape)


def scale_rows(x: Tensor, factor: Tensor) -> Tensor:
    """Multiply every row of ``(S·B, …)``, or of ``(S·B·T, …)`` (OPT), with its factor ``(S·B,)``."""
    own = factor if len(factor) == len(x) else factor.repeat_interleave(len(x) // len(factor))
    return x * own.view(-1, *([1] * (x.dim() - 1)))

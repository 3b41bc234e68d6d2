"""The slot dimension: S runs share one frozen backbone, and every trained tensor has a leading dimension S.

A batch is ``(S·B, T)``, slot-major: row ``s·B + b`` is row ``b`` of slot ``s``. This module owns what every
submodule needs for that: what the pack's runs ask for, per-slot initial values that depend only on the run's own seed,
the trained part with its state dict of one slot, and the context of one forward pass that the hooks read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from unipelt_search.frozen import Frozen
from unipelt_search.methods.catalogue import find_method
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.pelt.dropout import DropoutKeys
from unipelt_search.specs.seeds import derive_seed
from unipelt_search.specs.trial import TrialSpec

Init = Callable[[Tensor, torch.Generator], object]
Settings = TypeVar("Settings", bound=Frozen)


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
    position_gates: dict[tuple[int, str], Tensor] = field(default_factory=dict)
    """Gates ``(S·B, T)`` where a slot has one for each position; the other slots' are the same at every position."""
    attention_inputs: dict[int, Tensor] = field(default_factory=dict)
    """Inputs of the attention modules by layer, where their projections run on other vectors too (DeBERTa)."""
    seen: dict[tuple[str, int, str], list[Tensor]] = field(default_factory=dict)
    """What was recorded by (kind, layer, gate): one value per time that the layer ran."""
    kept: dict[tuple[str, int | None], Tensor] = field(default_factory=dict)
    """What a submodule keeps for later in the same pass, by (submodule, layer or None)."""

    @property
    def rows(self) -> int:
        """Rows per slot, B."""
        return self.tokens.shape[0] // self.slots

    def per_row(self, values: Tensor) -> Tensor:
        """Repeat per-slot values ``(S,)`` for every row: ``(S·B,)``."""
        return values.repeat_interleave(self.rows)

    def is_removed(self, submodule: str, layer: int | None) -> bool:
        """Tell whether a submodule is switched off in a layer, or outside of the layers with None."""
        return (submodule, None) in self.removed or (submodule, layer) in self.removed

    def factor(self, offset: Tensor, slope: Tensor, layer: int, gate: str) -> Tensor:
        """Return ``offset + slope · G`` for every row, or for every position; `scale_rows` takes either.

        Args:
            offset: ``(S,)``, the factor of slots without a gate; 0 where the submodule is absent.
            slope: ``(S,)``, what the gate is multiplied with; 0 in slots without a gate.
            layer: The layer, counted from 0.
            gate: The gate's name.

        Returns:
            ``(S·B,)``, or ``(S·B, T)`` where some slot has a gate for each position.
        """
        by_position = self.position_gates.get((layer, gate))
        if by_position is None:
            return self.row_factor(offset, slope, layer, gate)
        return self.per_row(offset)[:, None] + self.per_row(slope)[:, None] * by_position

    def row_factor(self, offset: Tensor, slope: Tensor, layer: int, gate: str) -> Tensor:
        """Return ``offset + slope · G`` for every row, for what belongs to a row as a whole; arguments as in `factor`.

        Args:
            offset: ``(S,)``.
            slope: ``(S,)``, 0 in slots with a gate for each position.
            layer: The layer, counted from 0.
            gate: The gate's name.

        Returns:
            ``(S·B,)``.
        """
        value = self.gates.get((layer, gate))
        if value is None:  # no slot has this gate
            return self.per_row(offset)
        return self.per_row(offset) + self.per_row(slope) * value

    @property
    def wants_contributions(self) -> bool:
        """Whether contributions are recorded."""
        return self.recorder is not None and self.recorder.contributions

    def record(self, kind: str, layer: int, gate: str, values: Tensor) -> None:
        """Keep values ``(S·B,)`` of one gate for the recorder."""
        if self.recorder is not None:
            seen = self.seen.setdefault((kind, layer, gate), [])
            seen.append(values.detach())

    def show_recorder(self) -> None:
        """Hand over what was recorded: the mean where a layer ran several times in this pass (ALBERT)."""
        if self.recorder is not None:
            for (kind, layer, gate), values in self.seen.items():
                self.recorder.record(kind, layer, gate, torch.stack(values).mean(0))

    def record_contribution(self, layer: int, gate: str, delta: Tensor, output: Tensor) -> None:
        """Record mean over real tokens of ‖delta‖ / ‖output‖, both ``(S·B, T, D)`` or ``(S·B·T, D)``."""
        if not self.wants_contributions:
            return
        # The floor only keeps an output of zeros from dividing by zero.
        length = output.norm(dim=-1).clamp(min=1e-12)
        by_token = (delta.norm(dim=-1) / length).view(self.tokens.shape)
        count = self.tokens.sum(1).clamp(min=1)
        values = (by_token * self.tokens).sum(1) / count
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


@dataclass(frozen=True)
class PackSlots:
    """What the parts of a pack are made of: one entry per slot, and where the hooks find the pass under way."""

    trials: tuple[TrialSpec, ...]
    """Each slot's configuration."""
    seeds: tuple[int, ...]
    """Each slot's initialisation seed."""
    holder: ContextHolder = field(default_factory=ContextHolder)

    def submodules(self) -> list[str]:
        """List every submodule that some slot has, in the order in which they are first met."""
        found: dict[str, None] = {}
        for trial in self.trials:
            found.update(dict.fromkeys(find_method(trial.method).submodules))
        return list(found)

    def has(self, submodule: str) -> list[bool]:
        """Tell which slots have a submodule."""
        return [submodule in find_method(trial.method).submodules for trial in self.trials]

    def settings(self, submodule: str, kind: type[Settings]) -> list[Settings | None]:
        """Return each slot's settings of a submodule, None where the slot does not have it."""
        return [trial.part(submodule, kind) for trial in self.trials]

    @property
    def gates(self) -> list[GateSpec | None]:
        """How each slot's gates act, None in slots without gates."""
        return [trial.gate for trial in self.trials]

    def gated(self, submodule: str) -> list[bool]:
        """Tell which slots have a submodule behind a gate."""
        pairs = zip(self.has(submodule), self.gates, strict=True)
        return [has and gate is not None for has, gate in pairs]


class SlotPart(nn.Module, ABC):
    """A trained part of a pack; every tensor of it has a slice per slot."""

    @abstractmethod
    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return what must be kept to use one slot's part: no padding; empty where the slot does not have it.

        Args:
            slot: The run's place in the pack.

        Returns:
            Tensors by name; views of what is trained, unless `load_slot_state_dict` is overridden.
        """

    @torch.no_grad()
    def load_slot_state_dict(self, slot: int, tensors: Mapping[str, Tensor]) -> None:
        """Take one slot's tensors from what `slot_state_dict` returned for the same configuration.

        Args:
            slot: The run's place in the pack.
            tensors: Tensors by name, of the same names and shapes, on any device.
        """
        own = self.slot_state_dict(slot)
        for name, tensor in tensors.items():
            own[name].copy_(tensor)

    def trained_count(self, slot: int) -> int:
        """Count the numbers that are trained for one slot; more than are stored where a part is training-only."""
        return sum(tensor.numel() for tensor in self.slot_state_dict(slot).values())


def gate_factors(scales: Sequence[float], gated: Sequence[bool]) -> tuple[Tensor, Tensor]:
    """Split what an update is multiplied with into a fixed factor and the gate's.

    Args:
        scales: Each slot's factor of the update; 0 where the submodule is absent.
        gated: Which slots multiply it with a gate too.

    Returns:
        ``(S,)`` and ``(S,)``, offset and slope as `ForwardContext.factor` takes them.
    """
    offset = [0.0 if has_gate else scale for scale, has_gate in zip(scales, gated, strict=True)]
    slope = [scale if has_gate else 0.0 for scale, has_gate in zip(scales, gated, strict=True)]
    return torch.tensor(offset), torch.tensor(slope)


def slot_parameter(
    seeds: Sequence[int],
    name: str,
    envelope: Sequence[int],
    real: Sequence[Sequence[int] | None],
    init: Init,
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
    # Zero outside of a slot's own shape: padding rows on both sides of a product get no gradient and stay zero.
    values = torch.zeros(len(seeds), *envelope)
    for slot, (seed, shape) in enumerate(zip(seeds, real, strict=True)):
        if shape is None:
            continue
        # Drawn in the slot's own shape: the envelope, and so the other runs of the pack, change no value.
        own = torch.zeros(tuple(shape))
        init(own, torch.Generator().manual_seed(derive_seed(seed, name)))
        corner = tuple(slice(0, size) for size in shape)
        values[slot][corner] = own
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
    by_slot = x.reshape(slots, -1, inner)  # slot-major, so that a slot's rows lie together
    product = torch.bmm(by_slot, weight.transpose(1, 2))
    return product.view(*x.shape[:-1], out)


def add_per_slot(x: Tensor, values: Tensor) -> Tensor:
    """Add each slot's own vector ``(S, D)`` to all positions of its rows ``(S·B, …, D)``."""
    slots = values.shape[0]
    by_slot = x.view(slots, -1, *x.shape[1:])
    ones_between = [1] * (x.dim() - 1)
    added = by_slot + values.view(slots, *ones_between, x.shape[-1])
    return added.view(x.shape)


def scale_rows(x: Tensor, factor: Tensor) -> Tensor:
    """Multiply rows, or their positions, with factors.

    Args:
        x: ``(S·B, …)``, or ``(S·B·T, …)`` where an architecture puts the tokens of all rows together (OPT).
        factor: ``(S·B,)``, one for each row, or ``(S·B, T)``, one for each position, as `ForwardContext.factor` gives;
            x is then ``(S·B, T or 1, …)`` or ``(S·B·T, …)``.

    Returns:
        The shape of x; with a factor for each position the second axis of ``(S·B, 1, …)`` becomes T.
    """
    if factor.dim() == 2:
        if len(factor) != len(x):
            return scale_rows(x, factor.flatten())
        ones_after = [1] * (x.dim() - 2)
        return x * factor.view(*factor.shape, *ones_after)
    if len(factor) != len(x):  # one factor per row, and the tokens of a row lie together
        factor = factor.repeat_interleave(len(x) // len(factor))
    ones_after = [1] * (x.dim() - 1)
    return x * factor.view(-1, *ones_after)

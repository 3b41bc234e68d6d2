"""LoRA on the query and value projections (Hu et al., 2021, arXiv 2106.09685).

``y = W x + f · B A x``, where f is alpha / rank, or the gate itself (UniPELT's published form), or gate · alpha / rank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import LayerParts, Projection, layer_parts, present
from unipelt_search.errors import BackboneError
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.pelt.dropout import site_key
from unipelt_search.pelt.merged_weights import LinearTarget, by_module, is_transposed, linear_targets
from unipelt_search.pelt.slots import (
    ForwardContext,
    PackSlots,
    SlotPart,
    scale_rows,
    slot_matmul,
    slot_parameter,
    uniform,
    zeros,
)
from unipelt_search.pelt.submodule import Obstacle, PeftForm, Submodule
from unipelt_search.specs.trial import TrialSpec

TARGETS = {"query": "query", "value": "value"}
"""The projections, as its tensors' names and as `LayerParts` call them."""


class SlotLora(SlotPart):
    """The low-rank update of one projection in one layer, for every slot of a pack."""

    offset: Tensor
    """``(S,)``, what the update is multiplied with in slots without a gate."""
    slope: Tensor
    """``(S,)``, what the gate is multiplied with in slots with one."""
    rates: Tensor
    """``(S,)``, the share of its inputs that is dropped."""

    def __init__(
        self,
        layer: int,
        projection: str,
        shape: tuple[int, int],
        slots: PackSlots,
    ) -> None:
        """Make the two factors: A is drawn as torch draws a linear layer, B is zero, so nothing changes at first.

        Args:
            layer: The layer, counted from 0.
            projection: `query` or `value`.
            shape: The projection's (out, in) features.
            slots: The pack's runs.
        """
        super().__init__()
        self.layer = layer
        self.gate = f"lora_{projection}"
        self.holder = slots.holder
        out, inner = shape
        name = f"lora.{layer}.{projection}"
        specs = slots.settings("lora", LoraSpec)
        self.ranks = [spec.rank if spec else 0 for spec in specs]
        rank = max(self.ranks)
        downs = [(own, inner) if own else None for own in self.ranks]
        ups = [(out, own) if own else None for own in self.ranks]
        bound = 1 / math.sqrt(inner)
        self.down = slot_parameter(slots.seeds, f"{name}.down", (rank, inner), downs, uniform(bound))
        self.up = slot_parameter(slots.seeds, f"{name}.up", (out, rank), ups, zeros)
        pairs = zip(specs, slots.gates, strict=True)
        factors = [_factors(spec, gate) for spec, gate in pairs]
        offsets, slopes = zip(*factors, strict=True)
        self.register_buffer("offset", torch.tensor(offsets), persistent=False)
        self.register_buffer("slope", torch.tensor(slopes), persistent=False)
        rates = [spec.dropout if spec else 0.0 for spec in specs]
        self.register_buffer("rates", torch.tensor(rates), persistent=False)
        self.drops = any(rates)
        self.site = site_key(name)

    def hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        """Add the update to the projection's output ``(S·B, T, out)``."""
        context = self.holder.context
        if context.is_removed("lora", self.layer):
            return output
        content = context.attention_inputs.get(self.layer)
        if content is not None and args[0] is not content:
            # DeBERTa's relative positions: no row's own, so no gate; as in PEFT, the plain update acts on them.
            return output + self.update(args[0], context, gated=False)
        delta = self.update(args[0], context)
        result = output + delta
        context.record_contribution(self.layer, self.gate, delta, result)
        return result

    def update(self, x: Tensor, context: ForwardContext, *, gated: bool = True) -> Tensor:
        """Compute ``f · B A x``: ``(S·B, T, in)`` → ``(S·B, T, out)``; ungated, f is alpha / rank or nothing."""
        if context.dropout is not None and self.drops:
            x = context.dropout.drop(x, self.site, self.rates)
        hidden = slot_matmul(x, self.down)  # (S·B, T, rank)
        factor = self.offset
        if gated:
            factor = context.factor(self.offset, self.slope, self.layer, self.gate)
        # Scaled in the middle, where a token has rank features, not in the output, where it has many.
        return slot_matmul(scale_rows(hidden, factor), self.up)

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the factors of one slot without padding, empty where it has none."""
        rank = self.ranks[slot]
        if not rank:
            return {}
        return {"down": self.down[slot, :rank], "up": self.up[slot, :, :rank]}


def _factors(spec: LoraSpec | None, gate: GateSpec | None) -> tuple[float, float]:
    """Return what the update is multiplied with: a fixed number, and what the gate is multiplied with."""
    if spec is None:
        return 0.0, 0.0
    scale = spec.alpha / spec.rank
    if gate is None:
        return scale, 0.0
    # Published: the gate replaces alpha / rank.
    return 0.0, 1.0 if gate.lora == "replace" else scale


class Lora(Submodule):
    """LoRA: an update of the query and value projections, each with a gate of its own."""

    name = "lora"
    order = 20
    needs = ("attention", *TARGETS.values())
    merge_targets = tuple(TARGETS.values())
    has_peft_form = True

    def check(self, backbone: Backbone, trial: TrialSpec, tokens: int) -> None:
        """Check that the rank is at most the smallest side of a projection.

        Raises:
            BackboneError: It is larger.
        """
        layers = layer_parts(backbone.base, backbone.family)
        both = [projection for layer in layers for projection in (layer.query, layer.value)]
        projections = [projection for projection in both if projection is not None]
        smallest = min(min(projection.inner, projection.out) for projection in projections)
        spec = trial.part(self.name, LoraSpec)
        if spec is not None and spec.rank > smallest:
            raise BackboneError(
                f"lora.rank must be at most {smallest}, the smallest side of a projection of "
                f"{backbone.name!r}; got {spec.rank}."
            )

    def packable(self, backbone: Backbone) -> bool:
        """Tell whether the projections run on a run's own rows alone, not on positions that all rows share."""
        return not backbone.family.shares_positions

    def attach_layer(self, attachment: Attachment, layer: LayerParts) -> None:
        """Hook both projections; their gates read the attention module's input."""
        projections: dict[str, Projection] = {"query": present(layer.query), "value": present(layer.value)}
        for name, projection in projections.items():
            lora = SlotLora(layer.number, name, (projection.out, projection.inner), attachment.slots)
            attachment.add_part(f"lora/{layer.number}/{name}", lora)
            attachment.add_handle(projection.register_forward_hook(lora.hook))
            attachment.drops |= lora.drops
        for name in projections:
            attachment.attention_gate(self.name, layer, layer.gate_width, f"lora_{name}")
        # Tells the rows' vectors from relative positions, which the same projections run on.
        if attachment.backbone.family.shares_positions:
            attachment.keep_attention_input(layer.number)

    def merge_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Find none: ``W + alpha / rank · B A`` is a weight."""
        return None

    def merge(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> None:
        """Add ``alpha / rank · B A`` to the projections' weights."""
        spec = _settings(trial)
        for target in linear_targets(backbone, model, TARGETS, tensors):
            update = target.tensors["up"].double() @ target.tensors["down"].double()
            target.set_weight(target.weight() + spec.alpha / spec.rank * update)

    def peft_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Find none: LoRA is PEFT's own."""
        return None

    def peft_form(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> PeftForm:
        """Return PEFT's LoRA of the same rank, alpha and dropout.

        PEFT has one LoRA per module. Where a fused module computes query and value, that one has the rows of both.
        """
        spec = _settings(trial)
        targets = linear_targets(backbone, model, TARGETS, tensors)
        modules = by_module(targets)
        shares = max((len(own) for own in modules.values()), default=1)
        settings = {
            "target_modules": list(modules),
            # Both grow alike, so that what the update is scaled with, alpha / rank, stays.
            "r": spec.rank * shares,
            "lora_alpha": spec.alpha * shares,
            "lora_dropout": spec.dropout,
            "fan_in_fan_out": any(is_transposed(target.module) for target in targets),
        }
        return PeftForm("LORA", settings, _peft_tensors(modules))


def _settings(trial: TrialSpec) -> LoraSpec:
    spec = trial.part("lora", LoraSpec)
    if spec is None:
        raise ValueError(f"a configuration of lora must have settings of lora; got one of {trial.method}")
    return spec


def _peft_tensors(modules: Mapping[str, list[LinearTarget]]) -> dict[str, Tensor]:
    """Name the factors as PEFT does in the model that it has wrapped."""
    named = {}
    for name, targets in modules.items():
        inside = f"base_model.model.{name}"
        downs = [target.tensors["down"] for target in targets]
        named[f"{inside}.lora_A.default.weight"] = torch.cat(downs)  # (ranks, in)
        named[f"{inside}.lora_B.default.weight"] = _up_of_module(targets)
    return named


def _up_of_module(targets: list[LinearTarget]) -> Tensor:
    """Return ``(out, ranks)`` for a module's output: each projection's factor in its own rows, zero elsewhere."""
    columns = []
    for target in targets:
        up = target.tensors["up"]
        column = up.new_zeros(target.total, up.shape[1])
        column[target.features] = up
        columns.append(column)
    return torch.cat(columns, 1)


LORA = Lora()

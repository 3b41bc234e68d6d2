"""IA3 (Liu et al., 2022, arXiv 2205.05638): keys, values and the feed-forward network's inner features are rescaled.

``l ⊙ k``, ``l ⊙ v`` on the outputs of the key and value projections and ``l ⊙ x`` on the input of the feed-forward
down-projection, each ``l = 1 + deviation`` with a deviation that starts at zero; gated, ``l = 1 + G · deviation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import LayerParts, present
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.pelt.merged_weights import LinearTarget, by_module, is_transposed, linear_targets
from unipelt_search.pelt.slots import PackSlots, SlotPart, gate_factors, scale_rows, slot_parameter, zeros
from unipelt_search.pelt.submodule import Obstacle, PeftForm, Submodule
from unipelt_search.specs.trial import TrialSpec

TARGETS = {"key": "key", "value": "value", "ffn": "ffn_linear"}
"""What is rescaled, as its tensors' names and as `LayerParts` call it."""
_ON_INPUT = "ffn"
"""Where the module's input is rescaled, not its output."""


class SlotIa3(SlotPart):
    """The scales of one site in one layer, for every slot of a pack."""

    factor: Tensor
    """``(S, 1)``, 1 in slots that have it."""
    offset: Tensor
    """``(S,)``, what the update is multiplied with in slots without a gate."""
    slope: Tensor
    """``(S,)``, what the gate is multiplied with in slots with one."""

    def __init__(self, layer: int, site: str, width: int, slots: PackSlots) -> None:
        """Make the deviations from one, at zero.

        Args:
            layer: The layer, counted from 0.
            site: `key`, `value` or `ffn`.
            width: Features that are rescaled, D.
            slots: The pack's runs.
        """
        super().__init__()
        self.layer = layer
        self.holder = slots.holder
        self.present = slots.has("ia3")
        gated = slots.gated("ia3")
        self.gated = any(gated)
        # The gate is one per layer, and so is its contribution: the mean over the three places.
        self.recorded = "ia3" if self.gated else f"ia3_{site}"
        shapes = [(width,) if has else None for has in self.present]
        self.deviation = slot_parameter(slots.seeds, f"ia3.{layer}.{site}", (width,), shapes, zeros)
        factor = torch.tensor([float(has) for has in self.present])
        self.register_buffer("factor", factor[:, None], persistent=False)
        offset, slope = gate_factors(factor.tolist(), gated)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("slope", slope, persistent=False)

    def output_hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        """Rescale the module's output ``(S·B, T, D)``."""
        content = self.holder.context.attention_inputs.get(self.layer)
        # DeBERTa's projections also run on relative positions; as in PEFT they are rescaled, but belong to no row.
        return self.rescale(output, of_rows=content is None or args[0] is content)

    def input_hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
    ) -> tuple[Tensor, ...]:
        """Rescale the module's input ``(S·B, T, D)``."""
        return (self.rescale(args[0]), *args[1:])

    def rescale(self, x: Tensor, *, of_rows: bool = True) -> Tensor:
        """Multiply every feature with its slot's scale: ``(S·B, T, D)``, or ``(S·B·T, D)`` (OPT), to the same shape."""
        context = self.holder.context
        if context.is_removed("ia3", self.layer):
            return x
        slots, width = self.deviation.shape
        by_slot = x.view(slots, -1, *x.shape[1:])
        ones_between = [1] * (x.dim() - 1)
        # `factor` is 0 in slots without IA3, so that they get no gradient either.
        deviation = (self.deviation * self.factor).view(slots, *ones_between, width)
        delta = (by_slot * deviation).view(x.shape)
        if self.gated and of_rows:
            delta = scale_rows(delta, context.factor(self.offset, self.slope, self.layer, "ia3"))
        result = x + delta
        if of_rows:
            context.record_contribution(self.layer, self.recorded, delta, result)
        return result

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the deviation of one slot, empty where it has none."""
        return {"deviation": self.deviation[slot]} if self.present[slot] else {}


class Ia3(Submodule):
    """IA3: one gate per layer for its three places, over the attention module's input."""

    name = "ia3"
    order = 60
    needs = ("attention", *TARGETS.values())
    merge_targets = tuple(TARGETS.values())
    has_peft_form = True

    def packable(self, backbone: Backbone) -> bool:
        """Tell whether the projections run on a run's own rows alone, not on positions that all rows share."""
        return not backbone.family.shares_positions

    def attach_layer(self, attachment: Attachment, layer: LayerParts) -> None:
        """Hook the outputs of the key and value projections and the input of the feed-forward down-projection."""
        keys, values, ffn_out = present(layer.key), present(layer.value), present(layer.ffn_linear)
        key = self._add_part(attachment, layer, "key", keys.out)
        value = self._add_part(attachment, layer, "value", values.out)
        ffn = self._add_part(attachment, layer, "ffn", ffn_out.inner)
        attachment.attention_gate(self.name, layer, layer.gate_width)
        if attachment.backbone.family.shares_positions:
            attachment.keep_attention_input(layer.number)
        attachment.add_handle(keys.register_forward_hook(key.output_hook))
        attachment.add_handle(values.register_forward_hook(value.output_hook))
        attachment.add_handle(ffn_out.module.register_forward_pre_hook(ffn.input_hook))

    def _add_part(self, attachment: Attachment, layer: LayerParts, site: str, width: int) -> SlotIa3:
        part = SlotIa3(layer.number, site, width, attachment.slots)
        attachment.add_part(f"ia3/{layer.number}/{site}", part)
        return part

    def decays(self, tensor: str) -> bool:
        """Keep weight decay off, as for layer norms: a scale of one is no better than another."""
        return False

    def merge_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Find none: rescaled features are rescaled rows or columns of a weight."""
        return None

    def merge(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> None:
        """Rescale the columns of the feed-forward down-projection, and the rows of the others with their biases."""
        for target in linear_targets(backbone, model, TARGETS, tensors):
            weight = target.weight()
            scale = 1 + target.tensors["deviation"].double()
            if target.site == _ON_INPUT:
                target.set_weight(weight * scale)
                continue
            target.set_weight(weight * scale[:, None])
            bias = target.bias()
            if bias is not None:
                target.set_bias(bias * scale)

    def peft_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Find none: IA3 is PEFT's own."""
        return None

    def peft_form(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> PeftForm:
        """Return PEFT's IA3, whose scales are one plus our deviations; of a fused module it scales ours alone."""
        targets = linear_targets(backbone, model, TARGETS, tensors)
        modules = by_module(targets)
        settings = {
            "target_modules": list(modules),
            "feedforward_modules": [target.name for target in targets if target.site == _ON_INPUT],
            "fan_in_fan_out": any(is_transposed(target.module) for target in targets),
        }
        scales = {f"base_model.model.{name}.ia3_l.default": _peft_scales(own) for name, own in modules.items()}
        return PeftForm("IA3", settings, scales)


def _peft_scales(targets: list[LinearTarget]) -> Tensor:
    """Return the scales ``(out,)`` of a module's output, or ``(inner,)`` of its input: one where nothing is ours."""
    first = targets[0]
    if first.site == _ON_INPUT:
        return 1 + first.tensors["deviation"]
    scales = torch.ones(first.total)
    for target in targets:
        scales[target.features] += target.tensors["deviation"]
    return scales


IA3 = Ia3()

"""BitFit (Ben Zaken et al., 2022, arXiv 2106.10199): only the biases are trained.

A trained bias is the frozen one plus a delta that starts at zero. Adding the delta to the module's output trains the
same function as training the bias itself, and leaves the checkpoint's own tensors untouched. Gated, the deltas of a
layer are multiplied with the layer's gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import LayerParts, layer_parts, stack_layers
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.pelt.head import is_inside, unused_modules
from unipelt_search.pelt.merged_weights import is_transposed, set_values
from unipelt_search.pelt.slots import (
    ForwardContext,
    PackSlots,
    SlotPart,
    add_per_slot,
    gate_factors,
    scale_rows,
    slot_parameter,
    zeros,
)
from unipelt_search.pelt.submodule import Obstacle, PeftForm, Submodule
from unipelt_search.specs.trial import TrialSpec


def bias_modules(backbone: Backbone) -> Iterator[tuple[str, int | None, nn.Module]]:
    """Name every frozen module with a bias that takes part in the forward pass.

    Args:
        backbone: The backbone.

    Yields:
        (name in the model, layer or None, module).
    """
    family = backbone.family
    layers = [layer for stack in family.stacks for layer in stack_layers(backbone.base, stack)]
    layer_of = {module: number for number, layer in enumerate(layers) for module in layer.modules()}
    unused = (*unused_modules(backbone), *family.unreached)
    for name, module in backbone.model.named_modules():
        if isinstance(getattr(module, "bias", None), nn.Parameter) and not is_inside(name, unused):
            yield name, layer_of.get(module), module


class SlotBias(SlotPart):
    """The bias delta of one backbone module, for every slot of a pack."""

    factor: Tensor
    """``(S, 1)``, 1 in slots that have it."""
    offset: Tensor
    """``(S,)``, what the update is multiplied with in slots without a gate."""
    slope: Tensor
    """``(S,)``, what the gate is multiplied with in slots with one."""

    def __init__(
        self,
        layer: int | None,
        name: str,
        width: int,
        slots: PackSlots,
        *,
        projects: bool = False,
    ) -> None:
        """Make the delta, at zero.

        Args:
            layer: The layer that the module is in; None outside of the layers, where no gate acts.
            name: The module's name in the backbone.
            width: Features of the module's output, D.
            slots: The pack's runs.
            projects: Whether the module is a projection of the attention, which may run on relative positions too.
        """
        super().__init__()
        self.layer = layer
        self.holder = slots.holder
        self.projects = projects
        self.present = slots.has("bitfit")
        gated = slots.gated("bitfit")
        self.gated = any(gated) and layer is not None
        shapes = [(width,) if has else None for has in self.present]
        self.delta = slot_parameter(slots.seeds, f"bitfit.{name}", (width,), shapes, zeros)
        factor = torch.tensor([float(has) for has in self.present])
        self.register_buffer("factor", factor[:, None], persistent=False)
        offset, slope = gate_factors(factor.tolist(), gated)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("slope", slope, persistent=False)

    def hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        """Add the delta to the module's output ``(S·B, …, D)``."""
        context = self.holder.context
        if context.is_removed("bitfit", self.layer):
            return output
        delta = self.delta * self.factor
        if self.layer is None or not self._acts_by_row(context, args):
            return add_per_slot(output, delta)
        # A gate is a number per row or position, so the slot's one delta becomes a delta per row.
        by_row = delta.repeat_interleave(output.shape[0] // len(delta), 0)
        ones_between = [1] * (output.dim() - 2)
        by_row = by_row.view(output.shape[0], *ones_between, -1)
        added = scale_rows(by_row, context.factor(self.offset, self.slope, self.layer, "bitfit"))
        result = output + added
        context.record_contribution(self.layer, "bitfit", added.expand_as(output), result)
        return result

    def _acts_by_row(self, context: ForwardContext, args: tuple[Tensor, ...]) -> bool:
        """Tell whether there is a gate for what the module runs on; without one the plain delta acts.

        What runs before the attention in its layer, such as the norm that its input comes from, has none; nor have
        relative positions, which belong to no row (DeBERTa).
        """
        if not self.gated or self.layer is None or (self.layer, "bitfit") not in context.gates:
            return False
        content = context.attention_inputs.get(self.layer)
        return not self.projects or content is None or args[0] is content

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return the delta of one slot, empty where it has none."""
        return {"delta": self.delta[slot]} if self.present[slot] else {}


class BitFit(Submodule):
    """BitFit: one gate per layer for all its biases, over the attention module's input."""

    name = "bitfit"
    order = 10
    has_peft_form = True

    def check(self, backbone: Backbone, trial: TrialSpec, tokens: int) -> None:
        """Check that there are biases.

        Raises:
            BackboneError: There are none.
        """
        if next(bias_modules(backbone), None) is None:
            raise BackboneError(f"bitfit needs a backbone with biases; {backbone.name!r} has none. Leave bitfit out.")

    def packable(self, backbone: Backbone) -> bool:
        """Tell whether the projections run on a run's own rows alone, not on positions that all rows share."""
        return not backbone.family.shares_positions

    def attach_model(self, attachment: Attachment) -> None:
        """Hook every module with a bias, wherever it is."""
        # Names are those below the base model, so that they are the same with every kind of head.
        base = f"{attachment.model.base_model_prefix}."
        projections: set[nn.Module] = set()
        for parts in attachment.layers:
            own = (parts.query, parts.key, parts.value)
            projections |= {projection.module for projection in own if projection is not None}
            if attachment.backbone.family.shares_positions and parts.attention is not None:
                # Further ones run on relative positions alone.
                projections |= set(parts.attention.modules())
        modules = dict(attachment.model.named_modules())
        for full_name, layer, frozen in list(bias_modules(attachment.backbone)):
            name = full_name.removeprefix(base)
            module = modules[full_name]
            frozen_bias: Any = frozen.bias
            width = frozen_bias.shape[0]
            part = SlotBias(layer, name, width, attachment.slots, projects=module in projections)
            attachment.add_part(f"bitfit/{name.replace('.', '/')}", part)
            attachment.add_handle(module.register_forward_hook(part.hook))

    def attach_layer(self, attachment: Attachment, layer: LayerParts) -> None:
        """Make the layer's gate; without an attention to read, the plain deltas act."""
        if layer.attention is None:
            return
        gated = attachment.attention_gate(self.name, layer, layer.gate_width)
        if gated and attachment.backbone.family.shares_positions:
            attachment.keep_attention_input(layer.number)

    def decays(self, tensor: str) -> bool:
        """Keep weight decay off: what is trained are biases."""
        return False

    def merge_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Find none: a bias and its delta are a bias."""
        return None

    def merge(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> None:
        """Add the deltas to the model's biases."""
        modules = dict(model.named_modules())
        for name, delta in tensors.items():
            own = name.removesuffix(".delta")  # from the base model; a pooler may stand beside it
            inside = f"{model.base_model_prefix}.{own}"
            bias = modules[inside if inside in modules else own].bias
            set_values(bias, bias.detach() + delta.to(bias.device))

    def peft_obstacle(self, backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
        """Find none: a LoRA of rank 1 at zero with ``bias="all"`` keeps every bias, where it has a place."""
        if not any(layer.query for layer in layer_parts(backbone.base, backbone.family)):
            return Obstacle("PEFT keeps biases beside a LoRA on a query projection, and this model has none")
        return None

    def peft_form(
        self,
        backbone: Backbone,
        model: Any,
        trial: TrialSpec,
        tensors: Mapping[str, Tensor],
    ) -> PeftForm:
        """Return a LoRA that adds nothing and keeps the biases of the model, to which the deltas are added."""
        self.merge(backbone, model, trial, tensors)
        queries = [layer.query for layer in layer_parts(model.base_model, backbone.family)]
        module = next(query.module for query in queries if query is not None)
        name = next(name for name, candidate in model.named_modules() if candidate is module)
        inside = f"base_model.model.{name}"
        # The output of the module, not of the query alone: a fused module computes keys and values too.
        factors = {
            f"{inside}.lora_A.default.weight": torch.zeros(()),
            f"{inside}.lora_B.default.weight": torch.zeros(()),
        }
        settings = {"target_modules": [name], "r": 1, "bias": "all", "fan_in_fan_out": is_transposed(module)}
        return PeftForm("LORA", settings, factors)


BITFIT = BitFit()

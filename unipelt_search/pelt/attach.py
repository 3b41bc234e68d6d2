"""Placing the trained parts of a pack on a backbone by hooks, which `Attachment.detach` takes off again."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.pelt.attachment import Attachment
from unipelt_search.pelt.dropout import backbone_site, in_layer
from unipelt_search.pelt.head import POOLED, Head, SlotLinear, SlotNorm
from unipelt_search.pelt.registry import in_order
from unipelt_search.pelt.slots import ContextHolder, PackSlots
from unipelt_search.specs.pooling import modes_of


class DropoutSite:
    """A hook on one of the backbone's dropout modules, which themselves stay switched off."""

    def __init__(self, name: str, holder: ContextHolder) -> None:
        """Take the site's name and where the pass under way is found."""
        self.key = backbone_site(name)
        self.holder = holder

    def hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        """Drop features of ``(S·B, T, D)`` while training."""
        dropout = self.holder.context.dropout
        return output if dropout is None else dropout.drop(output, self.key)


def attach(backbone: Backbone, model: Any, slots: PackSlots) -> tuple[Attachment, Head]:
    """Build the parts of a pack's runs and place them; each part draws its values from its run's own seed.

    The order in which parts are made is that of the trained tensors, over which the norm of a gradient is summed:
    another order would change a run's results in the last digit.

    Args:
        backbone: The backbone; every configuration was checked against it.
        model: Its model, or the copy that is trained whole.
        slots: The pack's runs.

    Returns:
        What hangs on the backbone, and what computes the logits.
    """
    attachment = Attachment(backbone, model, layer_parts(model.base_model, backbone.family), slots)
    # Whole-model parts first, then layer by layer, as in release 0.1: its runs go on to the same digit.
    used = [submodule for submodule in in_order(slots.submodules()) if attachment.uses(submodule.name)]
    for submodule in used:
        submodule.attach_model(attachment)
    for layer in attachment.layers:
        for submodule in used:
            if layer.has(submodule.needs) and attachment.uses(submodule.name, layer.number):
                submodule.attach_layer(attachment, layer)
        attachment.finish_layer(layer)
    _attach_dropout(attachment)
    return attachment, _attach_head(attachment)


def _attach_dropout(attachment: Attachment) -> None:
    # Hooks cost time in every pass, so there are none where nothing is dropped.
    if not any(trial.training.dropout > 0 for trial in attachment.slots.trials):
        return
    sites = [(in_layer(layer.number, name), module) for layer in attachment.layers for name, module in layer.dropouts]
    embedding = attachment.backbone.family.embedding_dropout
    if embedding is not None:
        sites.append(("embedding", attachment.model.base_model.get_submodule(embedding)))
    for name, module in sites:
        site = DropoutSite(name, attachment.slots.holder)
        # In front of a submodule's hook on the same module: it reads what was dropped.
        attachment.add_handle(module.register_forward_hook(site.hook, prepend=True))


def _attach_head(attachment: Attachment) -> Head:
    backbone = attachment.backbone
    model = attachment.model
    slots = attachment.slots
    # The standard deviation that most architectures use where the configuration names none.
    std = getattr(model.config, "initializer_range", None) or 0.02
    if backbone.pooling == "native":
        _replace_new_layers(attachment, std)
        return Head(model, backbone.family, backbone.pooling, None, slots.holder)
    last = backbone.family.head[-1]
    width = model.get_submodule(last).weight.shape[1] * len(modes_of(backbone.pooling))
    # A classifier that follows a pooler in the architecture follows our pooling in its place.
    name = last if backbone.family.pooler else POOLED
    linear = SlotLinear(name, (backbone.classes, width), not backbone.family.causal, std, slots)
    attachment.add_part(_head_part(name), linear)
    return Head(model, backbone.family, backbone.pooling, linear, slots.holder)


def _replace_new_layers(attachment: Attachment, std: float) -> None:
    """Compute the head's newly drawn layers slot by slot, in place of the architecture's own."""
    for name in attachment.backbone.new_modules:
        module = attachment.model.get_submodule(name)
        has_bias = module.bias is not None
        part: SlotLinear | SlotNorm
        if isinstance(module, nn.Linear):
            out, inner = module.weight.shape
            part = SlotLinear(name, (out, inner), has_bias, std, attachment.slots)
        else:
            part = SlotNorm(name, module.weight.shape[0], has_bias, attachment.slots.seeds)
        attachment.add_part(_head_part(name), part)
        attachment.add_handle(module.register_forward_hook(part.hook))


def _head_part(name: str) -> str:
    return f"head/{name.replace('.', '/')}"

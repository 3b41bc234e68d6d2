"""Changing the weights of a copied model in place of what was attached to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import layer_parts


@dataclass(frozen=True)
class LinearTarget:
    """A linear layer that a submodule changes, with the submodule's tensors for it."""

    name: str
    """The layer's name in the model."""
    site: str
    """What the submodule calls the layer, such as ``query``."""
    module: Any
    tensors: dict[str, Tensor]


def linear_targets(
    backbone: Backbone, model: Any, sites: Mapping[str, str], tensors: Mapping[str, Tensor]
) -> list[LinearTarget]:
    """Find the linear layers that a run's tensors change.

    Args:
        backbone: The backbone, for the names of its parts.
        model: The backbone's model or a copy of it.
        sites: The names in the tensors' names, with the attributes of `LayerParts` that are meant.
        tensors: A submodule's stored tensors, named ``<layer>.<site>.<tensor>``.

    Returns:
        One entry per layer that there are tensors for, from the input to the output.
    """
    # By identity: layers know their modules, not what the model calls them.
    names = {id(module): name for name, module in model.named_modules()}
    targets = []
    for layer in layer_parts(model.base_model, backbone.family):
        for site, attribute in sites.items():
            own = tensors_of(tensors, f"{layer.number}.{site}")
            if own:
                module = getattr(layer, attribute).module
                targets.append(LinearTarget(names[id(module)], site, module, own))
    return targets


def tensors_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a part, without it and the dot that follows."""
    begin = f"{part}."
    found = {name: values for name, values in tensors.items() if name.startswith(begin)}
    return {name.removeprefix(begin): values for name, values in found.items()}


@torch.no_grad()
def set_values(parameter: Tensor, values: Tensor) -> None:
    """Give a parameter the values of a tensor of its shape, of any precision and on any device."""
    parameter.copy_(values)

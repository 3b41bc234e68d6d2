"""Changing the weights of a copied model in place of what was attached to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import Projection, layer_parts


@dataclass(frozen=True)
class LinearTarget:
    """A projection that a submodule changes, with the submodule's tensors for it."""

    name: str
    """The name of the module that computes it in the model."""
    site: str
    """What the submodule calls the projection, such as ``query``."""
    projection: Projection
    tensors: dict[str, Tensor]

    @property
    def module(self) -> Any:
        """The module that computes it, perhaps beside other projections."""
        return self.projection.module

    @property
    def features(self) -> Tensor:
        """The numbers ``(out,)`` of the projection's features among those of the module's output."""
        projection = self.projection
        grouped = torch.arange(self.total).unflatten(0, (projection.groups, -1))
        end = projection.start + projection.out // projection.groups
        return grouped[:, projection.start : end].flatten()

    @property
    def total(self) -> int:
        """Features of the module's output."""
        return int(_matrix(self.module).shape[0])

    def weight(self) -> Tensor:
        """Return the projection's weight ``(out, inner)``, in double precision: merging adds no rounding of its own."""
        return _matrix(self.module).detach().double().cpu()[self.features]

    @torch.no_grad()
    def set_weight(self, values: Tensor) -> None:
        """Change the projection's weight to ``(out, inner)``."""
        _set_rows(_matrix(self.module), self.features, values)

    def bias(self) -> Tensor | None:
        """Return the projection's bias ``(out,)`` in double precision; None where it has none."""
        bias = self.module.bias
        return None if bias is None else bias.detach().double().cpu()[self.features]

    @torch.no_grad()
    def set_bias(self, values: Tensor) -> None:
        """Change the projection's bias to ``(out,)``."""
        _set_rows(self.module.bias, self.features, values)


def is_transposed(module: nn.Module) -> bool:
    """Tell whether a module keeps its weight as (in, out), as transformers' Conv1D does (GPT-2)."""
    return type(module).__name__ == "Conv1D"


def linear_targets(
    backbone: Backbone, model: Any, sites: Mapping[str, str], tensors: Mapping[str, Tensor]
) -> list[LinearTarget]:
    """Find the projections that a run's tensors change.

    Args:
        backbone: The backbone, for the names of its parts.
        model: The backbone's model or a copy of it.
        sites: The names in the tensors' names, with the attributes of `LayerParts` that are meant.
        tensors: A submodule's stored tensors, named ``<layer>.<site>.<tensor>``.

    Returns:
        One entry per projection that there are tensors for, from the input to the output.
    """
    # By identity: layers know their modules, not what the model calls them.
    names = {id(module): name for name, module in model.named_modules()}
    targets = []
    for layer in layer_parts(model.base_model, backbone.family):
        for site, attribute in sites.items():
            own = tensors_of(tensors, f"{layer.number}.{site}")
            if own:
                projection = getattr(layer, attribute)
                targets.append(LinearTarget(names[id(projection.module)], site, projection, own))
    return targets


def by_module(targets: Sequence[LinearTarget]) -> dict[str, list[LinearTarget]]:
    """Group projections by the name of the module that computes them; a fused module computes several."""
    grouped: dict[str, list[LinearTarget]] = {}
    for target in targets:
        grouped.setdefault(target.name, []).append(target)
    return grouped


def merge_obstacle_of(backbone: Backbone, attributes: Sequence[str]) -> str | None:
    """Say why weights cannot be changed in place of what was attached to some projections.

    Args:
        backbone: The backbone.
        attributes: The projections, as attributes of `LayerParts`.

    Returns:
        Half a sentence; None where every one is a linear layer or a share of one.
    """
    seen: dict[int, int] = {}
    for layer in layer_parts(backbone.base, backbone.family):
        for attribute in attributes:
            projection: Projection | None = getattr(layer, attribute)
            if projection is None:
                continue
            module = projection.module
            if not _is_linear(module):
                return f"the {attribute} of layer {layer.number} is a {type(module).__name__}, no linear layer"
            # Tensors differ from layer to layer: one weight cannot hold them all.
            if seen.setdefault(id(module), layer.number) != layer.number:
                return f"layers {seen[id(module)]} and {layer.number} share the weights of their {attribute}"
    return None


def tensors_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a part, without it and the dot that follows."""
    begin = f"{part}."
    found = {name: values for name, values in tensors.items() if name.startswith(begin)}
    return {name.removeprefix(begin): values for name, values in found.items()}


@torch.no_grad()
def set_values(parameter: Tensor, values: Tensor) -> None:
    """Give a parameter the values of a tensor of its shape, of any precision and on any device."""
    parameter.copy_(values)


def _is_linear(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    # A quantised layer is an nn.Linear whose weight holds packed integers.
    dense = isinstance(weight, Tensor) and weight.is_floating_point() and weight.dim() == 2
    return dense and (isinstance(module, nn.Linear) or is_transposed(module))


def _matrix(module: Any) -> Tensor:
    """Return a module's weight as ``(out, inner)``; what is written to it is written to the module."""
    weight: Tensor = module.weight
    return weight.T if is_transposed(module) else weight


def _set_rows(matrix: Tensor, rows: Tensor, values: Tensor) -> None:
    matrix[rows.to(matrix.device)] = values.to(matrix)

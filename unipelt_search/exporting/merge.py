"""A run's stored tensors merged into a copy of its backbone, where that is exact."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.pelt.head import POOLED
from unipelt_search.pelt.merged_weights import set_values, tensors_of
from unipelt_search.pelt.registry import submodules_of
from unipelt_search.specs.trial import TrialSpec


def with_head(backbone: Backbone, tensors: Mapping[str, Tensor]) -> Any:
    """Copy a backbone's model and give the copy a trained head.

    Args:
        backbone: The backbone; no pack is attached to it.
        tensors: A run's stored tensors, of which the head's are taken.

    Returns:
        The copy.
    """
    model = copy.deepcopy(backbone.model)
    for name, values in tensors_of(tensors, "head").items():
        target = name
        if name.startswith(f"{POOLED}."):  # a layer after our own pooling stands for the architecture's last one
            target = f"{backbone.family.head[-1]}.{name.split('.')[-1]}"
        set_values(model.get_parameter(target), values)
    return model


def merged_model(backbone: Backbone, trial: TrialSpec, tensors: Mapping[str, Tensor]) -> Any:
    """Merge a run's stored tensors into a copy of its backbone.

    Args:
        backbone: The backbone, which pools as its architecture does; no pack is attached to it.
        trial: The configuration; `merged_form` has named transformers.
        tensors: The run's stored tensors.

    Returns:
        A classification model of transformers that predicts the same without this package.
    """
    model = with_head(backbone, tensors)
    _merge(backbone, model, trial, tensors)
    return model


def merged_base(backbone: Backbone, trial: TrialSpec, tensors: Mapping[str, Tensor]) -> Any:
    """Merge a run's stored tensors into a copy of the part of its backbone that comes before the pooling.

    Args:
        backbone: The backbone; no pack is attached to it.
        trial: The configuration; `merged_form` has named a library.
        tensors: The run's stored tensors, of which the head's are left out.

    Returns:
        A model of transformers without a head.
    """
    model = copy.deepcopy(backbone.model)
    _merge(backbone, model, trial, tensors)
    return model.base_model


def _merge(
    backbone: Backbone,
    model: Any,
    trial: TrialSpec,
    tensors: Mapping[str, Tensor],
) -> None:
    """Change a copy of the backbone's model: fine-tuned weights replace its own, submodules are merged into them."""
    # transformers would give the weights the names that they had in the checkpoint, of which this may be a part.
    vars(model).pop("_weight_conversions", None)
    for name, values in tensors_of(tensors, "backbone").items():
        set_values(model.get_parameter(name), values)
    for submodule in submodules_of(trial):
        submodule.merge(backbone, model, trial, tensors_of(tensors, submodule.name))


@torch.no_grad()
def use_label_units(linear: Any, scale: tuple[float, float] | None) -> None:
    """Let a last layer predict in the units of the labels.

    Args:
        linear: The layer, trained on (number - summand) / factor; it has a bias.
        scale: The factor and the summand; None changes nothing.
    """
    if scale is None:
        return
    factor, summand = scale
    linear.weight.mul_(factor)
    linear.bias.mul_(factor).add_(summand)

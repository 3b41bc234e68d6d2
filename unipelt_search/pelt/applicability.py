"""Whether a configuration can attach to a backbone, found out before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from unipelt_search.errors import BackboneError
from unipelt_search.pelt.backbone import Backbone
from unipelt_search.pelt.layers import layer_parts
from unipelt_search.specs.trial import TrialSpec


def bias_modules(backbone: Backbone) -> Iterator[tuple[str, int | None, nn.Module]]:
    """Name every frozen module with a bias that takes part in the forward pass.

    Args:
        backbone: The backbone.

    Yields:
        (name in the base model, layer or None, module).
    """
    family = backbone.family
    prefix = f"{backbone.model.base_model_prefix}."
    for name, module in backbone.base.named_modules():
        if not isinstance(getattr(module, "bias", None), nn.Parameter) or prefix + name in backbone.new_modules:
            continue
        if family.pooler and backbone.pooling != "native" and name.startswith(f"{family.pooler}."):
            continue
        rest = name.removeprefix(f"{family.layers}.")
        yield name, int(rest.split(".")[0]) if rest != name else None, module


def check_trial(backbone: Backbone, trial: TrialSpec) -> None:
    """Check that a configuration can attach to a backbone.

    Args:
        backbone: The backbone.
        trial: The configuration.

    Raises:
        BackboneError: It cannot; says why.
    """
    layer = layer_parts(backbone.base, backbone.family)[0]
    smallest = min(layer.query.inner, layer.query.out, layer.value.inner, layer.value.out)
    width = layer.ffn_out.out
    if trial.method == "bitfit" and not any(True for _ in bias_modules(backbone)):
        raise BackboneError(f"bitfit needs a backbone with biases; {backbone.name!r} has none. Leave bitfit out.")
    if trial.lora and trial.lora.rank > smallest:
        raise BackboneError(
            f"lora.rank must be at most {smallest}, the smallest side of a projection of "
            f"{backbone.name!r}; got {trial.lora.rank}."
        )
    if trial.adapter and trial.adapter.bottleneck >= width:
        raise BackboneError(
            f"adapter.bottleneck must be below {width}, the hidden size of {backbone.name!r}; "
            f"got {trial.adapter.bottleneck}."
        )

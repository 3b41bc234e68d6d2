"""Whether a configuration can attach to a backbone, found out before anything is touched."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from torch import nn

from unipelt_search.backbones.attention_interface import ATTENTION
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import attention_shape, layer_parts, stack_layers
from unipelt_search.errors import BackboneError
from unipelt_search.methods.catalogue import find_method
from unipelt_search.specs.trial import TrialSpec

_ON_PROJECTIONS = frozenset({"lora", "bitfit", "ia3"})


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
    unused = unused_modules(backbone)
    for name, module in backbone.model.named_modules():
        if isinstance(getattr(module, "bias", None), nn.Parameter) and not _is_in(name, unused):
            yield name, layer_of.get(module), module


def unused_modules(backbone: Backbone) -> tuple[str, ...]:
    """Name what does not take part as the checkpoint has it: replaced by newly drawn layers, or skipped by the pooling.

    Args:
        backbone: The backbone.

    Returns:
        Names in the model; whatever is inside of them is meant too.
    """
    family = backbone.family
    if backbone.pooling == "native":
        return backbone.new_modules
    return tuple(name for name in (*family.head, family.pooler, *family.pooler_parts) if name)


def _is_in(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def needs_own_pack(backbone: Backbone, trial: TrialSpec) -> bool:
    """Tell whether a run of a configuration cannot share a pack with others.

    Args:
        backbone: The backbone.
        trial: The configuration.

    Returns:
        True where the backbone itself is trained, where submodules are left out of some layers, and where a part
        changes what all rows share (DeBERTa's relative positions), so that every run would need its own.
    """
    method = find_method(trial.method)
    if trial.without:
        return True
    shares = backbone.family.shares_positions and bool(_ON_PROJECTIONS & set(method.submodules))
    return method.trains == "backbone" or shares


def check_trial(backbone: Backbone, trial: TrialSpec, tokens: int = 1) -> None:
    """Check that a configuration can attach to a backbone.

    Args:
        backbone: The backbone.
        trial: The configuration.
        tokens: Tokens of a row at most, where that is known.

    Raises:
        BackboneError: It cannot; says why.
    """
    layers = layer_parts(backbone.base, backbone.family)
    smallest = min(min(p.inner, p.out) for layer in layers for p in (layer.query, layer.value))
    width = layers[0].ffn_out.out
    if trial.method == "bitfit" and not any(True for _ in bias_modules(backbone)):
        raise BackboneError(f"bitfit needs a backbone with biases; {backbone.name!r} has none. Leave bitfit out.")
    if trial.lora and trial.lora.rank > smallest:
        raise BackboneError(
            f"lora.rank must be at most {smallest}, the smallest side of a projection of "
            f"{backbone.name!r}; got {trial.lora.rank}."
        )
    for name, adapter in (("adapter", trial.adapter), ("parallel_adapter", trial.parallel_adapter)):
        if adapter and adapter.bottleneck >= width:
            raise BackboneError(
                f"{name}.bottleneck must be below {width}, the hidden size of {backbone.name!r}; "
                f"got {adapter.bottleneck}."
            )
    for submodule, layer in trial.without:
        if layer >= len(layers):
            raise BackboneError(
                f"without must name layers below {len(layers)}, as many as {backbone.name!r} has; got {submodule} in "
                f"layer {layer}."
            )
    if trial.prefix:
        _check_prefix(backbone, trial.method, [layer.value.out for layer in layers])
        check_shift(backbone, trial.prefix.shift, tokens)


def check_shift(backbone: Backbone, shift: int, tokens: int) -> None:
    """Check that tokens' positions can be moved up by a prefix's length.

    Args:
        backbone: The backbone.
        shift: Positions that they are moved up by; 0 is always possible.
        tokens: Tokens of a row at most.

    Raises:
        BackboneError: The model's type cannot, or has not that many positions.
    """
    if not shift:
        return
    config = backbone.model.config
    if backbone.family.positions is None:
        raise BackboneError(
            f"prefix.position_shift needs a type of model whose positions can begin after a prefix as PEFT has it; "
            f"{config.model_type!r} is none. Leave prefix.position_shift out."
        )
    # Behind a sliding window a token does not see PEFT's prefix, which has positions; ours has none.
    window = getattr(config, "sliding_window", None) or backbone.max_positions
    max_positions = min(backbone.max_positions, window)
    if shift + tokens > max_positions:
        where = " in the window of its attention" if max_positions < backbone.max_positions else ""
        raise BackboneError(
            f"prefix.position_shift needs {shift} + {tokens} positions, for the prefix and for the tokens of a text; "
            f"{backbone.name!r} has {max_positions}{where}. Set a smaller task.max_length or prefix.length, or leave "
            "prefix.position_shift out."
        )


def _check_prefix(backbone: Backbone, method: str, widths: list[int]) -> None:
    config = backbone.model.config
    attention = type(layer_parts(backbone.base, backbone.family)[0].attention)
    asks = "ALL_ATTENTION_FUNCTIONS" in inspect.getsource(attention.forward)
    ours = config._attn_implementation == ATTENTION
    if not backbone.family.spliced_prefix and not (asks and ours):
        raise BackboneError(
            f"A prefix needs an attention that asks transformers' attention interface for plain attention; that of "
            f"type {config.model_type!r} does not. Leave {method} out."
        )
    shape = attention_shape(config)
    if {shape.heads * shape.head_width} != set(widths):
        raise BackboneError(
            f"A prefix needs values of heads · head width = {shape.heads} · {shape.head_width} features in every "
            f"layer; those of {backbone.name!r} have {', '.join(map(str, sorted(set(widths))))}. Leave {method} out."
        )

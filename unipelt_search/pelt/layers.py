"""The parts of a backbone's layers, looked up once by the names of its family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from unipelt_search.pelt.families import Family


@dataclass(frozen=True)
class Projection:
    """A linear map in a layer."""

    module: nn.Module
    inner: int
    """Features of its input."""
    out: int
    """Features of its output."""


@dataclass(frozen=True)
class LayerParts:
    """What submodules attach to in one layer."""

    number: int
    """Counted from 0, the layer nearest to the input."""
    module: nn.Module
    attention: nn.Module
    """The module that calls the attention function and whose input the prefix and LoRA gates read."""
    query: Projection
    value: Projection
    ffn_out: Projection
    """The feed-forward network's down-projection."""
    dropouts: tuple[tuple[str, nn.Module], ...]
    """The layer's dropout modules by name."""


@dataclass(frozen=True)
class AttentionShape:
    """The sizes that keys and values have in every layer."""

    heads: int
    """Key and value heads; fewer than query heads where queries are grouped."""
    head_width: int
    """Features of a head."""
    width: int
    """Features of a token between layers, D."""


def layer_parts(base: nn.Module, family: Family) -> tuple[LayerParts, ...]:
    """Look up what submodules attach to, layer by layer.

    Args:
        base: The model without its head; `check_family` has found every part.
        family: How its parts are called.

    Returns:
        One entry per layer, the one nearest to the input first.
    """
    layers: Sequence[nn.Module] = list(base.get_submodule(family.layers))  # type: ignore[call-overload]
    return tuple(
        LayerParts(
            number=number,
            module=layer,
            attention=layer.get_submodule(family.attention),
            query=_projection(layer, family.query),
            value=_projection(layer, family.value),
            ffn_out=_projection(layer, family.ffn_out),
            dropouts=tuple((name, layer.get_submodule(name)) for name in family.layer_dropout),
        )
        for number, layer in enumerate(layers)
    )


def attention_shape(config: Any) -> AttentionShape:
    """Read the sizes of keys and values from a model's configuration.

    Args:
        config: A transformers configuration.

    Returns:
        Heads, their width, and the hidden size.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return AttentionShape(heads, head_width, config.hidden_size)


def _projection(layer: nn.Module, name: str) -> Projection:
    module: Any = layer.get_submodule(name)
    out, inner = module.weight.shape
    return Projection(module, inner, out)

"""The parts of a backbone that methods attach to, looked up by the names of its family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from unipelt_search.backbones.families import Family, Stack, StackName

OutputHook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]
"""A forward hook: (module, its arguments, its output ``(S·B, T, out)``) → the output to use."""


@dataclass(frozen=True)
class Projection:
    """A linear map in a layer; perhaps a share of a module that computes several of them."""

    module: nn.Module
    inner: int
    """Features of its input."""
    out: int
    """Features of its output."""
    groups: int = 1
    """Equal groups that the module's output features fall into; each holds a part of this projection."""
    start: int = 0
    """Where the projection's features begin in a group."""
    sole: bool = True
    """Whether the module computes nothing else."""

    def register_forward_hook(self, hook: OutputHook) -> RemovableHandle:
        """Register a hook that sees and changes this projection's features alone.

        Args:
            hook: Gets the module, its arguments and the projection's output ``(S·B, T, out)``.

        Returns:
            What takes the hook off again.
        """
        return self.module.register_forward_hook(hook if self.sole else _ShareHook(self, hook).hook)


@dataclass(frozen=True)
class _ShareHook:
    """Shows a hook one projection's share of a fused module's output."""

    projection: Projection
    inner: OutputHook

    def hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        share = self.projection
        grouped = output.unflatten(-1, (share.groups, -1))  # (S·B, T, groups, features of a group)
        end = share.start + share.out // share.groups
        before = grouped[..., : share.start]
        seen = grouped[..., share.start : end].flatten(-2)  # (S·B, T, out)
        after = grouped[..., end:]
        own = self.inner(module, args, seen).unflatten(-1, (share.groups, -1))
        return torch.cat([before, own, after], -1).flatten(-2)


@dataclass(frozen=True)
class LayerParts:
    """What submodules attach to in one layer."""

    number: int
    """Counted from 0, the layer nearest to the input; a decoder's layers are counted on after its encoder's."""
    stack: StackName
    module: nn.Module
    attention: nn.Module
    """The self-attention module, whose input the prefix and LoRA gates read."""
    causal: bool
    """Whether a position sees only the ones before it."""
    query: Projection
    key: Projection
    value: Projection
    attention_out: nn.Module | None
    """The projection that reads the attention's output, where a prefix must be spliced in."""
    ffn_in: nn.Module
    """What reads the feed-forward network's input."""
    ffn_out: Projection
    """The feed-forward network's down-projection."""
    dropouts: tuple[tuple[str, nn.Module], ...]
    """The layer's dropout modules by name."""


@dataclass(frozen=True)
class AttentionShape:
    """The sizes that queries, keys and values have in every layer."""

    queries: int
    """Query heads."""
    heads: int
    """Key and value heads; fewer than query heads where queries are grouped."""
    head_width: int
    """Features of a head."""
    width: int
    """Features of a token between layers, D."""


def layer_parts(base: Any, family: Family) -> tuple[LayerParts, ...]:
    """Look up what submodules attach to, layer by layer.

    Args:
        base: The model without its head, in which `find_family` has found every part.
        family: How its parts are called.

    Returns:
        One entry per layer, the one nearest to the input first.
    """
    layers = [(stack, layer) for stack in family.stacks for layer in stack_layers(base, stack)]
    shape = attention_shape(base.config)
    found = []
    for number, (stack, layer) in enumerate(layers):
        attention = layer.get_submodule(stack.attention)
        found.append(
            LayerParts(
                number=number,
                stack=stack.name,
                module=layer,
                attention=attention,
                causal=bool(getattr(attention, "is_causal", family.causal)),
                query=_projection(layer, stack, stack.query, shape, "query"),
                key=_projection(layer, stack, stack.key, shape, "key"),
                value=_projection(layer, stack, stack.value, shape, "value"),
                attention_out=layer.get_submodule(stack.attention_out) if stack.attention_out else None,
                ffn_in=layer.get_submodule(stack.ffn_in),
                ffn_out=_complete(layer.get_submodule(stack.ffn_out)),
                dropouts=tuple((name, layer.get_submodule(name)) for name in stack.dropout),
            )
        )
    return tuple(found)


def attention_shape(config: Any) -> AttentionShape:
    """Read the sizes of queries, keys and values from a model's configuration.

    Args:
        config: A transformers configuration.

    Returns:
        Heads, their width, and the hidden size.
    """
    queries = config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or queries
    head_width = getattr(config, "head_dim", None) or config.hidden_size // queries
    return AttentionShape(queries, heads, head_width, config.hidden_size)


def _complete(module: Any) -> Projection:
    """Describe a module that computes one projection and nothing else."""
    # transformers' Conv1D (GPT-2) keeps its weight as (in, out), a linear layer as (out, in).
    if type(module).__name__ == "Conv1D":
        inner, out = module.weight.shape
    else:
        out, inner = module.weight.shape
    return Projection(module, inner, out)


def _projection(
    layer: nn.Module,
    stack: Stack,
    name: str,
    shape: AttentionShape,
    part: str,
) -> Projection:
    """Find one layer's query, key or value projection, perhaps a share of a fused module."""
    complete = _complete(layer.get_submodule(name))
    if stack.fused is None:
        return complete
    queries = shape.queries * shape.head_width
    keys = shape.heads * shape.head_width
    if stack.fused == "heads":  # [query | key | value] of each head in turn (GPT-NeoX, BLOOM)
        out = queries
        groups = shape.queries
        start = {"query": 0, "key": 1, "value": 2}[part] * shape.head_width
    else:  # all queries, then all keys, then all values
        out = queries if part == "query" else keys
        groups = 1
        start = {"query": 0, "key": queries, "value": queries + keys}[part]
    return Projection(complete.module, complete.inner, out, groups=groups, start=start, sole=False)


def stack_layers(base: nn.Module, stack: Stack) -> list[nn.Module]:
    """Look up the layers of a stack.

    Args:
        base: The model without its head.
        stack: The names.

    Returns:
        The layers, the one nearest to the input first; none where there is no such list.
    """
    lists: list[nn.Module] = [base]
    for step in stack.layers.split(".*."):
        found = [submodule_of(module, step) for module in lists]
        lists = [member for module in found if isinstance(module, nn.ModuleList) for member in module]
    return lists


def submodule_of(module: nn.Module, name: str) -> nn.Module | None:
    """Return a module's part of a dotted name; None where there is none."""
    return dict(module.named_modules()).get(name)

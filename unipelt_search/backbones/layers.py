"""The parts of a backbone that methods attach to, looked up by the names of its family."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

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
    is_block: bool = False
    """Whether it is no linear map but a whole block, a mixture of experts, whose output may be the first of several."""

    def register_forward_hook(self, hook: OutputHook) -> RemovableHandle:
        """Register a hook that sees and changes this projection's features alone.

        Args:
            hook: Gets the module, its arguments and the projection's output ``(S·B, T, out)``, of some blocks
                ``(S·B·T, out)``.

        Returns:
            What takes the hook off again.
        """
        if self.is_block:
            return self.module.register_forward_hook(_BlockHook(hook).hook)
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
class _BlockHook:
    """Shows a hook what a block hands on, without what it returns beside that, such as its router's scores."""

    inner: OutputHook

    def hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Any,
    ) -> Any:
        if isinstance(output, tuple):
            return (self.inner(module, args, output[0]), *output[1:])
        return self.inner(module, args, output)


@dataclass(frozen=True)
class LayerParts:
    """What submodules attach to in one layer; a part that the layer does not have is None."""

    number: int
    """Counted from 0, the layer nearest to the input; a decoder's layers are counted on after its encoder's."""
    stack: StackName
    module: nn.Module
    width: int
    """Features of a token between layers, D."""
    gate_width: int
    """Features of the attention module's input, which most gates read."""
    attention: nn.Module | None
    """The self-attention module, whose input the prefix and LoRA gates read."""
    causal: bool
    """Whether a position sees only the ones before it."""
    query: Projection | None
    key: Projection | None
    value: Projection | None
    attention_out: nn.Module | None
    """The projection that reads the attention's output, where a prefix must be spliced in."""
    ffn_in: nn.Module | None
    """What reads the feed-forward network's input; a mixture of experts itself."""
    ffn_out: Projection | None
    """The feed-forward network's down-projection, or a mixture of experts as a whole."""
    dropouts: tuple[tuple[str, nn.Module], ...]
    """The layer's dropout modules by name."""

    @property
    def ffn_linear(self) -> Projection | None:
        """The feed-forward network's down-projection; None of a mixture of experts, where every expert has one."""
        return None if self.ffn_out is None or self.ffn_out.is_block else self.ffn_out

    def has(self, parts: Iterable[str]) -> bool:
        """Tell whether the layer has every one of some parts, named as the attributes here."""
        return all(getattr(self, part) is not None for part in parts)


Part = TypeVar("Part")


def present(part: Part | None) -> Part:
    """Return a part of a layer that `LayerParts.has` was asked about before.

    Args:
        part: The part.

    Returns:
        The part.

    Raises:
        RuntimeError: The layer does not have it.
    """
    if part is None:
        raise RuntimeError("a submodule must only be attached to layers that have the parts it needs")
    return part


@dataclass(frozen=True)
class AttentionShape:
    """The sizes that queries, keys and values have in every layer."""

    queries: int
    """Query heads."""
    heads: int
    """Key and value heads; fewer than query heads where queries are grouped."""
    head_width: int
    """Features of a head of queries and keys."""
    value_width: int
    """Features of a head of values; others than those of keys in multi-head latent attention (DeepSeek)."""
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
    return tuple(_parts_of(base.config, family, stack, layer, number) for number, (stack, layer) in enumerate(layers))


def _parts_of(
    config: Any,
    family: Family,
    stack: Stack,
    layer: nn.Module,
    number: int,
) -> LayerParts:
    """Look up the parts of one layer."""
    attention = _part(layer, stack.attention)
    ffn_in, ffn_out = _feed_forward(layer, stack, config.hidden_size)
    query = _projection(layer, stack, config, "query")
    gate_width = config.hidden_size
    if query is not None and stack.fused != "latent":  # a latent one reads a compressed token, not the module's input
        gate_width = query.inner
    return LayerParts(
        number=number,
        stack=stack.name,
        module=layer,
        width=config.hidden_size,
        gate_width=gate_width,
        attention=attention,
        causal=bool(getattr(attention, "is_causal", family.causal)),
        query=query,
        key=_projection(layer, stack, config, "key"),
        value=_projection(layer, stack, config, "value"),
        attention_out=_part(layer, stack.attention_out),
        ffn_in=ffn_in,
        ffn_out=ffn_out,
        dropouts=tuple((name, layer.get_submodule(name)) for name in stack.dropout),
    )


def _part(layer: nn.Module, name: str | None) -> nn.Module | None:
    """Return a layer's part of a name; None without a name, and where there is none."""
    return None if name is None else submodule_of(layer, name)


def _feed_forward(
    layer: nn.Module,
    stack: Stack,
    width: int,
) -> tuple[nn.Module | None, Projection | None]:
    """Find what reads the feed-forward network's input, and what its output comes from."""
    ffn_out = _part(layer, stack.ffn_out)
    if ffn_out is not None:
        return _part(layer, stack.ffn_in), _complete(ffn_out)
    experts = _part(layer, stack.experts)
    if experts is not None:
        return experts, Projection(experts, width, width, is_block=True)
    return None, None


def attention_shape(config: Any) -> AttentionShape:
    """Read the sizes of queries, keys and values from a model's configuration.

    Args:
        config: A transformers configuration.

    Returns:
        Heads, their width, and the hidden size.
    """
    queries = config.num_attention_heads
    if getattr(config, "kv_lora_rank", None):
        key_width = config.qk_nope_head_dim + config.qk_rope_head_dim
        return AttentionShape(queries, queries, key_width, config.v_head_dim, config.hidden_size)
    heads = getattr(config, "num_key_value_heads", None) or _falcon_heads(config) or queries
    head_width = getattr(config, "head_dim", None) or config.hidden_size // queries
    return AttentionShape(queries, heads, head_width, head_width, config.hidden_size)


def _falcon_heads(config: Any) -> int | None:
    """Return the key heads of a Falcon or StarCoder, which may have one for all queries; None of others."""
    if getattr(config, "new_decoder_architecture", False):
        heads: int = config.num_kv_heads
        return heads
    return 1 if getattr(config, "multi_query", False) else None


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
    config: Any,
    part: Literal["query", "key", "value"],
) -> Projection | None:
    """Find one layer's query, key or value projection, perhaps a share of a fused module."""
    module = _part(layer, {"query": stack.query, "key": stack.key, "value": stack.value}[part])
    if module is None:
        return None
    complete = _complete(module)
    if stack.fused is None:
        return complete
    if stack.fused == "latent":
        return _latent_share(complete, config, part)
    shape = attention_shape(config)
    queries = shape.queries * shape.head_width
    keys = shape.heads * shape.head_width
    if stack.fused == "falcon":  # [the queries of a key head | key | value] of each key head in turn
        each = queries // shape.heads
        starts = {"query": 0, "key": each, "value": each + shape.head_width}
        out = queries if part == "query" else keys
        return Projection(complete.module, complete.inner, out, shape.heads, starts[part], sole=False)
    if stack.fused == "heads":  # [query | key | value] of each head in turn (GPT-NeoX, BLOOM)
        out = queries
        groups = shape.queries
        start = {"query": 0, "key": 1, "value": 2}[part] * shape.head_width
    else:  # all queries, then all keys, then all values
        out = queries if part == "query" else keys
        groups = 1
        start = {"query": 0, "key": queries, "value": queries + keys}[part]
    return Projection(complete.module, complete.inner, out, groups=groups, start=start, sole=False)


def _latent_share(complete: Projection, config: Any, part: str) -> Projection:
    """Find a projection of multi-head latent attention, where [key | value] of each head in turn share a module."""
    if part == "query":
        return complete
    heads = config.num_attention_heads
    key_width, value_width = config.qk_nope_head_dim, config.v_head_dim
    width, start = (key_width, 0) if part == "key" else (value_width, key_width)
    return Projection(complete.module, complete.inner, heads * width, heads, start, sole=False)


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


def window_of(config: Any) -> int:
    """Return what a model pads its rows to a multiple of by itself; 1 for a model that does not (all but Longformer).

    Args:
        config: A transformers configuration.

    Returns:
        Tokens.
    """
    window = getattr(config, "attention_window", None) or 1
    return max(window) if isinstance(window, (list, tuple)) else int(window)


def submodule_of(module: nn.Module, name: str) -> nn.Module | None:
    """Return a module's part of a dotted name; None where there is none."""
    return dict(module.named_modules()).get(name)

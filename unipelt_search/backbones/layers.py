"""The parts of a backbone: found by the names of its family or, for an unlisted one, by its structure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from unipelt_search.backbones.families import FAMILIES, KNOWN_TYPES, Family, Stack, StackName
from unipelt_search.errors import BackboneError

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
    whole: bool = True
    """Whether the module computes nothing else."""

    def register_forward_hook(self, hook: OutputHook) -> RemovableHandle:
        """Register a hook that sees and changes this projection's features alone.

        Args:
            hook: Gets the module, its arguments and the projection's output ``(S·B, T, out)``.

        Returns:
            What takes the hook off again.
        """
        return self.module.register_forward_hook(hook if self.whole else _ShareHook(self, hook).hook)


@dataclass(frozen=True)
class _ShareHook:
    """Shows a hook one projection's share of a fused module's output."""

    projection: Projection
    inner: OutputHook

    def hook(self, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        share = self.projection
        grouped = output.unflatten(-1, (share.groups, -1))  # (S·B, T, groups, features of a group)
        end = share.start + share.out // share.groups
        own = self.inner(module, args, grouped[..., share.start : end].flatten(-2))
        parts = [grouped[..., : share.start], own.unflatten(-1, (share.groups, -1)), grouped[..., end:]]
        return torch.cat(parts, -1).flatten(-2)


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
    """The projection that reads the attention's answer, where a prefix must be spliced in."""
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
                ffn_out=_whole(layer.get_submodule(stack.ffn_out)),
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


def _whole(module: Any) -> Projection:
    # transformers' Conv1D (GPT-2) keeps its weight as (in, out), a linear layer as (out, in).
    inner, out = module.weight.shape if type(module).__name__ == "Conv1D" else reversed(module.weight.shape)
    return Projection(module, inner, out)


def _projection(layer: nn.Module, stack: Stack, name: str, shape: AttentionShape, part: str) -> Projection:
    whole = _whole(layer.get_submodule(name))
    if stack.fused is None:
        return whole
    if stack.fused == "heads":
        start = {"query": 0, "key": 1, "value": 2}[part] * shape.head_width
        width = shape.queries * shape.head_width
        return Projection(whole.module, whole.inner, width, groups=shape.queries, start=start, whole=False)
    query, key = shape.queries * shape.head_width, shape.heads * shape.head_width
    start = {"query": 0, "key": query, "value": query + key}[part]
    return Projection(whole.module, whole.inner, query if part == "query" else key, start=start, whole=False)


def find_family(model: Any) -> Family:
    """Find the names of a model's parts: those of its family, or those that its structure shows.

    Args:
        model: A sequence classification model.

    Returns:
        The names; every part that they name is there.

    Raises:
        BackboneError: A part was not found; says what was looked for, and where.
    """
    model_type = model.config.model_type
    families = [family for family in FAMILIES if model_type in family.model_types]
    if not families:
        return discover_family(model)
    missing = [_missing_part(family, model) for family in families]
    for family, lack in zip(families, missing, strict=True):
        if lack is None:
            return family
    raise BackboneError(
        f"--model of type {model_type!r} must have {missing[0]}; nothing was found there. Use a checkpoint of the "
        "published architecture."
    )


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
        found = [_submodule(module, step) for module in lists]
        lists = [member for module in found if isinstance(module, nn.ModuleList) for member in module]
    return lists


def _submodule(module: nn.Module, name: str) -> nn.Module | None:
    return dict(module.named_modules()).get(name)


def _missing_part(family: Family, model: Any) -> str | None:
    """Describe the first part that a family names and a model lacks."""
    for stack in family.stacks:
        layers = stack_layers(model.base_model, stack)
        if not layers:
            return f"its layers at {stack.layers!r}"
        out = (stack.attention_out,) if stack.attention_out else ()
        for name in (
            stack.attention, stack.query, stack.key, stack.value, stack.ffn_in, stack.ffn_out, *out, *stack.dropout
        ):  # fmt: skip
            if _submodule(layers[0], name) is None:
                return f"a part {name!r} in the first of {stack.layers!r}"
    outside = (family.head_module, family.pooler, *family.head, *family.pooler_parts)
    for name in filter(None, outside):
        if _submodule(model, name) is None:
            return f"a part {name!r} in the model"
    if family.embedding_dropout and _submodule(model.base_model, family.embedding_dropout) is None:
        return f"a part {family.embedding_dropout!r} in the base model"
    return None


_PROJECTIONS = {
    "query": re.compile(r"q|query|q_?proj|query_proj|q_lin|to_q|q_attn|wq", re.IGNORECASE),
    "key": re.compile(r"k|key|k_?proj|key_proj|k_lin|to_k|wk", re.IGNORECASE),
    "value": re.compile(r"v|value|v_?proj|value_proj|v_lin|to_v|wv", re.IGNORECASE),
}
_NORMS = re.compile(r"norm", re.IGNORECASE)


def discover_family(model: Any) -> Family:
    """Find the parts of a model of no known family by its structure.

    Args:
        model: A sequence classification model.

    Returns:
        Their names. Dropout sites inside of the base model are not looked for.

    Raises:
        BackboneError: A part was not found, or found twice; says what was looked for.
    """
    kind, base = model.config.model_type, model.base_model
    if model.config.is_encoder_decoder:
        raise _not_found(kind, "one stack of layers", "an encoder and a decoder")
    layers_name, layers = _discover_layers(kind, base)
    layer = layers[0]
    attention_name, (query, key, value) = _discover_attention(kind, layer)
    ffn_in, ffn_out = _discover_feed_forward(kind, layer, attention_name, _intermediate_size(model.config, kind))
    pooler, parts, head = _discover_head(kind, model)
    causal = bool(getattr(layer.get_submodule(attention_name), "is_causal", False))
    stack = Stack(
        layers=layers_name, attention=attention_name, query=query, key=key, value=value, ffn_in=ffn_in, ffn_out=ffn_out,
        name="decoder" if causal else "encoder",
    )  # fmt: skip
    return Family(model_types=(kind,), stacks=(stack,), head=(head,), pooler=pooler, pooler_parts=parts, causal=causal)


def _not_found(kind: str, wanted: str, found: str) -> BackboneError:
    known = ", ".join(KNOWN_TYPES)
    return BackboneError(
        f"--model must be of a known architecture or show its parts by its structure; in type {kind!r} we looked for "
        f"{wanted} and found {found}. Choose another model; known types: {known}."
    )


def _discover_layers(kind: str, base: nn.Module) -> tuple[str, list[nn.Module]]:
    """Find the longest list of modules of one class."""
    lists = [
        (name, list(module))
        for name, module in base.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(member) for member in module}) == 1
    ]
    longest = max((len(members) for _, members in lists), default=0)
    found = [entry for entry in lists if len(entry[1]) == longest]
    if len(found) != 1:
        raise _not_found(kind, "one longest list of equal layers", ", ".join(name for name, _ in found) or "none")
    return found[0]


def _discover_attention(kind: str, layer: nn.Module) -> tuple[str, list[str]]:
    """Find the one module of a layer that has a query, a key and a value projection."""
    found = []
    for name, module in layer.named_modules():
        linears = [child for child, part in module.named_children() if isinstance(part, nn.Linear)]
        matches = {part: [n for n in linears if pattern.fullmatch(n)] for part, pattern in _PROJECTIONS.items()}
        if all(len(names) == 1 for names in matches.values()):
            found.append((name, [f"{name}.{names[0]}" for names in matches.values()]))
    if len(found) != 1:
        wanted = "one module with linear layers named like query, key and value (q_proj, k_proj, v_proj; q, k, v; …)"
        raise _not_found(kind, wanted, ", ".join(name for name, _ in found) or "none")
    return found[0]


def _intermediate_size(config: Any, kind: str) -> int:
    for name in ("intermediate_size", "ffn_dim", "d_ff", "n_inner", "hidden_dim", "ffn_hidden_size", "d_inner"):
        size = getattr(config, name, None)
        if isinstance(size, int):
            return size
    raise _not_found(kind, "the feed-forward network's width in config.json (intermediate_size, ffn_dim, …)", "none")


def _discover_feed_forward(kind: str, layer: nn.Module, attention: str, width: int) -> tuple[str, str]:
    """Find the linear layers into and out of the feed-forward network by their shapes."""
    linears = [
        (name, module)
        for name, module in layer.named_modules()
        if isinstance(module, nn.Linear) and not name.startswith(f"{attention}.")
    ]
    outs = [(name, module.out_features) for name, module in linears if module.in_features == width]
    if len(outs) != 1:
        wanted = f"one linear layer from the feed-forward network's width {width} outside of the attention"
        raise _not_found(kind, wanted, ", ".join(name for name, _ in outs) or "none")
    out, hidden = outs[0]
    ins = [n for n, m in linears if m.in_features == hidden and m.out_features in (width, 2 * width) and n != out]
    if not ins:
        raise _not_found(kind, f"a linear layer from {hidden} to the feed-forward network's width {width}", "none")
    return ins[0], out


def _discover_head(kind: str, model: Any) -> tuple[str | None, tuple[str, ...], str]:
    """Find what lies between the token vectors and the logits: (pooler, its parts, the last linear layer)."""
    inside = f"{model.base_model_prefix}."
    outside = [
        (name, module)
        for name, module in model.named_modules()
        if not name.startswith(inside) and (isinstance(module, nn.Linear) or _NORMS.search(type(module).__name__))
    ]
    if not outside or getattr(outside[-1][1], "out_features", None) != model.config.num_labels:
        wanted = "a linear layer to the labels as the last one outside of the base model"
        raise _not_found(kind, wanted, ", ".join(name for name, _ in outside) or "none")
    parts = tuple(name for name, _ in outside[:-1])
    pooler = f"{inside}pooler" if _submodule(model.base_model, "pooler") is not None else None
    if pooler:
        parts = (*_linears(model, pooler), *parts)
    return pooler, parts, outside[-1][0]


def _linears(model: nn.Module, parent: str) -> Iterator[str]:
    """Name the linear layers in a module, itself included."""
    for name, module in model.get_submodule(parent).named_modules():
        if isinstance(module, nn.Linear):
            yield f"{parent}.{name}" if name else parent

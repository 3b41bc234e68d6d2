"""Which family a model is of: a known one, by its type, or one that its structure shows.

What cannot be found is refused with a sentence that says what was looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from unipelt_search.backbones.families import FAMILIES, KNOWN_TYPES, Family, Stack
from unipelt_search.backbones.layers import stack_layers, submodule_of
from unipelt_search.errors import BackboneError


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


def _missing_part(family: Family, model: Any) -> str | None:
    """Describe the first part that a family names and a model lacks."""
    for stack in family.stacks:
        layers = stack_layers(model.base_model, stack)
        if not layers:
            return f"its layers at {stack.layers!r}"
        for name in _part_names(stack):
            if submodule_of(layers[0], name) is None:
                return f"a part {name!r} in the first of {stack.layers!r}"
    outside = (family.head_module, family.pooler, *family.head, *family.pooler_parts)
    for name in filter(None, outside):
        if submodule_of(model, name) is None:
            return f"a part {name!r} in the model"
    if family.embedding_dropout and submodule_of(model.base_model, family.embedding_dropout) is None:
        return f"a part {family.embedding_dropout!r} in the base model"
    return None


def _part_names(stack: Stack) -> Iterator[str]:
    """List the names that every layer of a stack must have."""
    parts = (stack.attention, stack.query, stack.key, stack.value, stack.ffn_in, stack.ffn_out, stack.attention_out)
    for name in (*parts, *stack.dropout):
        if name is not None:
            yield name


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
    kind = model.config.model_type
    if model.config.is_encoder_decoder:
        raise _not_found(kind, "one stack of layers", "an encoder and a decoder")
    layers_name, layers = _discover_layers(kind, model.base_model)
    layer = layers[0]
    attention_name, (query, key, value) = _discover_attention(kind, layer)
    width = _intermediate_size(model.config, kind)
    ffn_in, ffn_out = _discover_feed_forward(kind, layer, attention_name, width)
    pooler, parts, head = _discover_head(kind, model)
    causal = bool(getattr(layer.get_submodule(attention_name), "is_causal", False))
    stack = Stack(
        layers=layers_name,
        attention=attention_name,
        query=query,
        key=key,
        value=value,
        ffn_in=ffn_in,
        ffn_out=ffn_out,
        name="decoder" if causal else "encoder",
    )
    return Family(
        model_types=(kind,),
        stacks=(stack,),
        head=(head,),
        pooler=pooler,
        pooler_parts=parts,
        causal=causal,
    )


def _not_found(kind: str, wanted: str, found: str) -> BackboneError:
    known = ", ".join(KNOWN_TYPES)
    return BackboneError(
        f"--model must be of a known architecture or show its parts by its structure; in type {kind!r} we looked for "
        f"{wanted} and found {found}. Choose another model; known types: {known}."
    )


def _discover_layers(
    kind: str,
    base: nn.Module,
) -> tuple[str, list[nn.Module]]:
    """Find the longest list of modules of one class."""
    lists = []
    for name, module in base.named_modules():
        if isinstance(module, nn.ModuleList) and len(set(map(type, module))) == 1:
            lists.append((name, list(module)))
    longest = max((len(members) for _, members in lists), default=0)
    found = [(name, members) for name, members in lists if len(members) == longest]
    if len(found) != 1:
        raise _not_found(kind, "one longest list of equal layers", _names(found))
    return found[0]


def _names(found: Iterable[tuple[str, object]]) -> str:
    """List the names of parts, for a message."""
    return ", ".join(name for name, _ in found) or "none"


def _discover_attention(kind: str, layer: nn.Module) -> tuple[str, list[str]]:
    """Find the one module of a layer that has a query, a key and a value projection."""
    found = []
    for name, module in layer.named_modules():
        projections = _projection_names(module)
        if projections is not None:
            found.append((name, [f"{name}.{projection}" for projection in projections]))
    if len(found) != 1:
        wanted = "one module with linear layers named like query, key and value (q_proj, k_proj, v_proj; q, k, v; …)"
        raise _not_found(kind, wanted, _names(found))
    return found[0]


def _projection_names(module: nn.Module) -> list[str] | None:
    """Return the names of a module's query, key and value layers; None where it has not one of each."""
    linears = [name for name, part in module.named_children() if isinstance(part, nn.Linear)]
    names = []
    for pattern in _PROJECTIONS.values():
        matches = [name for name in linears if pattern.fullmatch(name)]
        if len(matches) != 1:
            return None
        names.append(matches[0])
    return names


def _intermediate_size(config: Any, kind: str) -> int:
    for name in ("intermediate_size", "ffn_dim", "d_ff", "n_inner", "hidden_dim", "ffn_hidden_size", "d_inner"):
        size = getattr(config, name, None)
        if isinstance(size, int):
            return size
    raise _not_found(kind, "the feed-forward network's width in config.json (intermediate_size, ffn_dim, …)", "none")


def _discover_feed_forward(
    kind: str,
    layer: nn.Module,
    attention: str,
    width: int,
) -> tuple[str, str]:
    """Find the linear layers into and out of the feed-forward network by their shapes."""
    linears: dict[str, nn.Linear] = {}
    for name, module in layer.named_modules():
        if isinstance(module, nn.Linear) and not name.startswith(f"{attention}."):
            linears[name] = module
    outs = [(name, module.out_features) for name, module in linears.items() if module.in_features == width]
    if len(outs) != 1:
        wanted = f"one linear layer from the feed-forward network's width {width} outside of the attention"
        raise _not_found(kind, wanted, _names(outs))
    out, hidden = outs.pop()
    del linears[out]
    for name, module in linears.items():
        # A gated network computes gate and value in one layer of twice the width.
        if module.in_features == hidden and module.out_features in (width, 2 * width):
            return name, out
    raise _not_found(kind, f"a linear layer from {hidden} to the feed-forward network's width {width}", "none")


def _discover_head(kind: str, model: Any) -> tuple[str | None, tuple[str, ...], str]:
    """Find what lies between the token vectors and the logits: (pooler, its parts, the last linear layer)."""
    inside = f"{model.base_model_prefix}."
    outside = [(name, module) for name, module in model.named_modules() if not name.startswith(inside)]
    outside = [(name, module) for name, module in outside if _is_linear_or_norm(module)]
    last = outside[-1][1] if outside else None
    if getattr(last, "out_features", None) != model.config.num_labels:
        wanted = "a linear layer to the labels as the last one outside of the base model"
        raise _not_found(kind, wanted, _names(outside))
    parts = tuple(name for name, _ in outside[:-1])
    pooler = f"{inside}pooler" if submodule_of(model.base_model, "pooler") is not None else None
    if pooler:
        parts = (*_linears(model, pooler), *parts)
    return pooler, parts, outside[-1][0]


def _is_linear_or_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or _NORMS.search(type(module).__name__) is not None


def _linears(model: nn.Module, parent: str) -> Iterator[str]:
    """Name the linear layers in a module, itself included."""
    for name, module in model.get_submodule(parent).named_modules():
        if isinstance(module, nn.Linear):
            yield f"{parent}.{name}" if name else parent

"""Which family a model is of: a known one, by its type, or one that its structure shows.

What cannot be found is refused with a sentence that says what was looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import nn
from transformers.modeling_layers import GenericForSequenceClassification

from unipelt_search.backbones.families import FAMILIES, KNOWN_TYPES, Family, Lack, Stack
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
_LATENT_QUERIES = ("q_b_proj", "q_proj")
_LATENT_VALUES = "kv_b_proj"
_NORMS = re.compile(r"norm", re.IGNORECASE)
_ATTENTIONS = re.compile(r"(self_?)?(attn|attention)", re.IGNORECASE)
_EXPERTS = re.compile(r"experts|router", re.IGNORECASE)
_WIDTHS = ("intermediate_size", "ffn_dim", "d_ff", "n_inner", "hidden_dim", "ffn_hidden_size", "d_inner")
_ATTENTION_PARTS = ("attention", "query", "key", "value")
_FEED_FORWARD_PARTS = ("ffn_in", "ffn_out", "ffn_linear")


@dataclass(frozen=True)
class _Attention:
    """Where the layers of a stack have their attention."""

    module: str
    query: str
    key: str
    value: str
    fused: Literal["latent"] | None = None


@dataclass(frozen=True)
class _FeedForward:
    """Where the layers of a stack have their feed-forward network."""

    inner: str | None
    out: str | None
    experts: str | None


def discover_family(model: Any) -> Family:
    """Find the parts of a model of no known family by its structure; each part that is not found is noted.

    Args:
        model: A sequence classification model.

    Returns:
        Their names, and what is lacking. Dropout sites inside of the base model are not looked for.

    Raises:
        BackboneError: The model has two stacks of layers, or no head that could be told; says what was looked for.
    """
    kind = model.config.model_type
    if model.config.is_encoder_decoder:
        raise _not_found(kind, "one stack of layers", "an encoder and a decoder")
    pooler, parts, head = _discover_head(kind, model)
    lacks: list[Lack] = []
    layers_name, layers = _discover_layers(model.base_model, lacks)
    shapes = _different(layers)
    attention = _discover_attention(shapes, lacks)
    feed_forward = _discover_feed_forward(model.config, shapes, attention, lacks)
    causal = _is_decoder(model, layers, attention)
    stacks: tuple[Stack, ...] = ()
    if layers_name is not None:
        stacks = (_stack(layers_name, attention, feed_forward, causal),)
    return Family(
        model_types=(kind,),
        stacks=stacks,
        head=(head,),
        pooler=pooler,
        pooler_parts=parts,
        causal=causal,
        lacks=tuple(lacks),
    )


def _stack(
    layers: str,
    attention: _Attention | None,
    feed_forward: _FeedForward,
    causal: bool,
) -> Stack:
    """Name the parts of a stack's layers."""
    stack = Stack(
        layers=layers,
        ffn_in=feed_forward.inner,
        ffn_out=feed_forward.out,
        experts=feed_forward.experts,
        name="decoder" if causal else "encoder",
    )
    if attention is None:
        return stack
    return replace(
        stack,
        attention=attention.module,
        query=attention.query,
        key=attention.key,
        value=attention.value,
        fused=attention.fused,
    )


def _is_decoder(
    model: Any,
    layers: Sequence[nn.Module],
    attention: _Attention | None,
) -> bool:
    """Tell whether the architecture's own head reads the last token."""
    if isinstance(model, GenericForSequenceClassification):
        return True
    modules = [submodule_of(layer, attention.module) for layer in layers] if attention is not None else []
    return any(bool(getattr(module, "is_causal", False)) for module in modules)


def _not_found(kind: str, wanted: str, found: str) -> BackboneError:
    known = ", ".join(KNOWN_TYPES)
    return BackboneError(
        f"--model must be of a known architecture or show its parts by its structure; in type {kind!r} we looked for "
        f"{wanted} and found {found}. Choose another model; known types: {known}."
    )


def _lack(parts: Sequence[str], wanted: str, found: str) -> Lack:
    return Lack(tuple(parts), f"we looked for {wanted} and found {found}")


def _discover_layers(base: nn.Module, lacks: list[Lack]) -> tuple[str | None, list[nn.Module]]:
    """Find the longest list of layers that is not itself in a layer."""
    lists: dict[str, list[nn.Module]] = {}
    for name, module in base.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in lists)
        # One member says nothing: ALBERT's groups hold the lists that count.
        if isinstance(module, nn.ModuleList) and len(module) > 0 and not inside and _look_alike(module):
            lists[name] = list(module)
    longest = max((len(members) for members in lists.values()), default=0)
    found = [(name, members) for name, members in lists.items() if len(members) == longest]
    if len(found) != 1:
        parts = (*_ATTENTION_PARTS, *_FEED_FORWARD_PARTS)
        lacks.append(_lack(parts, "one longest list of equal layers", _names(found)))
        return None, []
    return found[0]


def _look_alike(members: nn.ModuleList) -> bool:
    """Tell whether modules are layers of one model: of one class, or of classes from one file, as hybrids have."""
    have_parts = all(list(member.children()) for member in members)
    return have_parts and len({type(member).__module__ for member in members}) == 1


def _different(layers: Sequence[nn.Module]) -> list[nn.Module]:
    """Return one layer of each structure; hybrid models have several."""
    by_structure: dict[tuple[str, ...], nn.Module] = {}
    for layer in layers:
        names = tuple(name for name, _ in layer.named_modules())
        by_structure.setdefault(names, layer)
    return list(by_structure.values())


def _names(found: Iterable[tuple[str, object]]) -> str:
    """List the names of parts, for a message."""
    return ", ".join(name for name, _ in found) or "none"


def _discover_attention(layers: Sequence[nn.Module], lacks: list[Lack]) -> _Attention | None:
    """Find the one module that some layers have with a query, a key and a value projection."""
    found: dict[str, _Attention] = {}
    for layer in layers:
        for name, module in layer.named_modules():
            attention = _attention_at(name, module)
            if attention is not None:
                found[name] = attention
    if len(found) == 1:
        return next(iter(found.values()))
    if layers:
        wanted = "one module with linear layers named like query, key and value (q_proj, k_proj, v_proj; q, k, v; …)"
        lacks.append(_lack(_ATTENTION_PARTS, wanted, _names(found.items())))
    return None


def _attention_at(name: str, module: nn.Module) -> _Attention | None:
    """Name a module's query, key and value layers; None where it has not one of each."""
    linears = [child for child, part in module.named_children() if isinstance(part, nn.Linear)]
    latent = [query for query in _LATENT_QUERIES if query in linears]
    if latent and _LATENT_VALUES in linears:  # multi-head latent attention (DeepSeek)
        values = f"{name}.{_LATENT_VALUES}"
        return _Attention(name, f"{name}.{latent[0]}", values, values, "latent")
    found = [_only_match(pattern, linears) for pattern in _PROJECTIONS.values()]
    names = [f"{name}.{child}" for child in found if child is not None]
    if len(names) < len(_PROJECTIONS):
        return None
    query, key, value = names
    return _Attention(name, query, key, value)


def _only_match(pattern: re.Pattern[str], names: Sequence[str]) -> str | None:
    matches = [name for name in names if pattern.fullmatch(name)]
    return matches[0] if len(matches) == 1 else None


@dataclass
class _Candidates:
    """What may be feed-forward networks in the layers of a stack."""

    outs: list[str] = field(default_factory=list)
    """Linear layers that lead back from the feed-forward network's width, with repetitions."""
    pairs: dict[str, str] = field(default_factory=dict)
    """Those that some layer leads into, with that layer."""
    blocks: dict[str, None] = field(default_factory=dict)
    """Mixtures of experts."""

    def look_through(
        self,
        layer: nn.Module,
        attention: _Attention | None,
        width: int | None,
        hidden: int | None,
    ) -> None:
        """Add those of one layer."""
        block = _experts_of(layer)
        if block is not None:
            self.blocks[block] = None
        linears = _feed_forward_linears(layer, [attention.module if attention else None, block])
        outs = _ways_out(linears, width, hidden)
        self.outs += outs
        self.pairs |= _pairs(linears, outs)

    def is_clear(self, layers: int) -> bool:
        """Tell whether there is one network, one mixture of experts, or one of each, in some number of layers."""
        most = max(len(self.pairs), len(self.blocks))
        return most == 1 and len(self.outs) <= layers


def _discover_feed_forward(
    config: Any,
    layers: Sequence[nn.Module],
    attention: _Attention | None,
    lacks: list[Lack],
) -> _FeedForward:
    """Find the layers into and out of the feed-forward network by their shapes, and the mixtures of experts."""
    width = _intermediate_size(config)
    found = _Candidates()
    for layer in layers:
        found.look_through(layer, attention, width, getattr(config, "hidden_size", None))
    if not layers:
        return _FeedForward(None, None, None)
    if not found.is_clear(len(layers)):
        size = f" {width}" if width else ""
        wanted = f"one linear layer from the feed-forward network's width{size} outside of the attention"
        names = dict.fromkeys([*found.outs, *found.blocks])
        lacks.append(_lack(_FEED_FORWARD_PARTS, wanted, ", ".join(names) or "none"))
        return _FeedForward(None, None, None)
    experts = next(iter(found.blocks), None)
    for out, inner in found.pairs.items():
        return _FeedForward(inner, out, experts)
    sentence = "the feed-forward networks are mixtures of experts, in which every expert has layers of its own"
    lacks.append(Lack(("ffn_linear",), sentence))
    return _FeedForward(None, None, experts)


def _pairs(linears: dict[str, nn.Linear], ways_out: Sequence[str]) -> dict[str, str]:
    """Pair the linear layers out of feed-forward networks with those into them."""
    pairs = {out: _way_in(linears, out) for out in ways_out}
    return {out: inner for out, inner in pairs.items() if inner is not None}


def _intermediate_size(config: Any) -> int | None:
    """Read the feed-forward network's width from a configuration."""
    for name in _WIDTHS:
        size = getattr(config, name, None)
        if isinstance(size, int):
            return size
    return None


def _experts_of(layer: nn.Module) -> str | None:
    """Find a layer's mixture of experts: what holds its experts and their router."""
    for name, _ in layer.named_modules():
        parent, _, own = name.rpartition(".")
        if parent and _EXPERTS.fullmatch(own) and not _ATTENTIONS.search(parent):
            return parent
    return None


def _feed_forward_linears(layer: nn.Module, outside: Iterable[str | None]) -> dict[str, nn.Linear]:
    """Name the linear layers of a layer that are in none of some modules, nor in another mixer of tokens."""
    left_out = [name for name in outside if name]
    left_out += [name for name, _ in layer.named_modules() if _ATTENTIONS.fullmatch(name.rpartition(".")[2])]
    # A state-space or linear-attention mixer has a short convolution over the tokens.
    for name, module in layer.named_modules():
        if any(isinstance(child, nn.Conv1d) for child in module.children()):
            left_out.append(name)
    linears: dict[str, nn.Linear] = {}
    for name, module in layer.named_modules():
        if isinstance(module, nn.Linear) and not any(name.startswith(f"{parent}.") for parent in left_out):
            linears[name] = module
    return linears


def _ways_out(
    linears: dict[str, nn.Linear],
    width: int | None,
    hidden: int | None,
) -> list[str]:
    """Name the linear layers that lead from the feed-forward network's width back to the hidden one."""
    as_said = [name for name, module in linears.items() if module.in_features == width]
    if as_said:
        return as_said
    # Without a width in the configuration (GPT-J): whatever a wider layer leads back from.
    wider = [(name, module) for name, module in linears.items() if module.out_features == hidden]
    return [name for name, module in wider if module.in_features > module.out_features]


def _way_in(linears: dict[str, nn.Linear], out: str) -> str | None:
    """Name the linear layer that leads into the network that another one leads out of."""
    width, hidden = linears[out].in_features, linears[out].out_features
    fitting = []
    for name, module in linears.items():
        # A gated network computes gate and value in one layer of twice the width.
        fits = module.in_features == hidden and module.out_features in (width, 2 * width)
        if fits and name != out:
            fitting.append(name)
    parent = out.rpartition(".")[0]
    nearest = [name for name in fitting if name.rpartition(".")[0] == parent]
    return next(iter([*nearest, *fitting]), None)


def _discover_head(kind: str, model: Any) -> tuple[str | None, tuple[str, ...], str]:
    """Find what lies between the token vectors and the logits: (pooler, its parts, the last linear layer)."""
    inside = f"{model.base_model_prefix}."
    outside = [(name, module) for name, module in model.named_modules() if not name.startswith(inside)]
    outside = [(name, module) for name, module in outside if is_linear_or_norm(module)]
    last = outside[-1][1] if outside else None
    if getattr(last, "out_features", None) != model.config.num_labels:
        wanted = "a linear layer to the labels as the last one outside of the base model"
        raise _not_found(kind, wanted, _names(outside))
    parts = tuple(name for name, _ in outside[:-1])
    pooler = f"{inside}pooler" if submodule_of(model.base_model, "pooler") is not None else None
    if pooler:
        parts = (*_linears(model, pooler), *parts)
    return pooler, parts, outside[-1][0]


def is_linear_or_norm(module: nn.Module) -> bool:
    """Tell whether a module is a linear layer or a norm, as heads and poolers are made of."""
    return isinstance(module, nn.Linear) or is_norm(module)


def is_norm(module: nn.Module) -> bool:
    """Tell whether a module is a norm, by its class; a module with parts may only be named after one."""
    return _NORMS.search(type(module).__name__) is not None and not list(module.children())


def _linears(model: nn.Module, parent: str) -> Iterator[str]:
    """Name the linear layers in a module, itself included."""
    for name, module in model.get_submodule(parent).named_modules():
        if isinstance(module, nn.Linear):
            yield f"{parent}.{name}" if name else parent

"""How the parts of each architecture family are called. A new family is data, not code.

Names are paths as in `named_modules`: `layers`, `embedding_dropout` and `pooler` from the base model, the parts of a
layer from the layer, `head` from the whole model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from unipelt_search.errors import BackboneError


@dataclass(frozen=True)
class Family:
    """The names of one family's parts."""

    model_types: tuple[str, ...]
    """The `model_type` values of transformers' configurations that look like this."""
    layers: str
    """The list of layers."""
    attention: str
    """The module that calls the attention function and whose input the prefix and LoRA gates read."""
    query: str
    key: str
    value: str
    ffn_in: str
    """A linear layer that reads the feed-forward network's input, which the parallel adapter reads too."""
    ffn_out: str
    """The feed-forward network's down-projection, which the adapter acts behind."""
    head: tuple[str, ...]
    """The linear layers of the classification head, in order."""
    head_module: str
    """The module that gets the token vectors; the pooler's successor where there is a pooler."""
    layer_dropout: tuple[str, ...] = ()
    """Dropout modules of a layer."""
    embedding_dropout: str | None = None
    pooler: str | None = None
    """A module from token vectors to one vector, and its linear layer in it."""
    pooler_linear: str | None = None
    causal: bool = False
    """Whether a position sees only the ones before it; pooling is then the last token's."""
    stack: Literal["encoder", "decoder"] = "encoder"


def _like_bert(
    model_types: tuple[str, ...], head: tuple[str, ...], pooler: str | None = None, pooler_linear: str | None = None
) -> Family:
    return Family(
        model_types=model_types,
        layers="encoder.layer",
        attention="attention.self",
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        ffn_in="intermediate.dense",
        ffn_out="output.dense",
        head=head,
        head_module="classifier",
        layer_dropout=("attention.output.dropout", "output.dropout"),
        embedding_dropout="embeddings.dropout",
        pooler=pooler,
        pooler_linear=pooler_linear,
    )


FAMILIES = (
    _like_bert(("bert",), ("classifier",), pooler="pooler", pooler_linear="pooler.dense"),
    _like_bert(("roberta", "xlm-roberta", "camembert"), ("classifier.dense", "classifier.out_proj")),
    Family(
        model_types=("llama", "mistral", "qwen2"),
        layers="layers",
        attention="self_attn",
        query="self_attn.q_proj",
        key="self_attn.k_proj",
        value="self_attn.v_proj",
        ffn_in="mlp.gate_proj",
        ffn_out="mlp.down_proj",
        head=("score",),
        head_module="score",
        causal=True,
        stack="decoder",
    ),
)


def find_family(model_type: str) -> Family:
    """Find the family of an architecture.

    Args:
        model_type: The `model_type` of the backbone's configuration.

    Returns:
        The family's names.

    Raises:
        BackboneError: No family has that type.
    """
    for family in FAMILIES:
        if model_type in family.model_types:
            return family
    known = ", ".join(kind for family in FAMILIES for kind in family.model_types)
    raise BackboneError(f"--model must be of a known architecture; got type {model_type!r}, known: {known}.")


def check_family(family: Family, model: nn.Module, base: nn.Module) -> None:
    """Check that a model has every part that its family names.

    Args:
        family: The names.
        model: The whole model.
        base: The model without its head.

    Raises:
        BackboneError: A part is missing; says which and where it was looked for.
    """
    layers = dict(base.named_modules()).get(family.layers)
    if not isinstance(layers, nn.ModuleList) or not len(layers):
        raise BackboneError(f"--model must have its layers at {family.layers!r}; nothing was found there.")
    wanted = [(layers[0], f"{family.layers}.0", name) for name in (family.attention, family.query, family.key)]
    parts = (family.value, family.ffn_in, family.ffn_out, *family.layer_dropout)
    wanted += [(layers[0], f"{family.layers}.0", name) for name in parts]
    wanted += [(model, "the model", name) for name in (*family.head, family.head_module)]
    wanted += [(base, "the base model", name) for name in (family.embedding_dropout, family.pooler) if name]
    for parent, where, name in wanted:
        if name not in dict(parent.named_modules()):
            raise BackboneError(f"--model must have a part {name!r} in {where}; nothing was found there.")

"""How the parts of each architecture family are called. A new family is data, not code.

Names are paths as in `named_modules`: those of a stack from the base model, those of a layer from the layer, the
head's and the pooler's from the whole model. A model of a type that
is not listed is looked at by its structure (`layers`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

StackName = Literal["encoder", "decoder"]
Fused = Literal["blocks", "heads", "falcon", "latent"]


@dataclass(frozen=True)
class BlockSum:
    """How what a layer hands on comes from the feed-forward output h: ``norm(r + attention + scale · inner_norm(h))``.

    `backbones.block_output` computes it. All names are those of a layer's parts; what is None is not there.
    """

    residual: str
    """The module whose input is the residual r; the empty name is the layer itself."""
    attention: str | None = None
    """Where attention and feed-forward network run side by side: the module whose output is the attention's share."""
    inner_norm: str | None = None
    """A norm between the feed-forward output and the sum."""
    norm: str | None = None
    """A norm of the sum, in a layer that normalises last."""
    scale: str | None = None
    """The layer's attribute that its feed-forward output is multiplied with."""
    dropout: str | None = None
    """The dropout module that the feed-forward output passes on its way to the sum."""


@dataclass(frozen=True)
class Stack:
    """The names of one stack of equal layers and of the parts of a layer."""

    layers: str
    """The list of layers; a `*` stands for every member of a list."""
    attention: str | None = None
    """The self-attention module, whose input the prefix and LoRA gates read; a hybrid's layers have it in part."""
    query: str | None = None
    key: str | None = None
    value: str | None = None
    ffn_in: str | None = None
    """A linear layer that reads the feed-forward network's input."""
    ffn_out: str | None = None
    """The feed-forward network's down-projection; the adapter changes its output."""
    experts: str | None = None
    """A mixture of experts as a whole, in layers that have it in place of that network."""
    name: StackName = "encoder"
    fused: Fused | None = None
    """Query, key and value are one module: one block after the other, or head by head; Falcon's sizes differ in that.
    Latent: keys and values are one module, which reads a compressed token (DeepSeek)."""
    attention_out: str | None = None
    """The projection that reads the attention's output, where a prefix must be spliced in."""
    dropout: tuple[str, ...] = ()
    """Dropout modules of a layer."""
    sums: tuple[BlockSum, ...] = ()
    """What a layer's output may be, by the settings of its configuration. In a loaded backbone it is the one that
    holds, or nothing where none does: an adapter can then not read what the layer would hand on."""


@dataclass(frozen=True)
class Lack:
    """Parts of a layer that a model was searched for in vain."""

    parts: tuple[str, ...]
    """As attributes of `LayerParts`."""
    sentence: str
    """What was looked for and what was found, as half a sentence."""


@dataclass(frozen=True)
class Family:
    """The names of one family's parts."""

    model_types: tuple[str, ...]
    """The `model_type` values of transformers' configurations that look like this."""
    stacks: tuple[Stack, ...]
    """In the order in which they run; layers are counted through."""
    head: tuple[str, ...]
    """The linear layers of the classification head, in order; every run draws them anew."""
    head_module: str | None = None
    """The module from one vector to logits, where it is called apart from the model (encoder-decoders)."""
    starts_with_last: bool = False
    """Whether an encoder-decoder's decoder begins with the last token of the text, not with a token of its own."""
    pooler: str | None = None
    """A module between the token vectors and the head that a checkpoint may have; unused unless pooling is native."""
    pooler_parts: tuple[str, ...] = ()
    """Its linear and norm layers, in order; trained where the checkpoint has none."""
    embedding_dropout: str | None = None
    """A dropout module after the embeddings, from the base model."""
    causal: bool = False
    """Whether it is a decoder: its own head reads the last token. Which way it looks is found out by a pass."""
    position_offset: int = 0
    """Rows of the position table in front of the first position."""
    positions: Literal["from_zero", "after_padding"] | None = None
    """How the model numbers positions: 0, 1, …, or real tokens alone, after the padding token's number. Given where
    `position_ids` moved up by a prefix's length are what PEFT's prefix does there; None where they are not."""
    spliced_prefix: bool = False
    """Whether the attention computes its own softmax, in which a prefix is spliced (see `attention`)."""
    shares_positions: bool = False
    """Whether the attention's projections also run on relative position vectors that all rows share."""
    head_reads_padding: bool = False
    """Whether the architecture's own head depends on padding, so that another pooling must be asked for (XLNet)."""
    idle: tuple[str, ...] = ()
    """Linear and norm layers outside of the stacks that never run (BigBird's pooler); nothing of them is trained."""
    unreached: tuple[str, ...] = ()
    """Modules with a bias that a hook cannot change: they do not run by themselves (Mamba's convolution), or return
    more than a tensor (a router)."""
    lacks: tuple[Lack, ...] = ()
    """The parts of a layer that were looked for by structure and not found."""


def as_decoder(family: Family) -> Family:
    """Return a family as that of a decoder, whose head reads the last token.

    Args:
        family: A family that was found by structure, of a model that was seen to look back alone.

    Returns:
        The same names.
    """
    stacks = tuple(replace(stack, name="decoder") for stack in family.stacks)
    return replace(family, stacks=stacks, causal=True)


_BERT_LAYER = Stack(
    layers="encoder.layer",
    attention="attention.self",
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    ffn_in="intermediate.dense",
    ffn_out="output.dense",
    dropout=("attention.output.dropout", "output.dropout"),
    sums=(BlockSum("intermediate.dense", norm="output.LayerNorm", dropout="output.dropout"),),
)
_LLAMA_LAYER = Stack(
    layers="layers",
    attention="self_attn",
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    ffn_in="mlp.gate_proj",
    ffn_out="mlp.down_proj",
    name="decoder",
    sums=(
        BlockSum("post_attention_layernorm"),
        BlockSum("pre_feedforward_layernorm", inner_norm="post_feedforward_layernorm"),
    ),
)
_TWO_LINEARS = ("classifier.dense", "classifier.out_proj")


def _bart_stack(name: StackName, layers: str) -> Stack:
    return Stack(
        layers=layers, attention="self_attn", query="self_attn.q_proj", key="self_attn.k_proj",
        value="self_attn.v_proj", ffn_in="fc1", ffn_out="fc2", name=name,
        sums=(BlockSum("fc1", norm="final_layer_norm"), BlockSum("final_layer_norm")),
    )  # fmt: skip


def _bloom_stack(fused: Fused, dropout: tuple[str, ...]) -> Stack:
    both = "self_attention.query_key_value"
    return Stack(
        layers="h", attention="self_attention", query=both, key=both, value=both, ffn_in="mlp.dense_h_to_4h",
        ffn_out="mlp.dense_4h_to_h", name="decoder", fused=fused, dropout=dropout,
    )  # fmt: skip


def _t5_stack(name: StackName, feed_forward: int) -> Stack:
    ffn = f"layer.{feed_forward}.DenseReluDense"
    return Stack(
        layers=f"{name}.block", attention="layer.0.SelfAttention", query="layer.0.SelfAttention.q",
        key="layer.0.SelfAttention.k", value="layer.0.SelfAttention.v", ffn_in=f"{ffn}.wi", ffn_out=f"{ffn}.wo",
        name=name, dropout=("layer.0.dropout", f"layer.{feed_forward}.dropout"),
        sums=(BlockSum(f"layer.{feed_forward}.layer_norm", dropout=f"layer.{feed_forward}.dropout"),),
    )  # fmt: skip


def _t5_gated_stack(name: StackName, feed_forward: int) -> Stack:
    plain = _t5_stack(name, feed_forward)
    return _changed(plain, ffn_in=f"{plain.ffn_in}_0")


def _changed(stack: Stack, **changes: Any) -> Stack:
    return Stack(**{**stack.__dict__, **changes})


def _t5_encoder(stack: Stack) -> Family:
    """Return the family of an encoder that was saved without its decoder, with a head of ours (sentence-T5)."""
    return Family(model_types=("t5", "mt5", "umt5"), stacks=(stack,), head=("score",))


FAMILIES = (
    Family(
        model_types=("bert",), stacks=(_BERT_LAYER,), head=("classifier",), pooler="bert.pooler",
        pooler_parts=("bert.pooler.dense",), embedding_dropout="embeddings.dropout", positions="from_zero",
    ),
    Family(
        model_types=("roberta", "xlm-roberta", "camembert"), stacks=(_BERT_LAYER,), head=_TWO_LINEARS,
        embedding_dropout="embeddings.dropout", position_offset=2, positions="after_padding",
    ),
    Family(
        model_types=("electra",), stacks=(_BERT_LAYER,), head=_TWO_LINEARS, embedding_dropout="embeddings.dropout",
        positions="from_zero",
    ),
    Family(
        model_types=("distilbert",),
        stacks=(
            Stack(
                layers="transformer.layer", attention="attention", query="attention.q_lin", key="attention.k_lin",
                value="attention.v_lin", ffn_in="ffn.lin1", ffn_out="ffn.lin2", dropout=("ffn.dropout",),
                sums=(BlockSum("ffn.lin1", norm="output_layer_norm", dropout="ffn.dropout"),),
            ),
        ),
        head=("pre_classifier", "classifier"), embedding_dropout="embeddings.dropout",
    ),
    Family(
        model_types=("albert",),
        stacks=(
            Stack(
                layers="encoder.albert_layer_groups.*.albert_layers", attention="attention", query="attention.query",
                key="attention.key", value="attention.value", ffn_in="ffn", ffn_out="ffn_output",
                dropout=("attention.output_dropout",), sums=(BlockSum("ffn", norm="full_layer_layer_norm"),),
            ),
        ),
        head=("classifier",), pooler="albert.pooler", pooler_parts=("albert.pooler",),
        embedding_dropout="embeddings.dropout",
    ),
    Family(
        model_types=("deberta-v2",),
        stacks=(
            _changed(
                _BERT_LAYER, query="attention.self.query_proj", key="attention.self.key_proj",
                value="attention.self.value_proj", attention_out="attention.output.dense",
            ),
        ),
        head=("classifier",), pooler="pooler", pooler_parts=("pooler.dense",), embedding_dropout="embeddings.dropout",
        spliced_prefix=True, shares_positions=True,
    ),
    Family(
        model_types=("deberta",),
        stacks=(
            _changed(
                _BERT_LAYER, query="attention.self.in_proj", key="attention.self.in_proj",
                value="attention.self.in_proj", fused="heads", attention_out="attention.output.dense",
            ),
        ),
        head=("classifier",), pooler="pooler", pooler_parts=("pooler.dense",), embedding_dropout="embeddings.dropout",
        spliced_prefix=True, shares_positions=True,
    ),
    Family(
        model_types=("mpnet",),
        stacks=(
            _changed(
                _BERT_LAYER, attention="attention.attn", query="attention.attn.q", key="attention.attn.k",
                value="attention.attn.v", attention_out="attention.attn.o",
                dropout=("attention.dropout", "output.dropout"),
            ),
        ),
        head=_TWO_LINEARS, embedding_dropout="embeddings.dropout", position_offset=2, spliced_prefix=True,
    ),
    Family(
        model_types=("modernbert",),
        stacks=(
            Stack(
                layers="layers", attention="attn", query="attn.Wqkv", key="attn.Wqkv", value="attn.Wqkv",
                ffn_in="mlp.Wi", ffn_out="mlp.Wo", fused="blocks", dropout=("attn.out_drop",),
                sums=(BlockSum("mlp_norm"),),
            ),
        ),
        head=("classifier",), pooler="head", pooler_parts=("head.dense", "head.norm"),
        embedding_dropout="embeddings.drop",
    ),
    Family(
        model_types=("t5", "mt5", "umt5"),
        stacks=(_t5_stack("encoder", 1), _t5_stack("decoder", 2)),
        head=("classification_head.dense", "classification_head.out_proj"), head_module="classification_head",
    ),
    Family(
        model_types=("t5", "mt5", "umt5"),
        stacks=(_t5_gated_stack("encoder", 1), _t5_gated_stack("decoder", 2)),
        head=("classification_head.dense", "classification_head.out_proj"), head_module="classification_head",
    ),
    *(_t5_encoder(stack) for stack in (_t5_stack("encoder", 1), _t5_gated_stack("encoder", 1))),
    Family(
        model_types=("bart",),
        stacks=(_bart_stack("encoder", "encoder.layers"), _bart_stack("decoder", "decoder.layers")),
        head=("classification_head.dense", "classification_head.out_proj"), head_module="classification_head",
    ),
    Family(
        model_types=("mbart",),
        stacks=(_bart_stack("encoder", "encoder.layers"), _bart_stack("decoder", "decoder.layers")),
        head=("classification_head.dense", "classification_head.out_proj"), head_module="classification_head",
        starts_with_last=True,
    ),
    Family(
        model_types=("gpt2",),
        stacks=(
            Stack(
                layers="h", attention="attn", query="attn.c_attn", key="attn.c_attn", value="attn.c_attn",
                ffn_in="mlp.c_fc", ffn_out="mlp.c_proj", name="decoder", fused="blocks",
                dropout=("attn.resid_dropout", "mlp.dropout"), sums=(BlockSum("ln_2", dropout="mlp.dropout"),),
            ),
        ),
        head=("score",), embedding_dropout="drop", causal=True, positions="from_zero",
    ),
    Family(
        model_types=("gpt_neox",),
        stacks=(
            Stack(
                layers="layers", attention="attention", query="attention.query_key_value",
                key="attention.query_key_value", value="attention.query_key_value", ffn_in="mlp.dense_h_to_4h",
                ffn_out="mlp.dense_4h_to_h", name="decoder", fused="heads",
                dropout=("post_attention_dropout", "post_mlp_dropout"),
                # Without `use_parallel_residual` the attention's share comes in earlier, and the sum is the same.
                sums=(BlockSum("", attention="post_attention_dropout", dropout="post_mlp_dropout"),),
            ),
        ),
        head=("score",), embedding_dropout="emb_dropout", causal=True, positions="from_zero",
    ),
    Family(
        model_types=("bloom",), stacks=(_bloom_stack("heads", ()),), head=("score",),
        embedding_dropout=None, causal=True,
    ),
    Family(
        model_types=("falcon",), stacks=(_bloom_stack("falcon", ()),), head=("score",), causal=True,
    ),
    Family(
        model_types=("gpt_bigcode",),
        stacks=(
            Stack(
                layers="h", attention="attn", query="attn.c_attn", key="attn.c_attn", value="attn.c_attn",
                ffn_in="mlp.c_fc", ffn_out="mlp.c_proj", name="decoder", fused="falcon",
                dropout=("attn.resid_dropout", "mlp.dropout"),
            ),
        ),
        head=("score",), embedding_dropout="drop", causal=True,
    ),
    Family(
        model_types=("persimmon",),
        stacks=(
            _changed(
                _LLAMA_LAYER, query="self_attn.query_key_value", key="self_attn.query_key_value",
                value="self_attn.query_key_value", ffn_in="mlp.dense_h_to_4h", ffn_out="mlp.dense_4h_to_h",
                fused="heads",
            ),
        ),
        head=("score",), causal=True,
    ),
    Family(
        model_types=("mpt",),
        stacks=(
            Stack(
                layers="blocks", attention="attn", query="attn.Wqkv", key="attn.Wqkv", value="attn.Wqkv",
                ffn_in="ffn.up_proj", ffn_out="ffn.down_proj", name="decoder", fused="blocks",
                dropout=("resid_attn_dropout",),
            ),
        ),
        head=("score",), causal=True,
    ),
    Family(
        model_types=("opt",),
        stacks=(_bart_stack("decoder", "decoder.layers"),),
        head=("score",), causal=True,
        positions="from_zero",
    ),
    Family(
        model_types=("llama", "mistral", "qwen2", "qwen3", "gemma3_text"),
        stacks=(_LLAMA_LAYER,), head=("score",),
        causal=True, positions="from_zero",
    ),
    Family(
        model_types=("phi3",),
        stacks=(
            _changed(
                _LLAMA_LAYER, query="self_attn.qkv_proj", key="self_attn.qkv_proj", value="self_attn.qkv_proj",
                ffn_in="mlp.gate_up_proj", fused="blocks", dropout=("resid_attn_dropout", "resid_mlp_dropout"),
                sums=(BlockSum("post_attention_layernorm", dropout="resid_mlp_dropout"),),
            ),
        ),
        head=("score",), causal=True, positions="from_zero",
    ),
)  # fmt: skip
_ALL_TYPES = [model_type for family in FAMILIES for model_type in family.model_types]
KNOWN_TYPES: tuple[str, ...] = tuple(dict.fromkeys(_ALL_TYPES))

"""Tiny random backbones, inputs and recorders, built in milliseconds without a hub; pytest is not needed for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    AutoConfig,
    PreTrainedTokenizerFast,
)

from unipelt_search.backbones.attention_interface import attention_of, register_attention
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import make_backbone
from unipelt_search.backbones.model_class import choose_class
from unipelt_search.pelt.pack import Pack

WORDS = tuple(f"w{number}" for number in range(60))
"""The vocabulary, four special tokens aside."""
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Make a word-level tokenizer over w0 … w59.

    Returns:
        The tokenizer; padding is token 0.
    """
    vocabulary = {token: number for number, token in enumerate([*_SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def tiny_model(model_type: str, classes: int = 3, **settings: Any) -> Any:
    """Make a random sequence classification model; the same one every time.

    Args:
        model_type: What transformers calls the architecture.
        classes: Outputs of the head.
        settings: Settings of its configuration, in place of the tiny sizes.

    Returns:
        The model, of 2 layers of 32 features unless the settings differ.
    """
    register_attention()
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **{**_SIZES, "num_labels": classes, **settings})
    config.use_cache = False
    choice = choose_class(model_type, config)
    attention = attention_of(choice.model_class, choice.config)
    model: Any = choice.model_class._from_config(choice.config, attn_implementation=attention)
    with torch.no_grad():  # an untrained model's biases are zero and its vectors alike: make them differ
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    return model


def tiny_backbone(
    model_type: str = "bert",
    classes: int = 3,
    pooling: str = "native",
    **settings: Any,
) -> Backbone:
    """Make a backbone of a tiny random model.

    Args:
        model_type: What transformers calls the architecture.
        classes: Outputs of the head.
        pooling: `native`, `mean`, `cls` or `last`.
        settings: As in `tiny_model`.

    Returns:
        The backbone, on the CPU.
    """
    model = tiny_model(model_type, classes, **settings)
    return make_backbone(model_type, model, tiny_tokenizer(), pooling, set(), "cpu")


def tiny_inputs(
    lengths: Sequence[int],
    width: int | None = None,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Make padded random inputs.

    Args:
        lengths: The tokens of each row, B of them.
        width: Columns, T; without it the longest row's.
        seed: Of the tokens.

    Returns:
        `input_ids` and `attention_mask`, ``(B, T)``.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = torch.zeros(len(lengths), width or max(lengths), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(4, 64, (length,), generator=generator)
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask}


@torch.no_grad()
def randomise(pack: Pack, seed: int = 1, *, head: bool = True) -> None:
    """Change every trained tensor of a pack at random, so that what begins at zero acts.

    Args:
        pack: The pack.
        seed: Of the changes; the same for packs with the same parts.
        head: Whether the head's tensors change too.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in pack.parts.named_parameters():
        if head or not name.startswith("head/"):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)


class KeptGates:
    """A recorder that keeps the gates of one pass."""

    contributions = False

    def __init__(self) -> None:
        """Begin empty."""
        self.values: dict[tuple[int, str], Tensor] = {}
        """Gates ``(S·B,)`` by (layer, gate name)."""

    def record(self, kind: str, layer: int, gate: str, values: Tensor) -> None:
        """Keep values ``(S·B,)``."""
        self.values[layer, gate] = values

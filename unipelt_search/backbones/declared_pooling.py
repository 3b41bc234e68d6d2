"""How a model's token vectors become one: as the user asks, or as its checkpoint declares."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import PreTrainedModel
from transformers.utils import cached_file

from unipelt_search.backbones.families import Family
from unipelt_search.backbones.model_class import has_plain_class
from unipelt_search.errors import BackboneError
from unipelt_search.specs.study import BackboneSpec

_DECLARED = (
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_lasttoken", "last"),
)


def choose_pooling(spec: BackboneSpec, path: str) -> str:
    """Choose how to pool: as asked, or with `auto` as the checkpoint declares, or else as the architecture does.

    Args:
        spec: Which backbone, and how to pool.
        path: Its folder or hub name.

    Returns:
        `native`, `mean`, `cls` or `last`.
    """
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


def fitting_pooling(
    name: str,
    model: PreTrainedModel,
    family: Family,
    pooling: str,
    *,
    causal: bool,
) -> str:
    """Check that a pooling fits a model.

    Args:
        name: What to call the model.
        model: The model.
        family: How its parts are called.
        pooling: What was chosen.
        causal: Whether a token's vector depends on no token after it.

    Returns:
        The pooling; `last` for a decoder's native one, whichever way it looks, and `mean` for that of an encoder
        without a head of its own.

    Raises:
        BackboneError: It does not fit.
    """
    if model.config.is_encoder_decoder and pooling != "native":
        raise BackboneError(
            f"backbone.pooling must be auto or native for an encoder-decoder, whose head reads the decoder's last "
            f"token; got {pooling!r} for {name!r}."
        )
    if causal and pooling == "cls":
        raise BackboneError(
            f"backbone.pooling must be auto, native, last or mean for a causal model, whose first token sees no other; "
            f"got 'cls' for {name!r}."
        )
    if pooling != "native":
        return pooling
    if family.causal:
        return "last"
    # A head of ours has no pooling of its own; the mean is what sentence-T5 was trained with.
    return "native" if has_plain_class(model) else "mean"

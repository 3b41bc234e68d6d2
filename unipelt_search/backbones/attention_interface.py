"""The attention function `unipelt` of transformers' attention interface: sdpa, which a layer's extension may change.

It is registered together with a mask function: without one, transformers hands over no padding mask at all. What a
trained method does to the attention is the method's own affair: it hangs an `AttentionExtension` on the module.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "unipelt"
_EXTENSION = "unipelt_extension"


class AttentionExtension(Protocol):
    """What changes the attention of one layer."""

    def attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        **options: Any,
    ) -> Tensor:
        """Attend in place of sdpa; shapes as in `unipelt_attention`."""
        ...


def set_extension(attention: nn.Module, extension: AttentionExtension | None) -> None:
    """Hang an extension on an attention module, or take it off with None.

    Args:
        attention: The backbone's attention module.
        extension: What changes its attention.
    """
    if extension is None:
        attention.__dict__.pop(_EXTENSION, None)
    else:
        # A plain attribute: neither a state dict nor `modules()` sees it.
        object.__setattr__(attention, _EXTENSION, extension)


def unipelt_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend as the layer's extension does, if it has one, else as sdpa does.

    Args:
        module: The backbone's attention module.
        query: ``(S·B, query heads, T, head_width)``.
        key: ``(S·B, key heads, T, head_width)``.
        value: The same shape as ``key``.
        attention_mask: None, or ``(S·B or 1, 1, T, T)``, boolean (True attends) or additive.
        kwargs: What else the backbone passes to its attention function.

    Returns:
        ``(S·B, T, query heads, head_width)``, and no attention weights.
    """
    extension: AttentionExtension | None = module.__dict__.get(_EXTENSION)
    if extension is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return extension.attend(module, query, key, value, attention_mask, **kwargs), None


def register_attention() -> None:
    """Make `unipelt` known to transformers as an attention function with sdpa's masks; repeating it is harmless."""
    AttentionInterface.register(ATTENTION, unipelt_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def attention_of(model_class: Any, config: Any) -> str | None:
    """Choose the attention function of an architecture.

    Args:
        model_class: A transformers model class.
        config: Its configuration.

    Returns:
        `unipelt` where the architecture asks the attention interface and computes what sdpa does, else None for its
        own.
    """
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    usable = model_class._can_set_attn_implementation() and model_class._supports_sdpa and not capped
    return ATTENTION if usable else None

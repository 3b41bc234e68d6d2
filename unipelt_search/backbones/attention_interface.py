"""The attention function `unipelt` of transformers' attention interface: sdpa, which a layer's extension may change.

It is registered together with a mask function: without one, transformers hands over no padding mask at all. What a
trained method does to the attention is the method's own affair: it hangs an `AttentionExtension` on the module.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask

ATTENTION = "unipelt"
EAGER_ATTENTION = "unipelt_eager"
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
    """Attend as the layer's extension does, if it has one, else as the model does.

    Args:
        module: The backbone's attention module.
        query: ``(S·B, query heads, T, head_width)``.
        key: ``(S·B, key heads, T, head_width)``.
        value: The same shape as ``key``.
        attention_mask: None, or ``(S·B or 1, 1, T, T)``, boolean (True attends) or additive.
        kwargs: What else the backbone passes to its attention function.

    Returns:
        ``(S·B, T, query heads, head_width)``, and no attention weights, unless the model's own function has them.
    """
    extension: AttentionExtension | None = module.__dict__.get(_EXTENSION)
    if extension is None:
        return plain_attention(module)(module, query, key, value, attention_mask, **kwargs)
    return extension.attend(module, query, key, value, attention_mask, **kwargs), None


def plain_attention(module: nn.Module) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """Return what an attention module attends with where nothing extends it.

    Args:
        module: The backbone's attention module.

    Returns:
        sdpa, or the architecture's own function where sdpa would compute something else.
    """
    config = getattr(module, "config", None)
    if getattr(config, "_attn_implementation", None) == EAGER_ATTENTION:
        own: Callable[..., tuple[Tensor, Tensor | None]] = _own_attention(type(module))
        return own
    return sdpa_attention_forward


def hides_later_tokens(module: nn.Module, options: Mapping[str, Any]) -> bool:
    """Tell whether an attention without a mask sees only the tokens before a position, as sdpa reads it.

    The module's attribute alone does not say: a decoder that is told to look both ways passes `is_causal` on.

    Args:
        module: The backbone's attention module.
        options: What else the backbone passes to its attention function.

    Returns:
        Whether sdpa would hide later tokens; the architecture's own function hides them by its mask alone.
    """
    if plain_attention(module) is not sdpa_attention_forward:
        return False
    asked = options.get("is_causal")
    return bool(getattr(module, "is_causal", True) if asked is None else asked)


def _own_attention(module_class: type[nn.Module]) -> Any:
    """Return the attention function that an architecture brings along; None where it has none."""
    return getattr(sys.modules[module_class.__module__], "eager_attention_forward", None)


def register_attention() -> None:
    """Make our attention functions known to transformers, with the masks of sdpa; repeating it is harmless."""
    AttentionInterface.register(ATTENTION, unipelt_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    AttentionInterface.register(EAGER_ATTENTION, unipelt_attention)
    AttentionMaskInterface.register(EAGER_ATTENTION, eager_mask)


def attention_of(model_class: Any, config: Any) -> str | None:
    """Choose the attention function of an architecture.

    Args:
        model_class: A transformers model class.
        config: Its configuration.

    Returns:
        `unipelt` where the architecture asks the attention interface and computes what sdpa does, `unipelt_eager`
        where it asks and computes more than sdpa does (attention sinks), else None for its own.
    """
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    if capped or not model_class._can_set_attn_implementation():
        return None
    if model_class._supports_sdpa:
        return ATTENTION
    return EAGER_ATTENTION if _own_attention(model_class) is not None else None

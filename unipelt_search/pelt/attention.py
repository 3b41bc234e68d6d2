"""The attention function `unipelt`: the backbone's own, with a prefix in front where a layer has one.

Registered together with a mask function: without one, transformers hands over no padding mask at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from unipelt_search.pelt.prefix import SlotPrefix
from unipelt_search.pelt.slots import StateHolder

ATTENTION = "unipelt"
_SITE = "pelt_prefix"


@dataclass(frozen=True)
class PrefixSite:
    """A layer's place for a prefix; hangs on the attention module while a pack is attached."""

    prefix: SlotPrefix
    layer: int
    causal: bool
    holder: StateHolder

    def attach(self, attention: nn.Module) -> None:
        """Hang this site on an attention module, as a plain attribute that no state dict sees."""
        object.__setattr__(attention, _SITE, self)

    @staticmethod
    def detach(attention: nn.Module) -> None:
        """Take the site off again."""
        attention.__dict__.pop(_SITE, None)


def unipelt_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, Tensor | None]:
    """Attend over the layer's prefix, if it has one, and its tokens.

    Args:
        module: The backbone's attention module.
        query: ``(S·B, query heads, T, head_width)``.
        key: ``(S·B, key heads, T, head_width)``.
        value: The same shape as ``key``.
        attention_mask: As `SlotPrefix.extend` takes it.
        kwargs: What else the backbone passes to its attention function.

    Returns:
        ``(S·B, T, query heads, head_width)``, and no attention weights.
    """
    site = module.__dict__.get(_SITE)
    if site is None or site.holder.now.is_removed("prefix", site.layer):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    state = site.holder.now
    keys, values, mask = site.prefix.extend(key, value, attention_mask, state, site.layer, site.causal)
    output, _ = sdpa_attention_forward(module, query, keys, values, mask, **{**kwargs, "is_causal": False})
    if state.recorder is not None and state.recorder.contributions:
        without, _ = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        state.record_contribution(site.layer, "prefix", (output - without).flatten(2), output.flatten(2))
    return output, None


def register_attention() -> None:
    """Make `unipelt` known to transformers as an attention function with sdpa's masks; repeating it is harmless."""
    AttentionInterface.register(ATTENTION, unipelt_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)

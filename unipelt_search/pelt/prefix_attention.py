"""Where a prefix meets the backbone's attention.

Most architectures ask transformers' attention interface for their attention function: there the prefix is put in front
of keys and values (`PrefixSite`). An architecture that computes its own softmax gets it spliced into that (`Splice`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from unipelt_search.backbones.attention_interface import hides_later_tokens, plain_attention, set_extension
from unipelt_search.backbones.layers import LayerParts, present
from unipelt_search.pelt.prefix_values import SlotPrefix
from unipelt_search.pelt.slots import ContextHolder

_SOFTMAX = (torch.softmax, functional.softmax, Tensor.softmax)


@dataclass(frozen=True)
class PrefixSite:
    """A layer's place for a prefix; hangs on the attention module while a pack is attached."""

    prefix: SlotPrefix
    layer: LayerParts
    holder: ContextHolder

    def attach(self) -> Self:
        """Hang this site on the attention module."""
        set_extension(present(self.layer.attention), self)
        return self

    def remove(self) -> None:
        """Take the site off again."""
        set_extension(present(self.layer.attention), None)

    def attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        **options: Any,
    ) -> Tensor:
        """Attend over the prefix and the tokens.

        Args:
            module: The backbone's attention module.
            query: ``(S·B, query heads, T, head_width)``.
            key: ``(S·B, key heads, T, head_width)``.
            value: The same shape as ``key``.
            mask: As `SlotPrefix.extend` takes it.
            options: What else the backbone passes to its attention function.

        Returns:
            ``(S·B, T, query heads, head_width)``.
        """
        context = self.holder.context
        plain = plain_attention(module)
        if context.is_removed("prefix", self.layer.number):
            output, _ = plain(module, query, key, value, mask, **options)
            return output
        number = self.layer.number
        causal = mask is None and hides_later_tokens(module, options)
        keys, values, extended_mask = self.prefix.extend(key, value, mask, context, number, causal)
        # sdpa's own causal mask is wrong where there are more keys than queries; ours is in `extended_mask`.
        extended = {**options, "is_causal": False}
        if options.get("position_bias") is not None:  # T5: a prefix has no position, so its bias is 0
            added = keys.shape[2] - key.shape[2]
            extended["position_bias"] = functional.pad(options["position_bias"], (added, 0))
        output, _ = plain(module, query, keys, values, extended_mask, **extended)
        if context.wants_contributions:
            without, _ = plain(module, query, key, value, mask, **options)
            delta = (output - without).flatten(2)
            context.record_contribution(number, "prefix", delta, output.flatten(2))
        return output


class _SoftmaxMode(TorchFunctionMode):
    """Computes the softmax over attention scores in place of torch."""

    def __init__(self, replacement: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.replacement = replacement
        self.calls = 0

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Any = None,
    ) -> Any:
        if func in _SOFTMAX and args[0].dim() == 4:
            self.calls += 1
            return self.replacement(args[0])
        return func(*args, **(kwargs or {}))


class Splice:
    """A prefix in an attention module that computes its own softmax.

    The prefix's scores are put in front of the scores, the softmax runs over both, the module goes on with the tokens'
    share, and the prefix's share of the attention is added where the output projection reads it. A prefix has no
    position, so it takes part in the content scores alone.
    """

    def __init__(self, prefix: SlotPrefix, layer: LayerParts, holder: ContextHolder) -> None:
        """Take what is spliced, and where.

        Args:
            prefix: The prefixes of all layers.
            layer: The layer, with the output projection of its attention.
            holder: Where the pass under way is found.
        """
        self.prefix = prefix
        self.layer = layer
        self.holder = holder
        # DeBERTa divides by the number of its terms too: content, and each kind of relative position.
        self.attention = present(layer.attention)
        kinds = {"c2p", "p2c"} & set(getattr(self.attention, "pos_att_type", ()))
        terms = 1 + len(kinds)
        self.scale = 1.0 / math.sqrt(prefix.shape[3] * terms)
        self.handles: list[RemovableHandle] = []
        self.query: Tensor | None = None
        self.context: Tensor | None = None
        self.share: Tensor | None = None

    def attach(self) -> Self:
        """Wrap the attention module's forward method and hook its query and output projections."""
        self.handles = [present(self.layer.query).register_forward_hook(self._keep_query)]
        self.handles.append(present(self.layer.attention_out).register_forward_pre_hook(self._add_context))
        # On the instance, past nn.Module's registry: the class and other layers keep their own.
        object.__setattr__(self.attention, "forward", self._run)
        return self

    def remove(self) -> None:
        """Take everything off again."""
        for handle in self.handles:
            handle.remove()
        self.attention.__dict__.pop("forward", None)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        forward = type(self.attention).forward
        self._forget()
        if self.holder.context.is_removed("prefix", self.layer.number):
            return forward(self.attention, *args, **kwargs)
        with _SoftmaxMode(self._softmax) as mode:
            result = forward(self.attention, *args, **kwargs)
        if mode.calls != 1:
            raise RuntimeError(f"the attention must compute one softmax over its scores; it computed {mode.calls}")
        return result

    def _keep_query(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        if self.query is None:  # a second call is DeBERTa's projection of relative positions
            self.query = output
        return output

    def _softmax(self, scores: Tensor) -> Tensor:
        """Compute the tokens' attention ``(S·B, heads, T, T)`` beside the prefix, whose context is kept."""
        if self.query is None:
            raise RuntimeError("the attention must project its queries before its softmax")
        key, value, logits = self.prefix.of_rows(self.holder.context, self.layer.number)
        length = key.shape[2]
        bias = getattr(self.attention, "q_bias", None)  # DeBERTa v1 adds its query's bias after the projection
        content = self.query if bias is None else self.query + bias
        by_head = content.unflatten(-1, (key.shape[1], -1))
        query = by_head.transpose(1, 2)  # (S·B, heads, T, head_width)
        front = query @ key.to(query.dtype).transpose(-1, -2) * self.scale
        if logits is not None:
            front = front + logits.to(front.dtype)[:, None]
        shares = torch.cat([front, scores], -1).softmax(-1)
        self.share = shares[..., :length]
        self.context = (self.share @ value.to(query.dtype)).transpose(1, 2)  # (S·B, T, heads, head_width)
        return shares[..., length:]

    def _add_context(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
    ) -> tuple[Tensor, ...]:
        if self.context is None or self.share is None:
            return args
        tokens = args[0]
        context = self.context.flatten(2)
        state = self.holder.context
        if state.wants_contributions:
            # The tokens' shares add up to 1 - share: scaled up to 1, they are the attention without the prefix.
            rest = (1 - self.share.sum(-1)).clamp(min=1e-6)
            rest = rest.transpose(1, 2)[..., None]  # (S·B, T, heads, 1)
            by_head = tokens.unflatten(-1, (rest.shape[2], -1))
            without = (by_head / rest).flatten(2)
            state.record_contribution(self.layer.number, "prefix", tokens + context - without, tokens + context)
        self._forget()
        return (tokens + context, *args[1:])

    def _forget(self) -> None:
        """Drop what one pass through the attention has kept, so that none of its memory outlives it."""
        self.query = None
        self.context = None
        self.share = None

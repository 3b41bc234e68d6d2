"""The classification head: the architecture's own linear layers, newly drawn for every run, one set per slot.

With native pooling the architecture's head runs as it is and only its newly drawn layers are replaced; with any other
pooling the token vectors are pooled here and one linear layer follows. A causal model's native pooling is the last real
token, found by the mask; an encoder-decoder's head reads the decoder's last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.families import Family
from unipelt_search.pelt.dropout import site_key
from unipelt_search.pelt.slots import (
    ContextHolder,
    PackSlots,
    SlotPart,
    add_per_slot,
    normal,
    ones,
    slot_matmul,
    slot_parameter,
    zeros,
)
from unipelt_search.specs.pooling import modes_of

POOLED = "pooled"


def unused_modules(backbone: Backbone) -> tuple[str, ...]:
    """Name what does not take part as the checkpoint has it: newly drawn, skipped by the pooling, or never run.

    Args:
        backbone: The backbone.

    Returns:
        Names in the model; whatever is inside of them is meant too.
    """
    family = backbone.family
    if backbone.pooling == "native":
        return (*backbone.new_modules, *family.idle)
    return tuple(name for name in (*family.head, family.pooler, *family.pooler_parts, *family.idle) if name)


def is_inside(name: str, parents: Sequence[str]) -> bool:
    """Tell whether a name in a model is one of some modules, or of something in them."""
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def reads_types(config: Any) -> bool:
    """Tell whether a model of a configuration reads token types as tokenizers number them.

    Others ignore token types, number them from 1 (RoBERTa) or look them up among the words (GPT-2).
    """
    return (getattr(config, "type_vocab_size", None) or 0) > 1


class SlotLinear(SlotPart):
    """A linear layer of the head with dropout on its input, for every slot of a pack."""

    def __init__(
        self,
        name: str,
        shape: tuple[int, int],
        bias: bool,
        std: float,
        slots: PackSlots,
    ) -> None:
        """Draw the weights as the architecture does.

        Args:
            name: The layer's name.
            shape: (out, in) features.
            bias: Whether it has a bias.
            std: Standard deviation of the weights.
            slots: The pack's runs.
        """
        super().__init__()
        self.holder = slots.holder
        self.site = site_key(f"head.{name}")
        seeds = slots.seeds
        shapes = [shape] * len(seeds)
        self.weight = slot_parameter(seeds, f"head.{name}.weight", shape, shapes, normal(std))
        self.bias = None
        if bias:
            width = shape[:1]
            self.bias = slot_parameter(seeds, f"head.{name}.bias", width, [width] * len(seeds), zeros)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(S·B, in)`` or ``(S·B, T, in)`` to the same with ``out`` features."""
        dropout = self.holder.context.dropout
        if dropout is not None:
            x = dropout.drop(x, self.site)
        result = slot_matmul(x, self.weight)
        return result if self.bias is None else add_per_slot(result, self.bias)

    def hook(
        self,
        module: nn.Module,
        args: tuple[Tensor, ...],
        output: Tensor,
    ) -> Tensor:
        """Compute in place of the architecture's own linear layer."""
        return self(args[0])

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return one slot's tensors."""
        tensors = {"weight": self.weight[slot]}
        return tensors if self.bias is None else {**tensors, "bias": self.bias[slot]}


class SlotNorm(SlotPart):
    """Scale and shift of a newly drawn layer norm of the head, for every slot of a pack."""

    def __init__(
        self,
        name: str,
        width: int,
        bias: bool,
        seeds: Sequence[int],
    ) -> None:
        """Start at scale 1 and shift 0.

        Args:
            name: The norm's name.
            width: Features, D.
            bias: Whether it shifts.
            seeds: Each slot's initialisation seed.
        """
        super().__init__()
        shapes = [(width,)] * len(seeds)
        self.weight = slot_parameter(seeds, f"head.{name}.weight", (width,), shapes, ones)
        self.bias = slot_parameter(seeds, f"head.{name}.bias", (width,), shapes, zeros) if bias else None

    def hook(self, module: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Compute in place of the architecture's own norm ``(S·B, D)``."""
        x = functional.layer_norm(args[0], module.normalized_shape, eps=module.eps)
        rows = x.shape[0] // self.weight.shape[0]
        scaled = x * self.weight.repeat_interleave(rows, 0)
        return scaled if self.bias is None else add_per_slot(scaled, self.bias)

    def slot_state_dict(self, slot: int) -> dict[str, Tensor]:
        """Return one slot's tensors."""
        tensors = {"weight": self.weight[slot]}
        return tensors if self.bias is None else {**tensors, "bias": self.bias[slot]}


def pool(hidden: Tensor, tokens: Tensor, pooling: str) -> Tensor:
    """Make one vector of an example's token vectors.

    Args:
        hidden: ``(S·B, T, D)``.
        tokens: ``(S·B, T)``, 1 for a real token.
        pooling: Which modes of `specs.pooling`; the vectors of several are joined.

    Returns:
        ``(S·B, D)``, with M modes ``(S·B, M·D)``.
    """
    vectors = [_POOLS[mode](hidden, tokens) for mode in modes_of(pooling)]
    return vectors[0] if len(vectors) == 1 else torch.cat(vectors, -1)


def _mean(hidden: Tensor, tokens: Tensor) -> Tensor:
    mask = tokens.to(hidden.dtype)[:, :, None]
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)


def _mean_sqrt_length(hidden: Tensor, tokens: Tensor) -> Tensor:
    mask = tokens.to(hidden.dtype)[:, :, None]
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1).sqrt()


def _weighted_mean(hidden: Tensor, tokens: Tensor) -> Tensor:
    """Let the n-th real token count n times (SGPT, Muennighoff 2022, section 3)."""
    mask = tokens.to(hidden.dtype)[:, :, None]
    weights = mask.cumsum(1) * mask
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def _max(hidden: Tensor, tokens: Tensor) -> Tensor:
    padding = tokens[:, :, None] == 0
    return hidden.masked_fill(padding, float("-inf")).max(1).values


def _cls(hidden: Tensor, tokens: Tensor) -> Tensor:
    """Take the first real token."""
    return _token(hidden, tokens.argmax(1))


def _last(hidden: Tensor, tokens: Tensor) -> Tensor:
    """Take the last real token."""
    return _token(hidden, tokens.shape[1] - 1 - tokens.flip(1).argmax(1))


def _token(hidden: Tensor, position: Tensor) -> Tensor:
    return hidden.take_along_dim(position[:, None, None], 1)[:, 0]


_POOLS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "cls": _cls,
    "last": _last,
    "max": _max,
    "weighted_mean": _weighted_mean,
    "mean_sqrt_length": _mean_sqrt_length,
}
"""What computes each of `specs.pooling.MODES`."""


class Head:
    """Computes a backbone's logits with the parts that are attached to it."""

    def __init__(
        self, model: Any, family: Family, pooling: str, linear: SlotLinear | None, holder: ContextHolder
    ) -> None:
        """Take what the logits are made of.

        Args:
            model: The backbone's model, or the copy that is trained whole.
            family: How its parts are called.
            pooling: `native`, or a pooling of `specs.pooling`.
            linear: The layer that follows the pooling; None where the architecture's own head does.
            holder: Where the pass under way is found.
        """
        self.model = model
        self.family = family
        self.pooling = pooling
        self.linear = linear
        self.holder = holder
        self.reads_types = reads_types(model.config)

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        """Compute logits ``(S·B, classes)`` of inputs ``(S·B, T)``."""
        if not self.reads_types:
            inputs = {name: tensor for name, tensor in inputs.items() if name != "token_type_ids"}
        encodes_decodes = self.model.config.is_encoder_decoder
        if self.linear is None and not encodes_decodes:
            logits: Tensor = self.model(**inputs).logits
            return logits
        if encodes_decodes:
            inputs = {**inputs, "decoder_input_ids": self._shifted(inputs["input_ids"])}
        hidden = self.model.base_model(**inputs).last_hidden_state
        # An encoder-decoder's own head reads the last end token; ours the last real one, which needs no end token.
        pooling = "last" if self.pooling == "native" else self.pooling
        pooled = pool(hidden, self.holder.context.tokens, pooling)
        if self.linear is not None:
            return self.linear(pooled)
        output: Tensor = self.model.get_submodule(self.family.head_module)(pooled)
        return output

    def _shifted(self, ids: Tensor) -> Tensor:
        """Give the decoder the same tokens ``(S·B, T)``, one later, after its first token."""
        if self.family.starts_with_last:
            last = self.holder.context.tokens.sum(1, keepdim=True) - 1
            start = ids.gather(1, last.long())
        else:
            config = self.model.config
            token = config.pad_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
            start = ids.new_full((ids.shape[0], 1), token)
        return torch.cat([start, ids[:, :-1]], 1)

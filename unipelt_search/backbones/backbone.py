"""A pretrained transformer, unmodified and frozen, as packs attach to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unipelt_search.backbones.families import Family
from unipelt_search.backbones.layers import window_of
from unipelt_search.records.notice import Notice

_NO_LIMIT = 10**6
"""Positions of a model that counts them relatively."""


@dataclass(frozen=True)
class Backbone:
    """A frozen pretrained transformer, ready for packs to attach to."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    family: Family
    pooling: str
    """`native`, or a name of `specs.pooling`: `mean`, `cls+max`."""
    classes: int
    new_modules: tuple[str, ...]
    """Layers of the head that are newly drawn, in the order in which they run; every method trains them."""
    causal: bool
    """Whether a token's vector depends on no token after it, as a pass through the model has shown."""
    notices: tuple[Notice, ...] = ()
    """What a user should know about it."""
    is_part: bool = False
    """Whether it is the text part of a checkpoint that has other parts too."""

    @property
    def base(self) -> nn.Module:
        """The model without its head."""
        return self.model.base_model

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def has_block_output(self) -> bool:
        """Whether what a layer would hand on without an adapter is known, as ``adapter.input: normalised`` needs."""
        return all(stack.sums for stack in self.family.stacks)

    @property
    def max_positions(self) -> int:
        """Positions that tokens can take."""
        config = self.model.config
        max_positions = getattr(config, "max_position_embeddings", None) or _NO_LIMIT
        if max_positions < 0:  # XLNet says so that it has no limit
            max_positions = _NO_LIMIT
        offset = self.family.position_offset
        if offset:  # RoBERTa counts its positions from padding_idx + 1
            return int(max_positions - max(offset, (config.pad_token_id or 0) + 1))
        return int(max_positions - self._first_position)

    @property
    def _first_position(self) -> int:
        """Rows in front of the first position, in the table of a model that was found by structure."""
        for name, module in self.base.named_modules():
            padding = getattr(module, "padding_idx", None)
            # A table that knows padding is counted as RoBERTa's is.
            if name.endswith("position_embeddings") and isinstance(padding, int):
                return padding + 1
        return 0

    @property
    def max_length(self) -> int:
        """Tokens that an example may have, by the model's positions and the tokenizer."""
        return min(self.max_positions, int(self.tokenizer.model_max_length))

    def in_windows(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Pad rows as the model would by itself, so that what hangs on it knows the padding.

        Args:
            inputs: ``(S·B, T)``, `input_ids`, `attention_mask` and perhaps more.

        Returns:
            The same, or ``(S·B, T')`` for a model that pads to a multiple of its attention's window (Longformer).
        """
        window = window_of(self.model.config)
        missing = -inputs["input_ids"].shape[1] % window
        if not missing:
            return inputs
        fillers = {"input_ids": self.model.config.pad_token_id or 0}
        return {
            name: functional.pad(tensor, (0, missing), value=fillers.get(name, 0)) for name, tensor in inputs.items()
        }

    def positions_of(self, ids: Tensor, shifts: Tensor) -> Tensor:
        """Number the positions of tokens as the model does when it is told nothing, moved up.

        Args:
            ids: ``(S·B, T)``; the family says how positions are numbered.
            shifts: Positions that each row's tokens are moved up by, ``(S·B,)``.

        Returns:
            ``(S·B, T)``.
        """
        if self.family.positions == "after_padding":
            padding = self.model.config.pad_token_id
            real = ids.ne(padding)
            return (real.cumsum(1) + shifts[:, None]) * real + padding
        return torch.arange(ids.shape[1], device=ids.device) + shifts[:, None]


def backbone_hash(backbone: Backbone) -> str:
    """Hash the weights that a backbone brings along; whatever is newly drawn for every run is left out.

    Args:
        backbone: The backbone.

    Returns:
        SHA-256 over names, types, shapes and numbers, 64 hexadecimal digits.
    """
    prefix = f"{backbone.model.base_model_prefix}."
    unused = [name.removeprefix(prefix) for name in backbone.new_modules]
    if backbone.family.pooler and backbone.pooling != "native":
        unused.append(backbone.family.pooler.removeprefix(prefix))
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.base.state_dict().items()):
        if any(name.startswith(f"{part}.") for part in unused):
            continue
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        numbers = tensor.detach().cpu().reshape(-1)
        digest.update(numbers.view(torch.uint8).numpy().data)
    return digest.hexdigest()

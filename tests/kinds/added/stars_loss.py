"""The loss of a row on ordered levels: a binary cross-entropy for every level but the first."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from unipelt_search.kinds.label_kind import Target


def make_loss(target: Target, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the mean over levels, from logits ``(S, B, levels - 1)`` and labels ``(S, B)`` to ``(S, B)``."""
    levels = torch.arange(1, len(target.labels), device=device)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        reached = (labels[..., None] >= levels).to(logits.dtype)  # (S, B, levels - 1)
        return functional.binary_cross_entropy_with_logits(logits, reached, reduction="none").mean(-1)

    return loss

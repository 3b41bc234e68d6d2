"""The loss of a row that has a number."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from unipelt_search.kinds.label_kind import Target


def make_loss(target: Target, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the squared error of every row's standardised number.

    Args:
        target: What is predicted.
        device: Where the logits will be; nothing is put there.

    Returns:
        A function of logits ``(S, B, 1)`` and labels ``(S, B)`` to losses ``(S, B)``.
    """

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        # Standardised in the labels' float64 first: float32 would lose the differences of large numbers.
        wanted = ((labels - target.mean) / target.sd).to(logits.dtype)
        return functional.mse_loss(logits[..., 0], wanted, reduction="none")

    return loss

"""The loss of a row that has any number of labels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from unipelt_search.kinds.label_kind import Target


def make_loss(target: Target, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the mean over labels of the binary cross-entropy, times a label's weight where it is present.

    Args:
        target: What is predicted.
        device: Where the logits will be.

    Returns:
        A function of logits ``(S, B, L)`` and labels ``(S, B, L)`` of 0 and 1 to losses ``(S, B)``.
    """
    weights = torch.tensor(target.weights, device=device) if target.weights else None

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        losses = functional.binary_cross_entropy_with_logits(
            logits, labels.to(logits.dtype), pos_weight=weights, reduction="none"
        )
        return losses.mean(-1)

    return loss

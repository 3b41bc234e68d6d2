"""The loss of a row that has one of several classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from unipelt_search.kinds.label_kind import Target


def make_loss(target: Target, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the cross-entropy of every row, times the weight of its class.

    Args:
        target: What is predicted.
        device: Where the logits will be.

    Returns:
        A function of logits ``(S, B, classes)`` and labels ``(S, B)`` to losses ``(S, B)``.
    """
    weights = torch.tensor(target.weights, device=device) if target.weights else None

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        # torch's cross-entropy has its classes in the second dimension, so the slots are laid end to end.
        losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), weight=weights, reduction="none")
        return losses.view(labels.shape)

    return loss

"""What a run minimises: each row's loss, whatever kind of label it has."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unipelt_search.tasks.target import Target


class Objective:
    """The loss of every row of a pack; a slot's loss is the mean over its own real rows."""

    def __init__(self, target: Target, device: torch.device) -> None:
        """Put the weights where the logits will be.

        Args:
            target: What is predicted.
            device: Where the logits are.
        """
        self.target = target
        self.weights = torch.tensor(target.weights, device=device) if target.weights else None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of every row.

        Cross-entropy for classes, times the class's weight; the squared error of the standardised number for
        regression; for sets of labels the mean over labels of the binary cross-entropy, times the label's weight where
        it is present.

        Args:
            logits: ``(S, B, outputs)``.
            labels: ``(S, B)``, or ``(S, B, labels)`` of 0 and 1.

        Returns:
            ``(S, B)``.
        """
        if self.target.kind == "regression":
            wanted = ((labels - self.target.mean) / self.target.sd).to(logits.dtype)
            return functional.mse_loss(logits[..., 0], wanted, reduction="none")
        if self.target.kind == "multi_label":
            losses = functional.binary_cross_entropy_with_logits(
                logits, labels.to(logits.dtype), pos_weight=self.weights, reduction="none"
            )
            return losses.mean(-1)
        losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), weight=self.weights, reduction="none")
        return losses.view(labels.shape)

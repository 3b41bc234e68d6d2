"""What a run minimises: each row's loss, whatever kind of label it has; and the gradient of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unipelt_search.pelt.pack import Pack
from unipelt_search.tasks.encode import EncodedTask
from unipelt_search.tasks.target import Target
from unipelt_search.training.batches import make_batch


@dataclass(frozen=True)
class Descent:
    """What the passes of one step saw."""

    losses: list[float]
    """Of every slot, the mean over its rows."""
    positions: int
    """Token positions, padding included."""
    tokens: int
    """Real tokens."""


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
        losses = functional.cross_entropy(
            logits.flatten(0, 1),
            labels.flatten(),
            weight=self.weights,
            reduction="none",
        )
        return losses.view(labels.shape)

    def descend(
        self,
        pack: Pack,
        task: EncodedTask,
        rows: Sequence[np.ndarray],
        steps: Sequence[int],
        micro_batch: int | None,
    ) -> Descent:
        """Add up the gradient of every slot's loss over the rows of one step.

        Args:
            pack: The attached pack, whose gradients are empty.
            task: The encoded task.
            rows: Each slot's training rows.
            steps: Each slot's own step, counted from 0.
            micro_batch: Rows of a slot that one pass takes at most; None is all. Which they are changes no gradient,
                but for the order of its sums.

        Returns:
            The losses, and how much was padding.
        """
        height = max(len(numbers) for numbers in rows)
        width = micro_batch or height
        losses, positions, tokens = np.zeros(len(rows)), 0, 0
        for start in range(0, height, width):
            part = [numbers[start : start + width] for numbers in rows]
            batch = make_batch(task.train, part, task.pad_token_id, pack.backbone.device)
            logits = pack(batch.inputs, steps=steps, first_row=start)  # (S, B, outputs)
            by_slot = (self(logits, batch.labels) * batch.weights).sum(1)  # (S,)
            if width < height:  # the mean of a part counts by its share of the rows
                shares = [len(own) / max(len(numbers), 1) for own, numbers in zip(part, rows, strict=True)]
                by_slot = by_slot * torch.tensor(shares, device=by_slot.device)
            by_slot.sum().backward()
            losses += by_slot.detach().cpu().numpy()
            positions += batch.positions
            tokens += batch.tokens
        return Descent(losses.tolist(), positions, tokens)

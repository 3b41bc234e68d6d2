"""What a run minimises: each row's loss, whatever kind of label it has; and the gradient of a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from unipelt_search.kinds.label_kind import Target
from unipelt_search.pelt.pack import Pack
from unipelt_search.tasks.encode import EncodedTask
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
    """The loss of every row of a pack; a slot's loss is the mean over its own real rows, each times its weight."""

    def __init__(self, target: Target, device: torch.device) -> None:
        """Load the torch half of the target's kind.

        Args:
            target: What is predicted.
            device: Where the logits are.
        """
        # Named as a string, because the kinds themselves are read where there is no torch.
        module = import_module(target.label_kind.loss)
        self._loss: Callable[[Tensor, Tensor], Tensor] = module.make_loss(target, device)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of every row.

        Args:
            logits: ``(S, B, outputs)``.
            labels: ``(S, B)``, or ``(S, B, labels)`` of 0 and 1.

        Returns:
            ``(S, B)``.
        """
        return self._loss(logits, labels)

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
        losses = np.zeros(len(rows))
        positions = 0
        tokens = 0
        for start in range(0, height, width):
            part = [numbers[start : start + width] for numbers in rows]
            batch = make_batch(task.train, part, task.pad_token_id, pack.backbone.device)
            logits = pack(batch.inputs, steps=steps, first_row=start)  # (S, B, outputs)
            by_slot = (self(logits, batch.labels) * batch.weights).sum(1)  # (S,)
            if width < height:
                # `batch.weights` made it the mean over the rows of this pass, which counts by its share of the step.
                shares = [len(own) / max(len(numbers), 1) for own, numbers in zip(part, rows, strict=True)]
                by_slot = by_slot * torch.tensor(shares, device=by_slot.device)
            by_slot.sum().backward()
            losses += by_slot.detach().cpu().numpy()
            positions += batch.positions
            tokens += batch.tokens
        return Descent(losses.tolist(), positions, tokens)

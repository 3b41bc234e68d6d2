"""AdamW with one learning rate, schedule, weight decay, clipping and state per slot.

Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019; the numbers are those of
`torch.optim.AdamW` and `torch.nn.utils.clip_grad_norm_` for each slot alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.pelt.pack import TrainedTensor

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def learning_rate(training: TrainingSpec, step: int) -> float:
    """Return the learning rate of a step.

    Args:
        training: The schedule.
        step: The run's own step, counted from 0.

    Returns:
        The highest rate times the schedule's factor in (0, 1].
    """
    warmup = math.ceil(training.warmup_share * training.steps)
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    left = (training.steps - step) / max(training.steps - warmup, 1)
    if training.schedule == "constant":
        return training.learning_rate
    if training.schedule == "cosine":
        return training.learning_rate * 0.5 * (1 + math.cos(math.pi * (1 - left)))
    return training.learning_rate * left


class SlotAdamW:
    """AdamW over a pack's tensors; each slot is updated as if it were alone."""

    def __init__(self, tensors: Sequence[TrainedTensor], trainings: Sequence[TrainingSpec]) -> None:
        """Begin with empty moments.

        Args:
            tensors: What is trained.
            trainings: Each slot's settings.
        """
        self.tensors, self.trainings = list(tensors), list(trainings)
        self.steps = [0] * len(self.trainings)
        self._first = [torch.zeros_like(tensor.parameter) for tensor in self.tensors]
        self._second = [torch.zeros_like(tensor.parameter) for tensor in self.tensors]

    @torch.no_grad()
    def step(self, active: Sequence[bool]) -> None:
        """Update the tensors of the active slots from their gradients, and clear the gradients.

        Args:
            active: For each slot whether it takes part; the others keep their tensors, moments and step.
        """
        device = self.tensors[0].parameter.device
        taking = torch.tensor(list(active), device=device)
        for slot, is_active in enumerate(active):
            self.steps[slot] += is_active
        rates = [
            learning_rate(t, n - 1) if a else 0.0 for t, n, a in zip(self.trainings, self.steps, active, strict=True)
        ]
        rate = torch.tensor(rates, device=device)
        decay = rate * torch.tensor([t.weight_decay for t in self.trainings], device=device)
        counts = [max(n, 1) for n in self.steps]
        size = rate / torch.tensor([1 - BETA_1**n for n in counts], device=device)
        root = torch.tensor([math.sqrt(1 - BETA_2**n) for n in counts], device=device)
        shrink = self._clipping(taking)
        for tensor, first, second in zip(self.tensors, self._first, self._second, strict=True):
            if tensor.parameter.grad is None:
                continue
            values, grad = tensor.by_slot(tensor.parameter), tensor.by_slot(tensor.parameter.grad)
            one = [len(self.trainings)] + [1] * (grad.dim() - 1)
            grad.mul_(shrink.view(one))
            mean, square = tensor.by_slot(first), tensor.by_slot(second)
            if all(active):
                mean.lerp_(grad, 1 - BETA_1)
                square.mul_(BETA_2).addcmul_(grad, grad, value=1 - BETA_2)
            else:
                moving = taking.view(one)
                mean.copy_(torch.where(moving, mean.lerp(grad, 1 - BETA_1), mean))
                square.copy_(torch.where(moving, square * BETA_2 + grad * grad * (1 - BETA_2), square))
            if tensor.decays:
                values.mul_(1 - decay.view(one))
            values.sub_(size.view(one) * mean / (square.sqrt() / root.view(one)).add_(EPSILON))
            tensor.parameter.grad = None

    def moments(self, slot: int) -> tuple[list[Tensor], list[Tensor]]:
        """View one slot's first and second moments, in the order of the tensors."""
        first, second = (
            [tensor.by_slot(moment)[slot] for tensor, moment in zip(self.tensors, moments, strict=True)]
            for moments in (self._first, self._second)
        )
        return first, second

    @torch.no_grad()
    def go_on(self, slot: int, step: int, first: Sequence[Tensor], second: Sequence[Tensor]) -> None:
        """Put one slot where it was.

        Args:
            slot: Which one.
            step: Steps that it has taken.
            first: Its first moments, in the order of the tensors.
            second: Its second moments.
        """
        self.steps[slot] = step
        for own, kept in zip(self.moments(slot), (first, second), strict=True):
            for moment, values in zip(own, kept, strict=True):
                moment.copy_(values)

    def _clipping(self, taking: Tensor) -> Tensor:
        """Return what each slot's gradient is multiplied with, ``(S,)``, and clear those of slots that rest."""
        total = torch.zeros(len(self.trainings), device=taking.device)
        resting = ~taking
        for tensor in self.tensors:
            if tensor.parameter.grad is None:
                continue
            grad = tensor.by_slot(tensor.parameter.grad)
            if bool(resting.any()):
                grad[resting] = 0
            total += grad.flatten(1).square().sum(1) if grad.dim() > 1 else grad.square()
        limits = torch.tensor([t.clip_norm for t in self.trainings], device=taking.device)
        return (limits / (total.sqrt() + 1e-6)).clamp(max=1.0)

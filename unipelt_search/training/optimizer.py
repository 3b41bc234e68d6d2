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
        rate = torch.tensor(self._rates(active), device=device)
        decay = rate * torch.tensor([t.weight_decay for t in self.trainings], device=device)
        counts = [max(step, 1) for step in self.steps]
        # The moments begin at 0; these take their bias off, as Kingma and Ba (2015) do.
        size = rate / torch.tensor([1 - BETA_1**count for count in counts], device=device)
        roots = [math.sqrt(1 - BETA_2**count) for count in counts]
        root = torch.tensor(roots, device=device)
        shrink = self._clipping(taking)
        for number, tensor in enumerate(self.tensors):
            if tensor.parameter.grad is None:
                continue
            values = tensor.by_slot(tensor.parameter)
            grad = tensor.by_slot(tensor.parameter.grad)
            mean = tensor.by_slot(self._first[number])
            square = tensor.by_slot(self._second[number])
            one = [len(self.trainings)] + [1] * (grad.dim() - 1)  # broadcasts (S,) over a slot's numbers
            grad.mul_(shrink.view(one))
            if all(active):
                mean.lerp_(grad, 1 - BETA_1)
                square.mul_(BETA_2).addcmul_(grad, grad, value=1 - BETA_2)
            else:
                moving = taking.view(one)
                moved = square * BETA_2 + grad * grad * (1 - BETA_2)
                mean.copy_(torch.where(moving, mean.lerp(grad, 1 - BETA_1), mean))
                square.copy_(torch.where(moving, moved, square))
            if tensor.decays:
                values.mul_(1 - decay.view(one))
            spread = (square.sqrt() / root.view(one)).add_(EPSILON)
            values.sub_(size.view(one) * mean / spread)
            tensor.parameter.grad = None

    def moments(self, slot: int) -> tuple[list[Tensor], list[Tensor]]:
        """View one slot's first and second moments, in the order of the tensors."""
        return self._of_slot(self._first, slot), self._of_slot(self._second, slot)

    @torch.no_grad()
    def go_on(
        self,
        slot: int,
        step: int,
        first: Sequence[Tensor],
        second: Sequence[Tensor],
    ) -> None:
        """Put one slot where it was.

        Args:
            slot: Which one.
            step: Steps that it has taken.
            first: Its first moments, in the order of the tensors.
            second: Its second moments.
        """
        self.steps[slot] = step
        own_first, own_second = self.moments(slot)
        for moment, values in zip(own_first, first, strict=True):
            moment.copy_(values)
        for moment, values in zip(own_second, second, strict=True):
            moment.copy_(values)

    def _of_slot(self, moments: Sequence[Tensor], slot: int) -> list[Tensor]:
        return [tensor.by_slot(moment)[slot] for tensor, moment in zip(self.tensors, moments, strict=True)]

    def _rates(self, active: Sequence[bool]) -> list[float]:
        """Return each slot's learning rate of the step that is being taken; 0 where it takes none."""
        rates = []
        for training, step, is_active in zip(self.trainings, self.steps, active, strict=True):
            rates.append(learning_rate(training, step - 1) if is_active else 0.0)
        return rates

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
            squares = grad.square()
            total += squares.flatten(1).sum(1) if grad.dim() > 1 else squares
        limits = torch.tensor([t.clip_norm for t in self.trainings], device=taking.device)
        return (limits / (total.sqrt() + 1e-6)).clamp(max=1.0)

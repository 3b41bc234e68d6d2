from __future__ import annotations

import pytest
import torch
from torch import nn

from unipelt_search.tasks.target import Target
from unipelt_search.training.objective import Objective

CPU = torch.device("cpu")
S, B, L = 2, 5, 3


def logits(outputs: int = L) -> torch.Tensor:
    return torch.randn(S, B, outputs, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.5)])
def test_classes_have_torchs_cross_entropy(weights: tuple[float, ...]) -> None:
    labels = torch.randint(0, L, (S, B), generator=torch.Generator().manual_seed(1))
    losses = Objective(Target("classification", ("a", "b", "c"), weights=weights), CPU)(logits(), labels)
    loss = nn.CrossEntropyLoss(torch.tensor(weights) if weights else None)
    for slot in range(S):
        counted = torch.tensor(weights or [1.0] * L)[labels[slot]]
        # torch divides by the weights it met, a slot's loss is the mean over its rows
        expected = loss(logits()[slot], labels[slot]) * counted.sum() / B
        assert torch.allclose(losses[slot].mean(), expected)


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.5)])
def test_sets_of_labels_have_torchs_binary_cross_entropy(weights: tuple[float, ...]) -> None:
    labels = torch.randint(0, 2, (S, B, L), generator=torch.Generator().manual_seed(1))
    losses = Objective(Target("multi_label", ("a", "b", "c"), weights=weights), CPU)(logits(), labels)
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights) if weights else None)
    assert losses.shape == (S, B)
    for slot in range(S):
        assert torch.allclose(losses[slot].mean(), loss(logits()[slot], labels[slot].float()))


def test_numbers_have_torchs_squared_error_of_the_standardised_number() -> None:
    labels = torch.tensor([[1e9 + 1.0, 1e9 - 1.0, 1e9, 1e9, 1e9 + 4.0]] * S, dtype=torch.float64)
    losses = Objective(Target("regression", (), mean=1e9, sd=2.0), CPU)(logits(1), labels)
    wanted = torch.tensor([0.5, -0.5, 0.0, 0.0, 2.0])  # large numbers lose nothing: they are standardised in float64
    for slot in range(S):
        assert torch.allclose(losses[slot].mean(), nn.MSELoss()(logits(1)[slot, :, 0], wanted))

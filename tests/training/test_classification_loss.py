from __future__ import annotations

import pytest
import torch
from torch import nn

from unipelt_search.kinds.label_kind import Target
from unipelt_search.training.classification_loss import make_loss

S, B, L = 2, 5, 3


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.5)])
def test_classes_have_torchs_cross_entropy(weights: tuple[float, ...]) -> None:
    logits = torch.randn(S, B, L, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, L, (S, B), generator=torch.Generator().manual_seed(1))
    losses = make_loss(Target("classification", ("a", "b", "c"), weights=weights), torch.device("cpu"))(logits, labels)
    assert losses.shape == (S, B)
    loss = nn.CrossEntropyLoss(weight=torch.tensor(weights) if weights else None)
    for slot in range(S):
        counted = torch.tensor(weights or [1.0] * L)[labels[slot]]
        # torch divides by the weights it met, a slot's loss is the mean over its rows
        expected = loss(logits[slot], labels[slot]) * counted.sum() / B
        assert torch.allclose(losses[slot].mean(), expected)

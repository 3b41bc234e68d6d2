from __future__ import annotations

import torch
from torch import nn

from unipelt_search.kinds.label_kind import Target
from unipelt_search.training.regression_loss import make_loss

S, B = 2, 5


def test_numbers_have_torchs_squared_error_of_the_standardised_number() -> None:
    logits = torch.randn(S, B, 1, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1e9 + 1.0, 1e9 - 1.0, 1e9, 1e9, 1e9 + 4.0]] * S, dtype=torch.float64)
    losses = make_loss(Target("regression", (), mean=1e9, sd=2.0), torch.device("cpu"))(logits, labels)
    wanted = torch.tensor([0.5, -0.5, 0.0, 0.0, 2.0])  # large numbers lose nothing: they are standardised in float64
    for slot in range(S):
        assert torch.allclose(losses[slot].mean(), nn.MSELoss()(logits[slot, :, 0], wanted))

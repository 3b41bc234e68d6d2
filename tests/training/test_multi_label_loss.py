from __future__ import annotations

import pytest
import torch
from torch import nn

from unipelt_search.kinds.label_kind import Target
from unipelt_search.training.multi_label_loss import make_loss

S, B, L = 2, 5, 3


@pytest.mark.parametrize("weights", [(), (0.5, 2.0, 1.5)])
def test_sets_of_labels_have_torchs_binary_cross_entropy(weights: tuple[float, ...]) -> None:
    logits = torch.randn(S, B, L, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 2, (S, B, L), generator=torch.Generator().manual_seed(1))
    losses = make_loss(Target("multi_label", ("a", "b", "c"), weights=weights), torch.device("cpu"))(logits, labels)
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights) if weights else None)
    assert losses.shape == (S, B)
    for slot in range(S):
        assert torch.allclose(losses[slot].mean(), loss(logits[slot], labels[slot].float()))

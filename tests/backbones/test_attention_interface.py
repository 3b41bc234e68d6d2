from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from unipelt_search.backbones.attention_interface import set_extension, unipelt_attention


class Doubled:
    """Attends as sdpa does, twice as loud."""

    def attend(
        self, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
    ) -> Tensor:
        return 2 * sdpa_attention_forward(module, query, key, value, mask, **options)[0]


def test_a_module_without_an_extension_attends_as_sdpa_and_one_with_it_as_the_extension() -> None:
    module = nn.Linear(1, 1)
    module.is_causal = False  # type: ignore[assignment]
    query, key, value = torch.randn(3, 2, 4, 5, 8)
    plain, weights = sdpa_attention_forward(module, query, key, value, None)
    assert torch.equal(unipelt_attention(module, query, key, value, None)[0], plain)
    assert weights is None
    set_extension(module, Doubled())
    assert torch.equal(unipelt_attention(module, query, key, value, None)[0], 2 * plain)
    assert set(module.state_dict()) == {"weight", "bias"}
    assert list(module.modules()) == [module]
    set_extension(module, None)
    set_extension(module, None)
    assert torch.equal(unipelt_attention(module, query, key, value, None)[0], plain)

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.gpt_oss import modeling_gpt_oss

from tiny import tiny_model
from unipelt_search.backbones.attention_interface import (
    ATTENTION,
    EAGER_ATTENTION,
    attention_of,
    hides_later_tokens,
    plain_attention,
    set_extension,
    unipelt_attention,
)


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


@pytest.mark.parametrize(
    ("attribute", "passed", "hides"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_an_attention_without_a_mask_looks_where_it_is_told_to_and_else_where_its_module_says(
    attribute: bool, passed: bool | None, hides: bool
) -> None:
    module = nn.Linear(1, 1)
    module.is_causal = attribute  # type: ignore[assignment]
    assert hides_later_tokens(module, {} if passed is None else {"is_causal": passed}) is hides


def test_an_architecture_that_computes_more_than_sdpa_keeps_its_own_function() -> None:
    sinks, plain = tiny_model("gpt_oss"), tiny_model("llama")
    assert [model.config._attn_implementation for model in (sinks, plain)] == [EAGER_ATTENTION, ATTENTION]
    module = sinks.model.layers[0].self_attn
    assert plain_attention(module) is modeling_gpt_oss.eager_attention_forward
    assert not hides_later_tokens(module, {"is_causal": True})
    assert plain_attention(plain.model.layers[0].self_attn) is sdpa_attention_forward
    assert attention_of(type(tiny_model("gemma2")), tiny_model("gemma2").config) is None
    assert attention_of(type(tiny_model("bloom")), tiny_model("bloom").config) is None

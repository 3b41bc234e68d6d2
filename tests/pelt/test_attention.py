from __future__ import annotations

import pytest
import torch

from tiny import FAMILIES, tiny_inputs, tiny_model
from unipelt_search.pelt.attention import ATTENTION


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_without_a_prefix_it_is_sdpa_padding_mask_included(family: str) -> None:
    model, inputs = tiny_model(family).eval(), tiny_inputs([7, 3])
    assert model.config._attn_implementation == ATTENTION
    ours = model(**inputs).logits
    model.set_attn_implementation("sdpa")
    assert torch.equal(model(**inputs).logits, ours)
    changed = {**inputs, "input_ids": inputs["input_ids"].clone()}
    changed["input_ids"][1, 1] = 9
    assert not torch.allclose(model(**changed).logits[1], ours[1])
    assert torch.allclose(model(**changed).logits[0], ours[0])

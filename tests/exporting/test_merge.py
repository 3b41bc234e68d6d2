"""Merged weights compute what the attached pack computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tiny import randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.exporting.merge import merged_base, merged_model, use_label_units
from unipelt_search.pelt.head import pool
from unipelt_search.pelt.pack import Pack


@pytest.mark.parametrize(
    ("family", "method"),
    [
        ("bert", "head"),
        ("bert", "fine_tuning"),
        ("roberta", "bitfit"),
        ("albert", "lora"),
        ("deberta-v2", "ia3"),
        ("qwen2", "bitfit"),
        # Query, key and value are one module: a Conv1D, one after the other, head by head, of grouped heads.
        *((family, method) for family in ("gpt2", "modernbert", "gpt_neox", "phi3") for method in ("lora", "ia3")),
    ],
)
@torch.no_grad()
def test_a_merged_model_computes_the_same(family: str, method: str) -> None:
    backbone = tiny_backbone(family)
    inputs = tiny_inputs([7, 3])
    before = backbone.model(**inputs).logits
    with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
        randomise(pack)
        if method == "fine_tuning":
            pack.model.get_submodule("bert.encoder.layer.0.output.dense").weight.mul_(1.5)
        expected = pack.eval()(inputs)[0]
        stored = {name: values.clone() for name, values in pack.slot_state_dict(0).items()}
    merged = merged_model(backbone, tiny_trial(method), stored)
    assert torch.allclose(merged(**inputs).logits, expected, atol=1e-5)
    assert not torch.allclose(before, expected, atol=1e-3)
    assert torch.equal(backbone.model(**inputs).logits, before)


@torch.no_grad()
def test_a_merged_base_gives_the_vectors_that_are_pooled() -> None:
    backbone = tiny_backbone("roberta", pooling="mean")
    inputs = tiny_inputs([7, 3])
    with Pack(backbone, [tiny_run(tiny_trial("lora"))]) as pack:
        randomise(pack)
        expected = pack.eval()(inputs)[0]
        stored = {name: values.clone() for name, values in pack.slot_state_dict(0).items()}
    merged = merged_base(backbone, tiny_trial("lora"), stored)
    assert type(merged) is type(backbone.base)
    vectors = pool(merged(**inputs).last_hidden_state, inputs["attention_mask"], "mean")
    found = nn.functional.linear(vectors, stored["head.pooled.weight"], stored["head.pooled.bias"])
    assert torch.allclose(found, expected, atol=1e-5)


@torch.no_grad()
def test_a_last_layer_predicts_in_the_units_of_the_labels() -> None:
    linear = nn.Linear(4, 1)
    x = torch.randn(3, 4)
    before = linear(x)
    use_label_units(linear, None)
    assert torch.equal(linear(x), before)
    use_label_units(linear, (2.5, -3.0))
    assert torch.allclose(linear(x), before * 2.5 - 3.0, atol=1e-6)

from __future__ import annotations

import pytest
import torch
from transformers.models.mbart.modeling_mbart import shift_tokens_right

from tiny import tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.pelt.head import pool
from unipelt_search.pelt.pack import Pack


def test_pooling_by_hand() -> None:
    hidden = torch.arange(12.0).view(1, 4, 3)
    tokens = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    assert pool(hidden, tokens, "mean").tolist() == [[3.0, 4.0, 5.0]]
    assert pool(hidden, tokens, "cls").tolist() == [[0.0, 1.0, 2.0]]
    assert pool(hidden, tokens, "last").tolist() == [[6.0, 7.0, 8.0]]


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@torch.no_grad()
def test_other_pooling_is_one_linear_layer_on_the_pooled_vectors(family: str, pooling: str) -> None:
    backbone, inputs = tiny_backbone(family, pooling=pooling), tiny_inputs([6, 3])
    hidden = backbone.base(**inputs).last_hidden_state
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        (linear,) = (part for name, part in pack.parts.items() if name.startswith("head"))
        expected = pool(hidden, inputs["attention_mask"].float(), pooling) @ linear.weight[0].T + linear.bias[0]
        assert torch.allclose(pack(inputs)[0], expected, atol=1e-5)
        assert pack.counts(0) == (99, 99, 99)


@torch.no_grad()
def test_native_roberta_head_keeps_both_of_its_layers() -> None:
    backbone, inputs = tiny_backbone("roberta"), tiny_inputs([6, 3])
    hidden = backbone.base(**inputs).last_hidden_state[:, 0]
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        dense, out = pack.parts["head/classifier/dense"], pack.parts["head/classifier/out_proj"]
        expected = torch.tanh(hidden @ dense.weight[0].T + dense.bias[0]) @ out.weight[0].T + out.bias[0]
        assert torch.allclose(pack(inputs)[0], expected, atol=1e-5)


@torch.no_grad()
def test_a_causal_head_reads_the_last_real_token() -> None:
    backbone, inputs = tiny_backbone("qwen2"), tiny_inputs([6, 3])
    hidden = backbone.base(**inputs).last_hidden_state
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        weight = pack.parts["head/pooled"].weight[0]
        assert torch.allclose(pack(inputs)[0], torch.stack([hidden[0, 5], hidden[1, 2]]) @ weight.T, atol=1e-5)


def test_each_run_draws_its_own_head() -> None:
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"), i) for i in (0, 0, 1)]) as pack:
        weight = pack.parts["head/classifier"].weight
    assert torch.equal(weight[0], weight[1])
    assert not torch.equal(weight[0], weight[2])


@torch.no_grad()
def test_mbarts_decoder_begins_with_the_last_token_as_its_own_does() -> None:
    backbone, inputs = tiny_backbone("mbart"), tiny_inputs([9, 4, 6])
    seen: dict[str, torch.Tensor] = {}
    hook = backbone.base.register_forward_pre_hook(lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True)
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        pack(inputs)
    hook.remove()
    real = inputs["attention_mask"].bool()
    expected = shift_tokens_right(inputs["input_ids"], backbone.model.config.pad_token_id)
    assert torch.equal(seen["decoder_input_ids"][real], expected[real])

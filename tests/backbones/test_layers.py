from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tiny import tiny_backbone
from unipelt_search.backbones.layers import Projection, attention_shape, layer_parts, present


@pytest.mark.parametrize(
    ("family", "query", "value", "ffn"),
    [("bert", 32, 32, 64), ("qwen2", 32, 16, 64), ("qwen3", 64, 32, 64), ("gpt2", 32, 32, 64), ("phi3", 32, 16, 64)],
)
def test_every_layer_has_its_parts_with_their_sizes(family: str, query: int, value: int, ffn: int) -> None:
    backbone = tiny_backbone(family)
    layers = layer_parts(backbone.base, backbone.family)
    assert [layer.number for layer in layers] == [0, 1]
    for layer in layers:
        assert (layer.query.inner, layer.query.out) == (32, query)
        assert (layer.key.out, layer.value.inner, layer.value.out) == (value, 32, value)
        assert (layer.key.inner, layer.ffn_in.weight.shape[-1] if family != "gpt2" else 32) == (32, 32)
        assert (layer.ffn_out.inner, layer.ffn_out.out) == (ffn, 32)
    assert layers[0].attention is not layers[1].attention


@pytest.mark.parametrize(
    ("settings", "shapes"),
    [
        ({"new_decoder_architecture": True, "num_kv_heads": 2}, [(32, 0, 2), (16, 16, 2), (16, 24, 2)]),
        ({"new_decoder_architecture": False, "multi_query": True}, [(32, 0, 1), (8, 32, 1), (8, 40, 1)]),
        ({"new_decoder_architecture": False, "multi_query": False}, [(32, 0, 4), (32, 8, 4), (32, 16, 4)]),
    ],
)
@torch.no_grad()
def test_falcons_queries_keys_and_values_are_where_its_attention_splits_them(
    settings: dict[str, Any], shapes: list[tuple[int, int, int]]
) -> None:
    backbone = tiny_backbone("falcon", **settings)
    layer = layer_parts(backbone.base, backbone.family)[0]
    parts = [present(part) for part in (layer.query, layer.key, layer.value)]
    assert [(part.out, part.start, part.groups) for part in parts] == shapes
    attention: Any = layer.attention
    seen: list[torch.Tensor] = []

    def keep(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        seen.append(output)
        return output

    for part in parts:
        part.register_forward_hook(keep)
    fused = attention.query_key_value(torch.randn(2, 5, 32))
    query, key, value = attention._split_heads(fused)
    assert torch.equal(seen[0], query.flatten(2))
    heads = backbone.model.config.num_attention_heads // (seen[1].shape[-1] // 8)
    assert torch.equal(seen[1].unflatten(-1, (-1, 8)), key[:, :, :: heads if key.shape[2] == 4 else 1])
    assert torch.equal(seen[2].unflatten(-1, (-1, 8)), value[:, :, :: heads if value.shape[2] == 4 else 1])


@pytest.mark.parametrize(("shared", "value"), [(True, (8, 40, 1)), (False, (32, 16, 4))])
def test_a_starcoder_has_one_key_head_or_as_many_as_query_heads(shared: bool, value: tuple[int, int, int]) -> None:
    backbone = tiny_backbone("gpt_bigcode", multi_query=shared)
    part = present(layer_parts(backbone.base, backbone.family)[0].value)
    assert (part.out, part.start, part.groups) == value


def test_a_hook_on_a_block_sees_what_it_hands_on_and_leaves_the_rest_alone() -> None:
    block = nn.Identity()
    Projection(block, 3, 3, is_block=True).register_forward_hook(lambda module, args, output: output + 1)
    scores, x = torch.ones(2), torch.zeros(2, 3)
    changed, kept = block((x, scores))
    assert torch.equal(changed, x + 1)
    assert kept is scores
    assert torch.equal(block(x), x + 1)


def test_a_layer_tells_which_parts_it_has() -> None:
    backbone = tiny_backbone("qwen3_moe")  # the first layer's feed-forward network is no mixture of experts
    dense, mixture = layer_parts(backbone.base, backbone.family)
    assert dense.has(("attention", "ffn_in", "ffn_out", "ffn_linear"))
    assert mixture.has(("attention", "ffn_in", "ffn_out"))
    assert not mixture.has(("ffn_linear",))
    with pytest.raises(RuntimeError, match="have the parts it needs"):
        present(mixture.ffn_linear)


def test_latent_attention_has_values_of_a_width_of_their_own() -> None:
    backbone = tiny_backbone("deepseek_v3", v_head_dim=6)
    shape = attention_shape(backbone.model.config)
    assert (shape.heads, shape.head_width, shape.value_width) == (4, 12, 6)
    layer = layer_parts(backbone.base, backbone.family)[0]
    assert (present(layer.value).out, present(layer.value).start, layer.gate_width) == (24, 8, 32)


def test_a_decoders_layers_are_counted_on_after_its_encoders() -> None:
    backbone = tiny_backbone("t5")
    layers = layer_parts(backbone.base, backbone.family)
    assert [(layer.number, layer.stack, layer.causal) for layer in layers] == [
        (0, "encoder", False), (1, "encoder", False), (2, "decoder", True), (3, "decoder", True),
    ]  # fmt: skip


def test_a_layer_that_runs_several_times_is_one_layer() -> None:
    backbone = tiny_backbone("albert", num_hidden_layers=5)
    assert len(layer_parts(backbone.base, backbone.family)) == 1
    grouped = tiny_backbone("albert", num_hidden_layers=4, num_hidden_groups=2)
    assert len(layer_parts(grouped.base, grouped.family)) == 2


def test_grouped_queries_have_fewer_key_heads() -> None:
    assert attention_shape(tiny_backbone("bert").model.config).heads == 4
    assert attention_shape(tiny_backbone("qwen2").model.config).heads == 2


@pytest.mark.parametrize(
    ("share", "columns"),
    [
        ({"out": 4, "start": 0}, [0, 1, 2, 3]),
        ({"out": 2, "start": 4}, [4, 5]),
        ({"out": 4, "start": 1, "groups": 2}, [1, 2, 5, 6]),
    ],
)
@torch.no_grad()
def test_a_hook_on_a_share_sees_and_changes_that_share_alone(share: dict[str, int], columns: list[int]) -> None:
    linear, x = nn.Linear(3, 8), torch.randn(2, 5, 3)
    before = linear(x)
    seen: list[torch.Tensor] = []

    def hook(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        seen.append(output)
        return output + 1

    handle = Projection(linear, 3, sole=False, **share).register_forward_hook(hook)
    after = linear(x)
    handle.remove()
    assert torch.equal(seen[0], before[..., columns])
    changed = torch.zeros(8)
    changed[columns] = 1
    assert torch.allclose(after, before + changed)
    assert torch.equal(linear(x), before)

from __future__ import annotations

import pytest
import torch
from torch import nn

from tiny import tiny_backbone
from unipelt_search.backbones.layers import Projection, attention_shape, layer_parts


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

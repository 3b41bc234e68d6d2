from __future__ import annotations

import pytest

from tiny import tiny_backbone
from unipelt_search.pelt.layers import attention_shape, layer_parts


@pytest.mark.parametrize(("family", "value", "ffn"), [("bert", 32, 64), ("qwen2", 16, 64)])
def test_every_layer_has_its_parts_with_their_sizes(family: str, value: int, ffn: int) -> None:
    backbone = tiny_backbone(family)
    layers = layer_parts(backbone.base, backbone.family)
    assert [layer.number for layer in layers] == [0, 1]
    for layer in layers:
        assert (layer.query.inner, layer.query.out) == (32, 32)
        assert (layer.value.inner, layer.value.out) == (32, value)
        assert (layer.ffn_out.inner, layer.ffn_out.out) == (ffn, 32)
    assert layers[0].attention is not layers[1].attention


def test_grouped_queries_have_fewer_key_heads() -> None:
    assert attention_shape(tiny_backbone("bert").model.config).heads == 4
    assert attention_shape(tiny_backbone("qwen2").model.config).heads == 2

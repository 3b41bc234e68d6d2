from __future__ import annotations

import pytest
import torch
from torch import nn

from tiny import FAMILIES, randomise, tiny_backbone, tiny_inputs, tiny_model, tiny_run, tiny_trial
from unipelt_search.backbones.layers import Projection, attention_shape, discover_family, find_family, layer_parts
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.pack import Pack


@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_part_that_a_family_names_is_there(model_type: str) -> None:
    model = tiny_model(model_type)
    assert model_type in find_family(model).model_types


def test_a_missing_part_is_named() -> None:
    model = tiny_model("bert")
    del model.bert.encoder.layer[0].output.dense
    with pytest.raises(BackboneError, match="type 'bert' must have a part 'output.dense' in the first of"):
        find_family(model)


def test_a_gated_t5_is_told_from_a_plain_one() -> None:
    (wi, wi_0) = (
        find_family(tiny_model("t5", feed_forward_proj=kind)).stacks[0].ffn_in for kind in ("relu", "gated-gelu")
    )
    assert (wi, wi_0) == ("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wi_0")


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

    handle = Projection(linear, 3, whole=False, **share).register_forward_hook(hook)
    after = linear(x)
    handle.remove()
    assert torch.equal(seen[0], before[..., columns])
    changed = torch.zeros(8)
    changed[columns] = 1
    assert torch.allclose(after, before + changed)
    assert torch.equal(linear(x), before)


@pytest.mark.parametrize("model_type", ["ernie", "olmo2", "phi"])
@torch.no_grad()
def test_an_unlisted_architecture_is_found_by_its_structure(model_type: str) -> None:
    backbone, inputs = tiny_backbone(model_type), tiny_inputs([7, 4])
    (stack,) = backbone.family.stacks
    assert backbone.family.causal == (stack.name == "decoder") == (model_type in ("olmo2", "phi"))
    with Pack(backbone, [tiny_run(tiny_trial("unipelt_apl"))]) as pack:
        randomise(pack)
        full = pack(inputs)
        for submodule in ("adapter", "prefix", "lora"):
            for layer in (0, 1):
                assert not torch.allclose(full, pack(inputs, removed=frozenset({(submodule, layer)})), atol=1e-5)
        alone = pack({name: tensor[1:, :4] for name, tensor in inputs.items()})
    assert torch.allclose(full[0, 1], alone[0, 0], atol=1e-5)


def test_structure_finds_what_the_table_says() -> None:
    """The listed entry of BERT, and what its structure alone shows, name the same parts."""
    listed, found = find_family(tiny_model("bert")), discover_family(tiny_model("bert"))
    names = ("layers", "attention", "query", "key", "value", "ffn_in", "ffn_out", "name")
    assert [getattr(found.stacks[0], name) for name in names] == [getattr(listed.stacks[0], name) for name in names]
    assert (found.head, found.pooler, found.pooler_parts) == (listed.head, listed.pooler, listed.pooler_parts)


@pytest.mark.parametrize(
    ("model_type", "looked_for"),
    [
        ("bloom", "one module with linear layers named like query, key and value"),
        (
            "mixtral",
            "one linear layer from the feed-forward network's width 64 outside of the attention and found none",
        ),
        ("mbart", "one stack of layers and found an encoder and a decoder"),
        ("mobilebert", "one longest list of equal layers and found encoder.layer.0.ffn, encoder.layer.1.ffn"),
    ],
)
def test_what_cannot_be_found_is_refused_with_what_was_looked_for(model_type: str, looked_for: str) -> None:
    with pytest.raises(BackboneError, match=f"in type '{model_type}' we looked for {looked_for}.*known types: bert, "):
        tiny_backbone(model_type)

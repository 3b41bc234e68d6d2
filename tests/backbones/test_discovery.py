from __future__ import annotations

import pytest
import torch

from tiny import FAMILIES, SIZES, randomise, tiny_backbone, tiny_inputs, tiny_model, tiny_run, tiny_trial
from unipelt_search.backbones.discovery import discover_family, find_family
from unipelt_search.backbones.layers import layer_parts
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


def test_structure_finds_what_the_table_says() -> None:
    """The listed entry of BERT, and what its structure alone shows, name the same parts."""
    listed, found = find_family(tiny_model("bert")), discover_family(tiny_model("bert"))
    names = ("layers", "attention", "query", "key", "value", "ffn_in", "ffn_out", "name")
    assert [getattr(found.stacks[0], name) for name in names] == [getattr(listed.stacks[0], name) for name in names]
    assert (found.head, found.pooler, found.pooler_parts) == (listed.head, listed.pooler, listed.pooler_parts)


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


def test_two_stacks_that_are_not_listed_are_refused_with_what_was_looked_for() -> None:
    sizes = {**SIZES["bart"], "attention_type": "original_full"}
    message = "type 'bigbird_pegasus' we looked for one stack of layers and found an encoder and a decoder"
    with pytest.raises(BackboneError, match=f"{message}.*known types: bert, "):
        tiny_backbone("bigbird_pegasus", **sizes)


@pytest.mark.parametrize(
    ("model_type", "parts"),
    [
        ("mixtral", ("ffn_linear",)),
        ("mamba", ("attention", "query", "key", "value")),
    ],
)
def test_a_part_that_is_not_found_is_noted_with_what_was_looked_for(model_type: str, parts: tuple[str, ...]) -> None:
    lack = tiny_backbone(model_type).family.lacks[0]
    assert lack.parts == parts
    assert lack.sentence


def test_the_parts_of_hybrids_and_mixtures_are_found_in_the_layers_that_have_them() -> None:
    backbone = tiny_backbone("jamba")
    layers = layer_parts(backbone.base, backbone.family)
    assert [layer.attention is not None for layer in layers] == [False, True, False, True]
    assert [layer.ffn_out is not None and layer.ffn_out.is_block for layer in layers] == [False, False, True, False]
    assert all(layer.has(("ffn_in", "ffn_out")) for layer in layers)
    (stack,) = discover_family(tiny_model("deepseek_v3")).stacks
    assert (stack.query, stack.value, stack.fused) == ("self_attn.q_b_proj", "self_attn.kv_b_proj", "latent")
    assert (stack.ffn_in, stack.ffn_out, stack.experts) == ("mlp.gate_proj", "mlp.down_proj", "mlp")


def test_a_feed_forward_network_is_found_without_its_width_in_the_configuration() -> None:
    (stack,) = discover_family(tiny_model("gptj", n_inner=None)).stacks
    assert (stack.ffn_in, stack.ffn_out) == ("mlp.fc_in", "mlp.fc_out")

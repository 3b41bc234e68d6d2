from __future__ import annotations

import pytest
import torch

from tiny import FAMILIES, randomise, tiny_backbone, tiny_inputs, tiny_model, tiny_run, tiny_trial
from unipelt_search.backbones.discovery import discover_family, find_family
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

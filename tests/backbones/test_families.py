from __future__ import annotations

import dataclasses

import pytest

from tiny import FAMILIES, FURTHER_SIZES, tiny_model
from unipelt_search.backbones import families
from unipelt_search.backbones.families import KNOWN_TYPES


def test_every_listed_type_is_in_the_tests_or_looks_like_one_that_is() -> None:
    assert set(KNOWN_TYPES) - {*FAMILIES, *FURTHER_SIZES} == {"mt5"}


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.model_types[0])
def test_an_entry_names_every_part_once(family: families.Family) -> None:
    for stack in family.stacks:
        names = [stack.query, stack.key, stack.value]
        assert len(set(names)) == (1 if stack.fused else 3)
        assert (stack.attention_out is not None) == family.spliced_prefix
    assert len(family.stacks) == 1 or [stack.name for stack in family.stacks] == ["encoder", "decoder"]
    assert family.causal == (family.stacks[0].name == "decoder")
    assert bool(family.pooler) == bool(family.pooler_parts)
    assert hash(family) == hash(dataclasses.replace(family))


def test_a_decoder_that_was_found_by_structure_is_named_as_one() -> None:
    found = families.as_decoder(families.Family(("new",), (families.Stack("layers"),), ("score",)))
    assert (found.causal, found.stacks[0].name, found.stacks[0].layers) == (True, "decoder", "layers")


def test_an_encoder_decoder_names_what_its_head_is() -> None:
    for kind in ("t5", "bart"):
        model = tiny_model(kind)
        (family,) = {f for f in families.FAMILIES if kind in f.model_types and f.head_module is not None} & {
            f for f in families.FAMILIES if f.stacks[0].ffn_in in ("layer.1.DenseReluDense.wi", "fc1")
        }
        assert model.get_submodule(family.head_module or "") is model.classification_head

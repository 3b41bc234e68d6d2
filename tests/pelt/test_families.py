from __future__ import annotations

import dataclasses

import pytest

from tiny import FAMILIES, tiny_model
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.families import check_family, find_family


@pytest.mark.parametrize("model_type", FAMILIES)
def test_every_part_that_a_family_names_is_there(model_type: str) -> None:
    model = tiny_model(model_type)
    check_family(find_family(model_type), model, model.base_model)


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BackboneError, match="got type 'mamba', known: bert, roberta"):
        find_family("mamba")


def test_a_missing_part_is_named() -> None:
    model = tiny_model("bert")
    wrong = dataclasses.replace(find_family("bert"), ffn_out="output.missing")
    with pytest.raises(BackboneError, match=r"'output.missing' in encoder.layer.0"):
        check_family(wrong, model, model.base_model)

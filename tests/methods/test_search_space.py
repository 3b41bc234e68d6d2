from __future__ import annotations

import pytest

from unipelt_search.methods.catalogue import METHODS, TRAINED_METHODS, part_models
from unipelt_search.methods.search_space import hyperparameters, learning_rates, space_of
from unipelt_search.methods.training_settings import TrainingSpec

PARTS = {"training": TrainingSpec, **part_models()}
BY_NAME = {parameter.name: parameter for parameter in hyperparameters()}


def test_every_field_of_a_configuration_is_listed_once() -> None:
    fields = [f"{part}.{name}" for part, spec in PARTS.items() for name in spec.model_fields]
    assert sorted(parameter.name for parameter in hyperparameters()) == sorted(fields)
    for method in TRAINED_METHODS:
        assert len(set(learning_rates(method))) == 3


def test_published_values_are_the_defaults() -> None:
    assert BY_NAME["lora.rank"].published == 8
    assert BY_NAME["prefix.mlp"].published == 512
    assert BY_NAME["gate.sharing"].published == "per_layer"
    assert BY_NAME["training.learning_rate"].published is None


@pytest.mark.parametrize("parameter", hyperparameters(), ids=lambda parameter: parameter.name)
def test_what_is_searched_is_allowed_and_contains_what_was_published(parameter) -> None:
    if parameter.kind in {"whole", "real"}:
        assert parameter.low <= parameter.published <= parameter.high
    if parameter.kind == "choice":
        assert parameter.published in parameter.choices
    assert (parameter.searched_text == "fixed") == (parameter.kind in {"fixed", "study"})


@pytest.mark.parametrize("method", TRAINED_METHODS)
def test_a_method_searches_the_parts_that_it_has(method: str) -> None:
    parts = {parameter.part for parameter in space_of(method)}
    submodules = set(METHODS[method].submodules)
    assert "training" in parts
    assert parts - {"training", "gate"} == submodules & set(PARTS)
    assert ("gate" in parts) == METHODS[method].gated
    rate = next(parameter for parameter in space_of(method) if parameter.kind == "rate")
    assert rate.low < min(learning_rates(method)) < max(learning_rates(method)) < rate.high


def test_conditions_are_said_and_looked_up() -> None:
    alpha = BY_NAME["lora.alpha"]
    assert alpha.condition_text == "methods with lora, unless gate.lora is replace"
    assert alpha.acts({})
    assert alpha.acts({"gate.lora": "multiply"})
    assert not alpha.acts({"gate.lora": "replace"})
    assert BY_NAME["gate.prefix"].condition_text == "gated methods with prefix"
    assert BY_NAME["gate.sharing"].condition_text == "gated methods"
    assert BY_NAME["training.dropout"].condition_text == "every method"
    assert BY_NAME["training.warmup_share"].searched_text == "0 to 0.2, in steps of 0.05"
    assert BY_NAME["lora.rank"].searched_text == "2 to 64, logarithmic"
    assert BY_NAME["prefix.mlp"].searched_text == "none, 512"
    assert BY_NAME["prefix.position_shift"].published_text == "off"
    assert BY_NAME["prefix.position_shift"].searched_text == "fixed"

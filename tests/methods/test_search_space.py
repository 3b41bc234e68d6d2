from __future__ import annotations

import pytest
from editions import EDITION_1, NEWEST, TINY

from unipelt_search.errors import UnipeltError
from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import METHODS, TRAINED_METHODS, part_models
from unipelt_search.methods.search_space import hyperparameters, learning_rates, published_values, space_of
from unipelt_search.methods.training_settings import TrainingSpec

PARTS = {"training": TrainingSpec, **part_models()}
BY_NAME = {parameter.name: parameter for parameter in hyperparameters()}


def test_every_field_of_a_configuration_is_listed_once() -> None:
    fields = [f"{part}.{name}" for part, spec in PARTS.items() for name in spec.model_fields]
    assert sorted(parameter.name for parameter in hyperparameters()) == sorted(fields)
    for method in TRAINED_METHODS:
        assert len(set(learning_rates(method))) == 3


def test_published_values_are_the_defaults_unless_another_is_given() -> None:
    assert BY_NAME["lora.rank"].published == 8
    assert BY_NAME["adapter.activation"].published == "relu"
    assert BY_NAME["prefix.mlp"].published == 512
    assert BY_NAME["gate.sharing"].published == "per_layer"
    assert BY_NAME["training.learning_rate"].published is None


@pytest.mark.parametrize("basis", [EDITION_1, NEWEST, TINY], ids=["edition 1", "minilm", "tiny"])
@pytest.mark.parametrize("name", list(BY_NAME))
def test_what_is_searched_is_allowed_and_contains_what_was_published(name: str, basis: Basis) -> None:
    (declared,) = [parameter for parameter in hyperparameters(basis.edition) if parameter.name == name]
    parameter = declared.on(basis)
    if parameter.kind in {"whole", "real"}:
        assert parameter.low <= parameter.published <= parameter.high
    if parameter.kind == "choice":
        assert parameter.published in parameter.choices
    assert (parameter.searched_text == "fixed") == (parameter.kind in {"fixed", "study"})


@pytest.mark.parametrize("method", TRAINED_METHODS)
def test_a_method_searches_the_parts_that_it_has(method: str) -> None:
    parts = {parameter.part for parameter in space_of(method, NEWEST)}
    submodules = set(METHODS[method].submodules)
    assert "training" in parts
    assert parts - {"training", "gate"} == submodules & set(PARTS)
    assert ("gate" in parts) == METHODS[method].gated
    rate = next(parameter for parameter in space_of(method, NEWEST) if parameter.kind == "rate")
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


@pytest.mark.parametrize("method", [method for method in TRAINED_METHODS if "adapter" in METHODS[method].submodules])
def test_adapters_have_the_settings_of_the_edition(method: str) -> None:
    settings = ("bottleneck", "activation", "input", "up")
    older, newest = (published_values(method, basis) for basis in (EDITION_1, NEWEST))
    assert [older[f"adapter.{name}"] for name in settings] == [48, "gelu", "feed_forward", "zero"]
    assert [newest[f"adapter.{name}"] for name in settings] == [24, "relu", "normalised", "normal"]
    ranges = [{p.name: (p.low, p.high) for p in space_of(method, basis)} for basis in (EDITION_1, NEWEST)]
    assert [searched["adapter.bottleneck"] for searched in ranges] == [(8, 96), (6, 96)]
    unread = published_values(method, NEWEST.model_copy(update={"block_output": False}))
    assert unread == {**newest, "adapter.input": "feed_forward"}


def test_a_parallel_adapter_costs_what_an_adapter_costs_and_keeps_its_papers_settings() -> None:
    older, newest = (published_values("parallel_adapter", basis) for basis in (EDITION_1, NEWEST))
    assert older == {**newest, "parallel_adapter.bottleneck": 48}
    assert newest["parallel_adapter.bottleneck"] == published_values("adapter", NEWEST)["adapter.bottleneck"]
    assert (newest["parallel_adapter.activation"], newest["parallel_adapter.scale"]) == ("relu", 4)


@pytest.mark.parametrize(("hidden", "size"), [(768, 48), (384, 24), (312, 19), (32, 2), (8, 1)])
def test_a_size_is_a_share_of_the_hidden_size_and_never_none(hidden: int, size: int) -> None:
    basis = Basis(edition=2, hidden_size=hidden)
    assert published_values("adapter", basis)["adapter.bottleneck"] == size
    (searched,) = [parameter for parameter in space_of("adapter", basis) if parameter.name == "adapter.bottleneck"]
    assert 1 <= searched.low <= size <= searched.high < hidden


def test_without_a_hidden_size_only_what_needs_none_is_known() -> None:
    unknown = Basis(edition=2)
    assert published_values("lora", unknown) == published_values("lora", EDITION_1)
    with pytest.raises(UnipeltError, match="hidden/16 needs the backbone's hidden size"):
        published_values("adapter", unknown)


def test_shares_of_the_hidden_size_are_written_as_such() -> None:
    bottleneck = BY_NAME["adapter.bottleneck"]
    assert bottleneck.published_text == "hidden/16"
    assert bottleneck.searched_text == "hidden/64 to hidden/4, logarithmic"
    assert bottleneck.model_dump(mode="json")["low"] == "hidden/64"
    assert BY_NAME["adapter.input"].published_text == "normalised"
    assert BY_NAME["adapter.input"].model_dump(mode="json")["published"] == "normalised"

from __future__ import annotations

import pytest
from editions import EDITION_1, NEWEST
from pydantic import ValidationError

from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.variants import WRITTEN_OUT, TrainingChanges, Variant, pruned_name


def test_every_training_setting_can_be_changed() -> None:
    assert set(TrainingChanges.model_fields) == set(TrainingSpec.model_fields)
    assert all(field.default is None for field in TrainingChanges.model_fields.values())


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        ({"name": "lora", "method": "lora"}, ("name",), "must not be a method's; got 'lora'"),
        ({"name": "a b", "method": "lora"}, ("name",), "must be 1 to 64 letters.*got 'a b'"),
        ({"name": "a", "method": "lorra"}, ("method",), "got 'lorra'. Did you mean 'lora'"),
        ({"name": "a", "method": "majority"}, ("method",), "must be one of head"),
        ({"name": "a", "method": "lora", "lora": {"rank": 0}}, ("lora", "rank"), "greater than or equal to 1"),
        ({"name": "a", "method": "lora", "training": {"dropout": 1}}, ("training", "dropout"), "less than 1"),
        ({"name": "a", "method": "lora", "adapter": {}}, (), "method lora takes no adapter settings"),
        ({"name": "a", "method": "lora", "gate": {}}, (), "method lora takes no gate settings"),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(given: dict[str, object], place: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        SpaceSpec.model_validate({"configurations": [given]})
    assert caught.value.errors()[0]["loc"] == ("configurations", 0, *place)


def test_names_are_unique() -> None:
    with pytest.raises(ValidationError, match="a name of its own; got 'a' 2 times"):
        SpaceSpec(configurations=(Variant(name="a", method="lora"), Variant(name="a", method="head")))


def test_a_name_is_not_that_of_a_smaller_sibling() -> None:
    assert pruned_name("lora") == "lora-pruned"
    with pytest.raises(ValidationError, match=r"must not end as those of smaller siblings do; got 'mine-pruned'"):
        Variant(name="mine-pruned", method="lora")


GIVEN = {"name": "mine", "method": "unipelt_al", "adapter": {"bottleneck": 6, "input": "feed_forward"}}


def test_what_was_given_stays_given_as_json() -> None:
    variant = Variant.model_validate(GIVEN)
    for mode in ("json", "python"):
        written = variant.model_dump(mode=mode)
        # The input is written although it is what a configuration without the key means: it was asked for.
        assert written["adapter"] == GIVEN["adapter"]
        assert written["lora"] is None
        assert Variant.model_validate(written).part("adapter", AdapterSpec).model_fields_set == {"bottleneck", "input"}
    assert Variant.model_validate_json(variant.model_dump_json()).model_dump() == variant.model_dump()
    assert variant.model_dump(include={"name", "method"}) == {"name": "mine", "method": "unipelt_al"}
    written_out = variant.model_dump(mode="json", context=WRITTEN_OUT)
    assert written_out["adapter"] == {"bottleneck": 6, "activation": "gelu"}


def test_a_completed_configuration_leaves_nothing_open() -> None:
    variant = Variant.model_validate(GIVEN)
    older, newest = variant.completed(EDITION_1), variant.completed(NEWEST)
    assert older.part("adapter", AdapterSpec) == AdapterSpec(bottleneck=6)
    assert newest.part("adapter", AdapterSpec) == AdapterSpec(bottleneck=6, activation="relu", up="normal")
    assert set(newest.model_dump()["adapter"]) == set(AdapterSpec.model_fields)
    assert newest.parts.keys() == {"adapter"}
    # Whatever the edition, nothing is filled in twice, also when it comes back from the database.
    for basis in (EDITION_1, NEWEST):
        assert newest.completed(basis) == newest
        assert Variant.model_validate(newest.model_dump(mode="json")).completed(basis) == newest
    plain = Variant(name="plain", method="unipelt_al")
    assert plain.completed(NEWEST) == plain

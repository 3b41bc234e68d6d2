from __future__ import annotations

import pytest
from pydantic import ValidationError

from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.variants import TrainingChanges, Variant, pruned_name


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

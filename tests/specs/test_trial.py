from __future__ import annotations

import pytest
from pydantic import ValidationError

from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.specs.trial import TrialSpec, config_of

TRAINING = TrainingSpec(learning_rate=1e-3, steps=5)


def test_a_configuration_is_its_content() -> None:
    one, two = (TrialSpec(method="lora", training=TRAINING, lora=LoraSpec(rank=rank)) for rank in (8, 4))
    assert one == TrialSpec.model_validate_json(one.model_dump_json())
    assert one.content_hash() == TrialSpec.model_validate_json(one.model_dump_json()).content_hash()
    assert one.content_hash() != two.content_hash()
    assert len({one, two, one}) == 2


def test_a_configuration_without_a_position_shift_is_what_it_was_before_there_was_one() -> None:
    plain, shifted = (
        TrialSpec(method="prefix", training=TRAINING, prefix=PrefixSpec(position_shift=on)) for on in (False, True)
    )
    assert plain.content_hash() == "6ee1a0a170a7f375"
    assert plain == TrialSpec.model_validate(
        {"method": "prefix", "training": TRAINING.model_dump(), "prefix": {"length": 10, "mlp": 512}}
    )
    assert shifted == TrialSpec.model_validate_json(shifted.model_dump_json())
    assert shifted.content_hash() != plain.content_hash()
    assert config_of(shifted) == {**config_of(plain), "prefix.position_shift": True}
    assert [spec.prefix.shift for spec in (plain, shifted) if spec.prefix] == [0, 10]


@pytest.mark.parametrize(
    ("method", "parts", "message"),
    [
        ("lora", {}, "method lora needs lora settings"),
        ("head", {"lora": LoraSpec()}, "method head takes no lora settings"),
        ("lora", {"lora": LoraSpec(), "gate": GateSpec()}, "method lora takes no gate settings"),
        ("majority", {}, "method must be one of"),
    ],
)
def test_parts_must_fit_the_method(method: str, parts: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrialSpec(method=method, training=TRAINING, **parts)  # type: ignore[arg-type]


def test_config_is_flat() -> None:
    config = config_of(TrialSpec(method="lora", training=TRAINING, lora=LoraSpec()))
    assert config["lora.rank"] == 8
    assert config["training.learning_rate"] == 1e-3
    assert not any(name.startswith(("adapter", "gate", "method")) for name in config)


def test_what_is_left_out_is_sorted_and_part_of_the_content_only_where_there_is_some() -> None:
    trial = TrialSpec.model_validate(GATED)
    smaller = TrialSpec.model_validate(GATED | {"without": [["lora", 3], ["adapter", 0], ["lora", 3]]})
    assert smaller.without == (("adapter", 0), ("lora", 3))
    assert smaller.content_hash() != trial.content_hash()
    assert "without" not in trial.model_dump()
    assert config_of(smaller)["without"] == "adapter 0, lora 3"
    assert "without" not in config_of(trial)
    assert TrialSpec.model_validate_json(smaller.model_dump_json()) == smaller


@pytest.mark.parametrize("pair", [["prefix", 0], ["lora", -1]])
def test_only_submodules_of_a_gated_method_can_be_left_out(pair: list[object]) -> None:
    with pytest.raises(ValidationError, match="without must name submodules of a method with gates"):
        TrialSpec.model_validate(GATED | {"without": [pair]})
    with pytest.raises(ValidationError, match="without must name submodules of a method with gates"):
        TrialSpec.model_validate(
            {"method": "lora", "training": GATED["training"], "lora": {}, "without": [["lora", 0]]}
        )


GATED = {
    "method": "unipelt_al", "training": {"learning_rate": 1e-3, "steps": 5}, "lora": {}, "adapter": {}, "gate": {},
}  # fmt: skip

from __future__ import annotations

import pytest
from pydantic import ValidationError

from unipelt_search.specs.trial import GateSpec, LoraSpec, TrainingSpec, TrialSpec, config_of

TRAINING = TrainingSpec(learning_rate=1e-3, steps=5)


def test_a_configuration_is_its_content() -> None:
    one, two = (TrialSpec(method="lora", training=TRAINING, lora=LoraSpec(rank=rank)) for rank in (8, 4))
    assert one == TrialSpec.model_validate_json(one.model_dump_json())
    assert one.content_hash() == TrialSpec.model_validate_json(one.model_dump_json()).content_hash()
    assert one.content_hash() != two.content_hash()
    assert len({one, two, one}) == 2


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

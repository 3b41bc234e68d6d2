from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from unipelt_search.methods.hyperparameter import choice, integer, real
from unipelt_search.methods.lora_settings import ENTRY, LoraSpec
from unipelt_search.methods.method_entry import OURS, SubmoduleEntry

GOOD: dict[str, Any] = {
    "name": "lora",
    "sentence": "For a test.",
    "torch_module": "package.module:NAME",
    "learning_rates": (1e-3, 1e-4, 1e-2),
}
SETTINGS: dict[str, Any] = {
    "settings": LoraSpec,
    "hyperparameters": (integer("lora.rank", 1, 8), real("lora.alpha", 1.0, 2.0), real("lora.dropout", 0.0, 0.2, 0.1)),
}


def test_an_entry_completes_its_hyperparameters() -> None:
    assert ENTRY.package == OURS
    assert [parameter.published for parameter in ENTRY.hyperparameters] == ["replace", 8, 16.0, 0.0]
    assert {parameter.submodule for parameter in ENTRY.hyperparameters} == {"lora"}
    method = ENTRY.as_method()
    assert (method.name, method.submodules, method.gated, method.trains) == ("lora", ("lora",), False, "submodules")
    assert SubmoduleEntry(**GOOD).hyperparameters == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Lora"}, "lower-case letters"),
        ({"name": "training"}, "none of"),
        ({"name": "a[b]"}, "lower-case letters"),
        ({"torch_module": "package.module"}, "package.module:NAME"),
        ({"settings": LoraSpec}, "once; got none, fields: rank, alpha, dropout"),
        ({"hyperparameters": (integer("lora.rank", 1, 8),)}, "got rank, fields: none"),
        ({"hyperparameters": (choice("gate.other", 1),)}, "must be named lora"),
        ({"hyperparameters": (choice("training.schedule", 1),)}, "must be named lora"),
        (
            {**SETTINGS, "hyperparameters": (*SETTINGS["hyperparameters"], choice("gate.lora", "a").model_copy(
                update={"unless": ("gate.prefix", "scale")}))},
            "must name a hyperparameter before it; got 'gate.prefix'",
        ),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SubmoduleEntry(**GOOD | changes)
    SubmoduleEntry(**GOOD | SETTINGS)

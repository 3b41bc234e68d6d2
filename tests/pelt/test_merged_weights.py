from __future__ import annotations

import torch

from tiny import tiny_backbone
from unipelt_search.pelt.merged_weights import linear_targets, set_values, tensors_of


def test_tensors_are_found_below_their_part_only() -> None:
    tensors = {"lora.0.up": torch.zeros(1), "lora.0.down": torch.ones(1), "lora_x.0.up": torch.ones(1)}
    assert tensors_of(tensors, "lora.0").keys() == {"up", "down"}
    assert tensors_of(tensors, "adapter") == {}


def test_targets_are_the_layers_that_there_are_tensors_for() -> None:
    backbone = tiny_backbone()
    tensors = {"1.query.up": torch.zeros(1), "0.value.up": torch.ones(1)}
    found = linear_targets(backbone, backbone.model, {"query": "query", "value": "value"}, tensors)
    assert [(target.name, target.site) for target in found] == [
        ("bert.encoder.layer.0.attention.self.value", "value"),
        ("bert.encoder.layer.1.attention.self.query", "query"),
    ]
    assert found[0].module is backbone.model.get_submodule(found[0].name)
    assert found[0].tensors["up"].item() == 1


def test_values_of_double_precision_are_rounded_into_the_parameter() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    set_values(parameter, torch.tensor([0.1, 0.2], dtype=torch.float64))
    assert parameter.dtype == torch.float32
    assert torch.equal(parameter.detach(), torch.tensor([0.1, 0.2]))

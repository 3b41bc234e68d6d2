from __future__ import annotations

import pytest
import torch

from tiny import tiny_backbone
from unipelt_search.pelt.merged_weights import (
    LinearTarget,
    by_module,
    is_transposed,
    linear_targets,
    merge_obstacle_of,
    set_values,
    tensors_of,
)


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


SITES = {"query": "query", "value": "value", "ffn": "ffn_out"}


def targets_of(family: str) -> list[LinearTarget]:
    backbone = tiny_backbone(family)
    tensors = {f"0.{site}.up": torch.zeros(1) for site in SITES}
    return linear_targets(backbone, backbone.model, SITES, tensors)


@pytest.mark.parametrize(
    ("family", "first", "second"),
    [
        ("bert", range(32), range(32)),
        ("gpt2", range(32), range(64, 96)),
        # Of grouped heads there are fewer values than queries.
        ("phi3", range(32), range(48, 64)),
        # Query, key and value of one head after the other.
        ("gpt_neox", [*range(8), *range(24, 32), *range(48, 56), *range(72, 80)],
         [*range(16, 24), *range(40, 48), *range(64, 72), *range(88, 96)]),
    ],
)  # fmt: skip
@torch.no_grad()
def test_a_projections_own_rows_are_read_and_written(family: str, first: range, second: range) -> None:
    query, value, ffn = targets_of(family)
    assert query.features.tolist() == list(first)
    assert value.features.tolist() == list(second)
    assert ffn.features.tolist() == list(range(32))
    before = value.module.weight.detach().clone()
    value.set_weight(value.weight() + 1)
    changed = (value.module.weight - before).T if is_transposed(value.module) else value.module.weight - before
    touched = [row for row in range(value.total) if float(changed[row].abs().max()) > 0.5]
    assert touched == list(second)
    bias = value.bias()
    assert (bias is None) == (family == "phi3")
    if bias is not None:
        value.set_bias(bias + 1)
        assert torch.allclose(value.bias(), bias + 1)
    assert list(by_module([query, value, ffn])) == list(dict.fromkeys([query.name, value.name, ffn.name]))


def test_only_linear_layers_can_be_changed_in_place() -> None:
    assert merge_obstacle_of(tiny_backbone("gpt2"), ["query", "ffn_out"]) is None
    backbone = tiny_backbone()
    packed = backbone.base.encoder.layer[0].output.dense
    packed.weight = torch.nn.Parameter(torch.zeros(32, 64, dtype=torch.uint8), requires_grad=False)
    assert "ffn_out of layer 0 is a Linear" in (merge_obstacle_of(backbone, ["ffn_out"]) or "")
    assert merge_obstacle_of(backbone, ["query"]) is None

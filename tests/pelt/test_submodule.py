from __future__ import annotations

import pytest

from tiny import tiny_backbone, tiny_trial
from unipelt_search.pelt.registry import torch_submodule
from unipelt_search.pelt.submodule import Submodule


class Plain(Submodule):
    """A submodule that says nothing."""

    name = "plain"


def test_what_a_submodule_does_not_say_holds_for_any() -> None:
    plain, backbone, trial = Plain(), tiny_backbone(), tiny_trial("head")
    plain.check(backbone, trial, 1)
    assert plain.packable(backbone)
    assert plain.closed_gate_removes(trial)
    assert plain.stored_form(trial) is trial
    assert plain.decays("plain/0.down")
    assert not plain.decays("plain/0.down_bias")
    for obstacle in (plain.merge_obstacle(backbone, trial), plain.peft_obstacle(backbone, trial)):
        assert obstacle is not None
        assert "plain" in obstacle.reason
    with pytest.raises(RuntimeError, match="merge_obstacle"):
        plain.merge(backbone, backbone.model, trial, {})
    with pytest.raises(RuntimeError, match="peft_obstacle"):
        plain.peft_form(backbone, backbone.model, trial, {})


@pytest.mark.parametrize(
    ("name", "decaying"),
    [
        ("lora", {"lora/0/query.down"}),
        ("adapter", {"adapter/0.down"}),
        ("bitfit", set()),
        ("ia3", set()),
        ("prefix", {"prefix.direct"}),
    ],
)
def test_biases_and_scales_do_not_decay(name: str, decaying: set[str]) -> None:
    tensors = {
        "lora": ["lora/0/query.down"],
        "adapter": ["adapter/0.down", "adapter/0.down_bias"],
        "bitfit": ["bitfit/pooler/dense.delta"],
        "ia3": ["ia3/0/key.deviation"],
        "prefix": ["prefix.direct", "prefix.first_bias"],
    }[name]
    assert {tensor for tensor in tensors if torch_submodule(name).decays(tensor)} == decaying


def test_only_a_prefix_has_a_part_that_is_only_there_while_training() -> None:
    trial = tiny_trial("unipelt_ap")
    stored = torch_submodule("prefix").stored_form(trial)
    assert stored != trial
    assert torch_submodule("prefix").stored_form(stored) is stored
    assert torch_submodule("adapter").stored_form(trial) is trial

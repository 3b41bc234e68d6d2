from __future__ import annotations

import pytest
import torch

from tiny import randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.pelt.bitfit import bias_modules
from unipelt_search.pelt.pack import Pack


def test_every_bias_of_the_backbone_has_a_delta_and_the_head_has_none() -> None:
    backbone = tiny_backbone("bert")
    names = [name.removeprefix("bert.") for name, _, _ in bias_modules(backbone)]
    biases = [name for name, _ in backbone.base.named_parameters() if name.endswith("bias")]
    assert sorted(f"{name}.bias" for name in names) == sorted(biases)
    assert "pooler.dense" in names
    assert "bert.pooler.dense" not in [n for n, _, _ in bias_modules(tiny_backbone("bert", pooling="mean"))]


@torch.no_grad()
def test_it_can_be_removed_as_a_whole_and_per_layer() -> None:
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("bitfit"))]) as pack:
        inputs = tiny_inputs([5, 4])
        plain = pack(inputs)
        randomise(pack)
        head = pack.parts["head/classifier"]
        changed = pack(inputs)
        head.weight.data.copy_(head.weight)
        without = pack(inputs, removed=frozenset({("bitfit", None)}))
        part = pack(inputs, removed=frozenset({("bitfit", 1)}))
        for other in pack.parts.values():
            if hasattr(other, "delta"):
                other.delta.zero_()
        assert torch.allclose(pack(inputs), without, atol=1e-6)
    assert not torch.allclose(plain, changed)
    assert not torch.allclose(part, changed)
    assert not torch.allclose(part, without)


def test_a_slot_without_bitfit_gets_no_gradient() -> None:
    runs = [tiny_run(tiny_trial("bitfit")), tiny_run(tiny_trial("head"), 1)]
    with Pack(tiny_backbone(), runs) as pack:
        pack({name: tensor.repeat(2, 1) for name, tensor in tiny_inputs([5, 4]).items()}).square().sum().backward()
        deltas = [part.delta.grad for part in pack.parts.values() if hasattr(part, "delta")]
    assert all(not grad[1].any() for grad in deltas)
    assert any(grad[0].any() for grad in deltas)


@pytest.mark.parametrize(("family", "part"), [("big_bird", "pooler"), ("gpt_oss", "router"), ("jamba", "conv1d")])
def test_what_never_runs_and_what_no_hook_reaches_is_not_trained(family: str, part: str) -> None:
    backbone = tiny_backbone(family)
    assert any(part in name for name, _ in backbone.model.named_modules())
    assert not [name for name, _, _ in bias_modules(backbone) if part in name]

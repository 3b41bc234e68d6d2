from __future__ import annotations

import math

import pytest
import torch

from tiny import randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.backbones.layers import AttentionShape
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.pelt.prefix_values import SlotPrefix
from unipelt_search.pelt.slots import ForwardContext, PackSlots
from unipelt_search.specs.trial import TrialSpec

SHAPE = AttentionShape(queries=4, heads=2, head_width=4, value_width=4, width=16)


def prefix_trial(length: int, mlp: int | None) -> TrialSpec:
    return tiny_trial("prefix").model_copy(update={"prefix": PrefixSpec(length=length, mlp=mlp)})


def test_the_mlp_is_the_published_one() -> None:
    prefix = SlotPrefix(range(3), SHAPE, PackSlots((prefix_trial(5, 7),), (1,)))
    made = prefix.materialise()
    assert made.shape == (1, 3, 2, 2, 5, 4)
    middle = torch.tanh(prefix.embedding[0] @ prefix.first[0].T + prefix.first_bias[0])
    flat = middle @ prefix.second[0].T + prefix.second_bias[0]  # (length, layers · 2 · heads · width)
    assert torch.allclose(made[0, 1, 0, 1, 4], flat[4].view(3, 2, 2, 4)[1, 0, 1], atol=1e-6)
    assert prefix.trained_count(0) == sum(p.numel() for p in prefix.parameters())
    assert prefix.slot_state_dict(0)["key_value"].numel() == 5 * 3 * 2 * 2 * 4


def test_direct_and_mlp_slots_share_a_pack() -> None:
    trials = [prefix_trial(5, None), prefix_trial(3, 7), tiny_trial("head")]
    together = SlotPrefix(range(2), SHAPE, PackSlots(tuple(trials), (1, 2, 3)))
    for slot, trial in enumerate(trials[:2]):
        alone = SlotPrefix(range(2), SHAPE, PackSlots((trial,), (slot + 1,)))
        assert torch.allclose(
            together.slot_state_dict(slot)["key_value"], alone.slot_state_dict(0)["key_value"], atol=1e-6
        )
        assert together.trained_count(slot) == alone.trained_count(0)
    assert together.slot_state_dict(2) == {}
    assert together.trained_count(2) == 0


@pytest.mark.parametrize("family", ["bert", "qwen2"])
@torch.no_grad()
def test_a_shorter_prefix_in_a_pack_is_as_if_alone(family: str) -> None:
    backbone, inputs = tiny_backbone(family), tiny_inputs([6, 3])
    runs = [tiny_run(prefix_trial(2, None)), tiny_run(prefix_trial(6, None), 1), tiny_run(tiny_trial("head"), 2)]
    with Pack(backbone, runs) as pack:
        randomise(pack)
        together = pack({name: tensor.repeat(3, 1) for name, tensor in inputs.items()})
        snapshots = [pack.slot_state_dict(slot) for slot in range(3)]
    for slot, run in enumerate(runs):
        with Pack(backbone, [run]) as alone:
            head = next(part for name, part in alone.parts.items() if name.startswith("head"))
            name = next(n for n in snapshots[slot] if n.startswith("head") and n.endswith("weight"))
            head.weight[0] = snapshots[slot][name]
            if head.bias is not None:
                head.bias[0] = snapshots[slot][name.replace("weight", "bias")]
            if "prefix" in alone.parts:
                values = snapshots[slot]["prefix.key_value"]
                alone.parts["prefix"].direct[0] = values.permute(3, 0, 1, 2, 4).reshape(values.shape[3], -1)
            assert torch.allclose(alone(inputs)[0], together[slot], atol=1e-5)


def test_absent_positions_are_masked() -> None:
    prefix = SlotPrefix(
        range(1),
        SHAPE,
        PackSlots(
            (
                prefix_trial(1, None),
                prefix_trial(3, None),
            ),
            (
                1,
                2,
            ),
        ),
    )
    assert prefix.absent.tolist() == [[0.0, -math.inf, -math.inf], [0.0, 0.0, 0.0]]


def test_keys_and_values_of_different_widths_are_counted_and_stored_without_padding() -> None:
    shape = AttentionShape(queries=2, heads=2, head_width=5, value_width=3, width=8)
    slots = PackSlots((prefix_trial(4, None),), (1,))
    prefix = SlotPrefix(range(3), shape, slots)
    assert prefix.trained_count(0) == 4 * 3 * 2 * (5 + 3)
    stored = prefix.slot_state_dict(0)
    fresh = SlotPrefix(range(3), shape, PackSlots((prefix_trial(4, None),), (2,)))
    fresh.load_slot_state_dict(0, stored)
    assert torch.equal(fresh.direct, prefix.direct)
    context = ForwardContext(1, torch.ones(2, 6))
    context.kept["prefix", None] = prefix.materialise()
    key, value, _ = prefix.of_rows(context, 1)
    assert (key.shape, value.shape) == ((2, 2, 4, 5), (2, 2, 4, 3))
    own = prefix.direct[0].view(4, 3, 2, 8)[:, 1]  # (length, heads, key and value)
    assert torch.equal(key[0].transpose(0, 1), own[..., :5])
    assert torch.equal(value[1].transpose(0, 1), own[..., 5:])

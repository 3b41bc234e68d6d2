from __future__ import annotations

import pytest
import torch

from tiny import tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.pelt.adapter import ACTIVATIONS, SlotAdapter
from unipelt_search.pelt.pack import Pack
from unipelt_search.pelt.slots import ForwardContext, PackSlots


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_maps_zero_to_zero(activation: str) -> None:
    assert not ACTIVATIONS[activation](torch.zeros(3)).any()


def test_slots_keep_their_own_activation_and_width() -> None:
    trials = [
        tiny_trial("adapter").model_copy(update={"adapter": AdapterSpec(bottleneck=units, activation=kind)})
        for units, kind in ((3, "relu"), (5, "tanh"))
    ]
    adapter = SlotAdapter("adapter", 0, 6, PackSlots(tuple(trials), (1, 2)))
    with torch.no_grad():
        for slot, units in enumerate((3, 5)):
            adapter.up[slot, :, :units].normal_()
    h = torch.randn(4, 2, 6)
    got = adapter.transform(h)
    for slot, kind in enumerate(("relu", "tanh")):
        own = adapter.slot_state_dict(slot)
        for row in (2 * slot, 2 * slot + 1):
            expected = ACTIVATIONS[kind](h[row] @ own["down"].T + own["down_bias"]) @ own["up"].T + own["up_bias"]
            assert torch.allclose(got[row], expected, atol=1e-6)


def test_padded_units_get_no_gradient() -> None:
    trials = [tiny_trial("adapter").model_copy(update={"adapter": AdapterSpec(bottleneck=units)}) for units in (3, 5)]
    adapter = SlotAdapter("adapter", 0, 6, PackSlots(tuple(trials), (1, 2)))
    adapter.transform(torch.randn(4, 2, 6)).square().sum().backward()
    adapter.transform(torch.randn(4, 2, 6)).sum().backward()
    assert not adapter.down.grad[0, 3:].any()
    assert not adapter.up.grad[0, :, 3:].any()
    assert not adapter.down_bias.grad[0, 3:].any()
    assert adapter.up.grad[1, :, 3:].any()


def test_beside_the_network_it_reads_the_feed_forward_input_and_scales_its_answer() -> None:
    trial = tiny_trial("parallel_adapter").model_copy(update={"parallel_adapter": ParallelAdapterSpec(scale=3.0)})
    slots = PackSlots((trial, tiny_trial("adapter")), (1, 2))
    adapter = SlotAdapter("parallel_adapter", 0, 6, slots)
    with torch.no_grad():
        adapter.up.normal_()
    x, h = torch.randn(2, 4, 6), torch.randn(2, 4, 6)
    slots.holder.set(ForwardContext(slots=2, tokens=torch.ones(2, 4)))
    adapter.read(adapter, (x,))
    got = adapter.hook(adapter, (), h)
    assert torch.allclose(got[0], h[0] + 3.0 * adapter.transform(x)[0], atol=1e-5)
    assert torch.equal(got[1], h[1])  # the other slot's adapter stands after the network


@torch.no_grad()
def test_the_parallel_adapter_changes_nothing_at_first_and_can_be_removed_per_layer() -> None:
    inputs = tiny_inputs([5, 4])
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as head:
        probe = head(inputs)
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("parallel_adapter"))]) as pack:
        assert torch.equal(pack(inputs), probe)
        for layer in (0, 1):
            pack.parts[f"parallel_adapter/{layer}"].up.normal_()
        one_removed = pack(inputs, removed=frozenset({("parallel_adapter", 0)}))
        assert torch.equal(pack(inputs, removed=frozenset({("parallel_adapter", None)})), probe)
        assert not torch.allclose(pack(inputs), one_removed)
        pack.parts["parallel_adapter/0"].up.zero_()
        assert torch.allclose(pack(inputs), one_removed, atol=1e-6)

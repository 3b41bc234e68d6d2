from __future__ import annotations

import pytest
import torch

from tiny import tiny_trial
from unipelt_search.pelt.adapter import ACTIVATIONS, SlotAdapter
from unipelt_search.pelt.slots import StateHolder
from unipelt_search.specs.trial import AdapterSpec


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_maps_zero_to_zero(activation: str) -> None:
    assert not ACTIVATIONS[activation](torch.zeros(3)).any()


def test_slots_keep_their_own_activation_and_width() -> None:
    trials = [
        tiny_trial("adapter").model_copy(update={"adapter": AdapterSpec(bottleneck=units, activation=kind)})
        for units, kind in ((3, "relu"), (5, "tanh"))
    ]
    adapter = SlotAdapter(0, 6, trials, [1, 2], StateHolder(), None)
    with torch.no_grad():
        for slot, units in enumerate((3, 5)):
            adapter.up[slot, :, :units].normal_()
    h = torch.randn(4, 2, 6)
    got = adapter.transform(h)
    for slot, kind in enumerate(("relu", "tanh")):
        own = adapter.stored(slot)
        for row in (2 * slot, 2 * slot + 1):
            expected = ACTIVATIONS[kind](h[row] @ own["down"].T + own["down_bias"]) @ own["up"].T + own["up_bias"]
            assert torch.allclose(got[row], expected, atol=1e-6)


def test_padded_units_get_no_gradient() -> None:
    trials = [tiny_trial("adapter").model_copy(update={"adapter": AdapterSpec(bottleneck=units)}) for units in (3, 5)]
    adapter = SlotAdapter(0, 6, trials, [1, 2], StateHolder(), None)
    adapter.transform(torch.randn(4, 2, 6)).square().sum().backward()
    adapter.transform(torch.randn(4, 2, 6)).sum().backward()
    assert not adapter.down.grad[0, 3:].any()
    assert not adapter.up.grad[0, :, 3:].any()
    assert not adapter.down_bias.grad[0, 3:].any()
    assert adapter.up.grad[1, :, 3:].any()

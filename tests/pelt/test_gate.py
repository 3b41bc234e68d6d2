from __future__ import annotations

import torch

from tiny import KeptGates, tiny_trial
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.pelt.gate import GateWeights, SlotGate, pooled_gate
from unipelt_search.pelt.slots import ForwardContext, PackSlots


def slots_of(*poolings: str) -> PackSlots:
    """Two slots of a gated method, which pool their gates as they are told to."""
    trial = tiny_trial("unipelt_al")
    trials = [trial.model_copy(update={"gate": GateSpec(pooling=pooling)}) for pooling in poolings]  # type: ignore[arg-type]
    return PackSlots(tuple(trials), (1, 2))


TOKENS = slots_of("tokens", "tokens")


def test_gates_start_near_a_half_and_lie_between_0_and_1() -> None:
    gate = SlotGate("adapter", 0, 16, TOKENS, [True, True])
    values = gate(torch.randn(6, 4, 16), ForwardContext(slots=2, tokens=torch.ones(6, 4)))
    assert values.shape == (6,)
    assert bool(((values > 0.4) & (values < 0.6)).all())


def test_padding_does_not_count() -> None:
    x, weight, bias = torch.randn(2, 5, 3), torch.randn(1, 3), torch.randn(1)
    mask = torch.tensor([[1.0, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
    changed = x + (1 - mask)[:, :, None] * 100
    assert torch.allclose(pooled_gate(x, weight, bias, mask), pooled_gate(changed, weight, bias, mask))


def test_only_slots_that_have_the_gate_are_shown_to_the_recorder() -> None:
    kept = KeptGates()
    gate = SlotGate("prefix", 1, 8, TOKENS, [True, False])
    state = ForwardContext(slots=2, tokens=torch.ones(4, 3), recorder=kept)
    gate(torch.randn(4, 3, 8), state)
    state.show_recorder()
    assert kept.values[1, "prefix"].isnan().tolist() == [False, False, True, True]
    assert set(gate.slot_state_dict(0)) == {"weight", "bias"}
    assert gate.slot_state_dict(1) == {}
    assert (1, "prefix") in state.gates


def test_all_positions_follows_the_published_code_for_that_slot_only() -> None:
    gate = SlotGate("adapter", 0, 4, slots_of("all_positions", "tokens"), [True, True])
    tokens = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    x = torch.randn(1, 2, 4).expand(2, 2, 4)
    padded, masked = gate(x, ForwardContext(slots=2, tokens=tokens)).tolist()
    both = pooled_gate(x[:1], gate.own.weight[:1], gate.own.bias[:1], torch.ones(1, 2))
    first = pooled_gate(x[:1], gate.own.weight[1:], gate.own.bias[1:], tokens[:1])
    assert abs(padded - both.item()) < 1e-6
    assert abs(masked - first.item()) < 1e-6


def test_slots_share_their_weights_between_layers_or_have_their_own() -> None:
    shared = GateWeights("shared.adapter", 4, [1, 2], [True, False])
    gates = [SlotGate("adapter", layer, 4, TOKENS, [True, True], shared) for layer in (0, 1)]
    x = torch.randn(2, 3, 4)
    state = ForwardContext(slots=2, tokens=torch.ones(2, 3))
    first, second = (gate(x, state) for gate in gates)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
    (first + second).sum().backward()
    assert shared.weight.grad[0].any()
    assert not shared.weight.grad[1].any()
    for gate in gates:
        assert not gate.own.weight.grad[0].any()
        assert gate.own.weight.grad[1].any()
        assert (gate.slot_state_dict(0), set(gate.slot_state_dict(1))) == ({}, {"weight", "bias"})
    assert (set(shared.slot_state_dict(0)), shared.slot_state_dict(1)) == ({"weight", "bias"}, {})

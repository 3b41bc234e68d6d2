from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tiny import EVERYTHING, KeptGates, randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.backbones.block_output import first_output
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.pelt.gate import GateWeights, SlotGate, pooled_gate, prefix_means
from unipelt_search.pelt.pack import Pack
from unipelt_search.pelt.slots import ForwardContext, PackSlots
from unipelt_search.specs.trial import TrialSpec


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


def test_prefix_means_are_means_of_the_real_tokens_so_far_wherever_the_padding_is() -> None:
    values = torch.tensor([[0.2, 0.4, 0.9, 0.5], [0.7, 0.2, 0.4, 0.9]])
    mask = torch.tensor([[1.0, 1, 1, 0], [0, 1, 1, 1]])
    found = prefix_means(values, mask)
    assert torch.allclose(found[0], torch.tensor([0.2, 0.3, 0.5, 0.5]))
    assert torch.allclose(found[1], torch.tensor([0.0, 0.2, 0.3, 0.5]))


def test_only_the_slot_that_asks_has_a_gate_for_each_position_and_its_last_is_recorded() -> None:
    kept = KeptGates()
    gate = SlotGate("adapter", 0, 4, slots_of("prefix_mean", "tokens"), [True, True])
    state = ForwardContext(slots=2, tokens=torch.tensor([[1.0, 1, 1, 0]] * 2), recorder=kept)
    values = gate(torch.randn(2, 4, 4), state)
    by_position = state.position_gates[0, "adapter"]
    assert torch.allclose(by_position[0, 2:], values[0])
    assert not torch.allclose(by_position[0, :2], values[0])
    assert torch.equal(by_position[1], values[1].expand(4))
    state.show_recorder()
    assert torch.equal(kept.values[0, "adapter"], values)


def by_position(method: str, **gate: Any) -> TrialSpec:
    """Make a configuration whose gates see no later token."""
    return tiny_trial(method).model_copy(update={"gate": GateSpec(**gate).by_position()})


@torch.no_grad()
def hidden_states(pack: Pack, inputs: dict[str, Tensor], **given: Any) -> list[Tensor]:
    """Return what every layer hands on, ``(S·B, T, D)``."""
    seen: list[Tensor] = []
    handles = [
        layer.module.register_forward_hook(lambda *call: seen.append(first_output(call[2]))) for layer in pack.layers
    ]
    pack(inputs, **given)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2"])
@pytest.mark.parametrize("method", ["unipelt_al", "unipelt_pl", "unipelt_apl"])
def test_a_later_token_changes_no_earlier_hidden_state(family: str, method: str) -> None:
    check_causal(family, by_position(method))
    with pytest.raises(AssertionError, match="earlier"):
        check_causal(family, by_position(method).model_copy(update={"gate": GateSpec()}))


@pytest.mark.parametrize("family", ["gpt2", "opt"])
def test_nor_with_every_submodule(family: str) -> None:
    check_causal(family, by_position(EVERYTHING, lora="multiply", sharing="shared"))


def check_causal(family: str, trial: TrialSpec) -> None:
    changed = 5
    inputs = tiny_inputs([8, 6])
    others = {name: tensor.clone() for name, tensor in inputs.items()}
    others["input_ids"][:, changed] = 4 + (others["input_ids"][:, changed] + 1) % 60
    with Pack(tiny_backbone(family), [tiny_run(trial)]) as pack:
        randomise(pack)
        before, after = hidden_states(pack, inputs), hidden_states(pack, others)
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one[:, :changed], other[:, :changed], rtol=0, atol=1e-6), "an earlier position"
        assert not torch.allclose(one[:, changed], other[:, changed], atol=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@torch.no_grad()
def test_slots_of_every_pooling_in_a_pack_are_as_if_alone(family: str) -> None:
    plain = tiny_trial("unipelt_apl")
    trials = [
        plain,
        by_position("unipelt_apl"),
        plain.model_copy(update={"gate": GateSpec(pooling="all_positions", prefix="logit", lora="multiply")}),
        by_position("unipelt_al"),
        tiny_trial("lora"),
    ]
    runs = [tiny_run(trial) for trial in trials]
    inputs = tiny_inputs([7, 4])
    repeated = {name: tensor.repeat(len(runs), 1) for name, tensor in inputs.items()}
    backbone = tiny_backbone(family)
    recorded, alone_recorded = KeptGates(), KeptGates()
    stored, expected = [], []
    for run in runs:
        with Pack(backbone, [run]) as alone:
            expected.append(alone(inputs, recorder=alone_recorded)[0])
            stored.append(alone.slot_state_dict(0))
            if run is runs[1]:
                own = dict(alone_recorded.values)
    with Pack(backbone, runs) as pack:
        together = pack(repeated, recorder=recorded)
    for slot, logits in enumerate(expected):
        assert torch.allclose(together[slot], logits, atol=1e-5)
    for key, values in own.items():
        assert torch.allclose(recorded.values[key][2:4], values, atol=1e-6)


@torch.no_grad()
def test_padding_on_either_side_changes_no_gate_by_position() -> None:
    right = tiny_inputs([6], width=9)
    left = {name: tensor.roll(3, 1) for name, tensor in right.items()}
    found = []
    # Without a prefix: one without positions is seen from the position of a token, which padding on the left moves.
    with Pack(tiny_backbone("llama"), [tiny_run(by_position("unipelt_al"))]) as pack:
        randomise(pack)
        for inputs in (tiny_inputs([6]), right, left):
            kept = KeptGates()
            found.append((pack(inputs, recorder=kept), kept.values))
    for logits, gates in found[1:]:
        assert torch.allclose(logits, found[0][0], atol=1e-5)
        for key, values in gates.items():
            assert torch.allclose(values, found[0][1][key], atol=1e-6)


class Contributions(KeptGates):
    contributions = True

    def record(self, kind: str, layer: int, gate: str, values: Tensor) -> None:
        """Keep contributions only."""
        if kind == "contribution":
            super().record(kind, layer, gate, values)


@torch.no_grad()
def test_gates_by_position_have_contributions_and_can_be_removed() -> None:
    inputs = tiny_inputs([7, 4])
    kept = Contributions()
    with Pack(tiny_backbone("gpt2"), [tiny_run(by_position(EVERYTHING))]) as pack:
        randomise(pack)
        full = pack(inputs, recorder=kept)
        for part in ("adapter", "parallel_adapter", "prefix", "lora", "bitfit", "ia3"):
            assert not torch.allclose(pack(inputs, removed=frozenset({(part, 0)})), full, atol=1e-4)
    names = {gate for _, gate in kept.values}
    assert names >= {"adapter", "parallel_adapter", "prefix", "lora_query", "lora_value", "bitfit", "ia3"}
    assert all(values.shape == (2,) and bool((values > 0).all()) for values in kept.values.values())

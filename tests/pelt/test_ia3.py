from __future__ import annotations

import torch

from tiny import randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.pelt.ia3 import SlotIa3
from unipelt_search.pelt.pack import Pack
from unipelt_search.pelt.slots import ForwardContext, PackSlots


class KeptContributions:
    contributions = True

    def __init__(self) -> None:
        self.values: dict[tuple[int, str], torch.Tensor] = {}

    def record(self, kind: str, layer: int, gate: str, values: torch.Tensor) -> None:
        assert kind == "contribution"
        self.values[layer, gate] = values


def test_each_slot_rescales_its_own_rows_and_a_slot_without_it_none() -> None:
    slots = PackSlots((tiny_trial("ia3"), tiny_trial("head"), tiny_trial("ia3")), (1, 2, 3))
    ia3 = SlotIa3(0, "key", 4, slots)
    with torch.no_grad():
        ia3.deviation.normal_()
    x = torch.randn(6, 3, 4)
    slots.holder.set(ForwardContext(slots=3, tokens=torch.ones(6, 3)))
    got = ia3.rescale(x)
    for slot, scale in ((0, 1 + ia3.deviation[0]), (1, torch.ones(4)), (2, 1 + ia3.deviation[2])):
        assert torch.allclose(got[2 * slot : 2 * slot + 2], x[2 * slot : 2 * slot + 2] * scale, atol=1e-6)
    got.square().sum().backward()
    assert ia3.deviation.grad is not None
    assert not ia3.deviation.grad[1].any()
    assert ia3.deviation.grad[0].any()
    assert set(ia3.slot_state_dict(0)) == {"deviation"}
    assert ia3.slot_state_dict(1) == {}


@torch.no_grad()
def test_it_starts_as_identity_and_can_be_removed_as_a_whole_and_per_layer() -> None:
    inputs = tiny_inputs([5, 4])
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as head:
        probe = head(inputs)
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("ia3"))]) as pack:
        assert torch.equal(pack(inputs), probe)
        for name, part in pack.parts.items():
            if name.startswith("ia3/"):
                part.deviation.normal_()
        full, part_removed = pack(inputs), pack(inputs, removed=frozenset({("ia3", 1)}))
        assert torch.equal(pack(inputs, removed=frozenset({("ia3", None)})), probe)
        pack.parts["ia3/1/key"].deviation.zero_()
        pack.parts["ia3/1/value"].deviation.zero_()
        pack.parts["ia3/1/ffn"].deviation.zero_()
        assert torch.allclose(pack(inputs), part_removed, atol=1e-6)
    assert not torch.allclose(full, part_removed)


@torch.no_grad()
def test_its_contribution_is_the_share_of_the_rescaled_vectors() -> None:
    kept = KeptContributions()
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("ia3"))]) as pack:
        randomise(pack)
        pack.parts["ia3/0/ffn"].deviation.fill_(1.0)
        pack(tiny_inputs([5, 4]), recorder=kept)
    assert set(kept.values) == {(layer, f"ia3_{site}") for layer in (0, 1) for site in ("key", "value", "ffn")}
    assert torch.allclose(kept.values[0, "ia3_ffn"], torch.full((2,), 0.5))


def test_its_scales_do_not_decay() -> None:
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("ia3"))]) as pack:
        assert not any(tensor.decays for tensor in pack.trained() if tensor.name.startswith("ia3/"))

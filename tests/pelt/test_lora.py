from __future__ import annotations

import pytest
import torch

from tiny import randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.pelt.lora import SlotLora
from unipelt_search.pelt.pack import Pack
from unipelt_search.pelt.slots import ForwardContext, PackSlots


@pytest.mark.parametrize(("mode", "expected"), [(None, 3.0), ("replace", 0.25), ("multiply", 0.75)])
def test_the_factor_is_alpha_over_rank_or_the_gate_or_both(mode: str | None, expected: float) -> None:
    trial = tiny_trial("lora" if mode is None else "unipelt_al")
    gate = GateSpec(lora=mode) if mode else None  # type: ignore[arg-type]
    trial = trial.model_copy(update={"lora": LoraSpec(rank=2, alpha=6.0), "gate": gate})
    lora = SlotLora(0, "query", (5, 4), PackSlots((trial,), (1,)))
    with torch.no_grad():
        lora.up.normal_()
    x = torch.randn(1, 3, 4)
    state = ForwardContext(slots=1, tokens=torch.ones(1, 3))
    if mode:
        state.gates[0, "lora_query"] = torch.tensor([0.25])
    assert torch.allclose(lora.update(x, state), expected * x @ lora.down[0].T @ lora.up[0].T, atol=1e-6)


def test_nothing_changes_before_the_first_step() -> None:
    backbone, inputs = tiny_backbone(), tiny_inputs([5, 3])
    with torch.no_grad(), Pack(backbone, [tiny_run(tiny_trial("lora"))]) as lora:
        attached = lora(inputs)
    with torch.no_grad(), Pack(backbone, [tiny_run(tiny_trial("head"))]) as head:
        assert torch.equal(attached, head(inputs))


def test_its_dropout_belongs_to_training() -> None:
    trial = tiny_trial("lora", dropout=0.0).model_copy(update={"lora": LoraSpec(dropout=0.5)})
    with torch.no_grad(), Pack(tiny_backbone(), [tiny_run(trial)]) as pack:
        randomise(pack)
        inputs = tiny_inputs([5, 3])
        assert torch.equal(pack(inputs), pack(inputs))
        assert not torch.allclose(pack(inputs), pack(inputs, steps=[0]))
        assert torch.equal(pack(inputs, steps=[0]), pack(inputs, steps=[0]))

from __future__ import annotations

import pytest
import torch

from tiny import randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.pelt.prefix import PREFIX
from unipelt_search.pelt.slots import ForwardContext


@pytest.mark.parametrize(("form", "removes"), [("logit", True), ("scale", False)])
@torch.no_grad()
def test_a_closed_gate_removes_a_prefix_only_where_it_acts_on_the_logits(form: str, removes: bool) -> None:
    gate = GateSpec(prefix=form)  # type: ignore[arg-type]
    trial = tiny_trial("unipelt_pl").model_copy(update={"gate": gate, "prefix": PrefixSpec(length=4, mlp=None)})
    inputs = tiny_inputs([6, 4])
    with Pack(tiny_backbone(), [tiny_run(trial)]) as pack:
        randomise(pack)
        for layer in (0, 1):
            own = pack.parts[f"gate/{layer}/prefix"].own
            own.weight.zero_()
            own.bias.fill_(-10_000.0)
        closed = pack(inputs)
        removed = pack(inputs, removed=frozenset({("prefix", None)}))
    assert PREFIX.closed_gate_removes(trial) is removes
    assert torch.allclose(closed, removed, atol=1e-4) is removes


def test_positions_are_moved_only_where_a_slot_asks_for_it_and_the_prefix_is_there() -> None:
    shifted = tiny_trial("prefix").model_copy(update={"prefix": PrefixSpec(length=4, mlp=None, position_shift=True)})
    inputs = tiny_inputs([5, 3])
    for trial, moved in ((shifted, True), (tiny_trial("prefix"), False)):
        with Pack(tiny_backbone(), [tiny_run(trial)]) as pack:
            (prepare,) = pack._attached.preparations
            context = ForwardContext(slots=1, tokens=inputs["attention_mask"].float())
            found = prepare(inputs, context)
            assert ("position_ids" in found) is moved
            assert ("prefix", None) in context.kept
            removed = ForwardContext(slots=1, tokens=context.tokens, removed=frozenset({("prefix", None)}))
            assert prepare(inputs, removed) is inputs
    with Pack(tiny_backbone(), [tiny_run(shifted)]) as pack:
        context = ForwardContext(slots=1, tokens=inputs["attention_mask"].float())
        positions = pack._attached.preparations[0](inputs, context)["position_ids"]
    assert positions.tolist() == [[4, 5, 6, 7, 8]] * 2

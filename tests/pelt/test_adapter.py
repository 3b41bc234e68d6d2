from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tiny import FAMILIES, KeptGates, randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.errors import BackboneError
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.pelt.adapter import ACTIVATIONS, ADAPTER, PARALLEL_ADAPTER, SlotAdapter
from unipelt_search.pelt.dropout import DropoutKeys
from unipelt_search.pelt.pack import Pack
from unipelt_search.pelt.slots import ForwardContext, PackSlots
from unipelt_search.specs.trial import TrialSpec

PUBLISHED = AdapterSpec(bottleneck=8, activation="relu", input="normalised", up="normal")


def published(method: str = "adapter", **changes: Any) -> TrialSpec:
    """Make a configuration with the published adapter."""
    trial = tiny_trial(method, dropout=0.3)
    return trial.model_copy(update={"adapter": PUBLISHED.model_copy(update=changes)})


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


def test_the_up_projection_is_drawn_per_slot_where_that_is_asked() -> None:
    trials = (published(bottleneck=5), published(bottleneck=3), published(up="zero"))
    pack = SlotAdapter("adapter", 0, 400, PackSlots(trials, (1, 2, 3)))
    alone = SlotAdapter("adapter", 0, 400, PackSlots(trials[1:2], (2,)))
    assert float(pack.up[0, :, :5].detach().std()) == pytest.approx(0.02, rel=0.1)
    assert torch.equal(pack.up[1, :, :3], alone.up[0])  # the run's own seed alone decides
    assert not pack.up[1, :, 3:].any() and not pack.up[2].any()
    assert not torch.equal(pack.up[0, :, :3], pack.up[1, :, :3])


def test_it_changes_the_logits_at_first_only_with_a_drawn_up_projection() -> None:
    assert ADAPTER.changes_logits_at_first(published())
    assert not ADAPTER.changes_logits_at_first(published(up="zero"))
    assert not ADAPTER.changes_logits_at_first(tiny_trial("adapter"))
    assert not PARALLEL_ADAPTER.changes_logits_at_first(tiny_trial("parallel_adapter"))


def test_what_cannot_be_computed_is_refused_before_anything_is_attached() -> None:
    backbone = tiny_backbone()
    stack = replace(backbone.family.stacks[0], sums=())
    without = replace(backbone, family=replace(backbone.family, stacks=(stack,)))
    with pytest.raises(BackboneError, match=r"adapter\.input must be 'feed_forward'"):
        Pack(without, [tiny_run(published())])
    assert not any(module._forward_hooks for module in without.model.modules())
    Pack(without, [tiny_run(published(input="feed_forward"))]).close()


@pytest.mark.parametrize("method", ["adapter", "unipelt_al"])
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "deberta-v2"])
@torch.no_grad()
def test_runs_that_read_different_things_are_in_a_pack_what_they_are_alone(family: str, method: str) -> None:
    """With dropout: what is read in front of it and what is read behind it share one pack."""
    backbone, inputs = tiny_backbone(family), tiny_inputs([7, 4, 5])
    trials = [
        published(method),
        published(method, input="feed_forward", bottleneck=3),
        published(method, bottleneck=5, activation="silu"),
        tiny_trial("head", dropout=0.3),
    ]
    runs = [tiny_run(trial, seed) for seed, trial in enumerate(trials)]
    alone, stored = [], []
    for run in runs:
        with Pack(backbone, [run]) as pack:
            randomise(pack)
            alone.append(pack(inputs, steps=[5])[0])
            stored.append({name: values.clone() for name, values in pack.slot_state_dict(0).items()})
    with Pack(backbone, runs) as pack:
        for slot, tensors in enumerate(stored):
            pack.load_slot_state_dict(slot, tensors)
        together = pack({name: values.repeat(len(runs), 1) for name, values in inputs.items()}, steps=[5] * len(runs))
    for slot, logits in enumerate(alone):
        assert torch.allclose(logits, together[slot], atol=1e-5)


@torch.no_grad()
def test_it_reads_behind_the_dropout_and_is_not_dropped_itself() -> None:
    """As in the official code: LN(dropout(h) + G · update(LN(dropout(h) + r)) + r)."""
    backbone = tiny_backbone()
    layer = backbone.base.encoder.layer[0]
    seen: dict[str, Tensor] = {}
    with Pack(backbone, [tiny_run(published())]) as pack:
        pack.parts["adapter/0"].up.normal_()
        handles = [
            layer.intermediate.dense.register_forward_pre_hook(lambda module, args: seen.update(r=args[0])),
            layer.output.dropout.register_forward_pre_hook(lambda module, args: seen.update(h=args[0])),
            layer.output.register_forward_hook(lambda module, args, output: seen.update(out=output)),
        ]
        pack(tiny_inputs([6, 4]), steps=[2])
        for handle in handles:
            handle.remove()
        h, r, norm = seen["h"], seen["r"], layer.output.LayerNorm
        (site,) = [
            hook.__self__ for hook in layer.output.dropout._forward_hooks.values() if hasattr(hook.__self__, "key")
        ]
        keys = DropoutKeys.of_step(pack.dropout_seeds, [2], pack.rates)
        dropped = keys.drop(h, site.key)
        update = pack.parts["adapter/0"].transform(norm(dropped + r))
        assert not torch.equal(dropped, h)
        assert torch.allclose(seen["out"], norm(dropped + update + r), atol=1e-6)


@torch.no_grad()
def test_a_removed_adapter_keeps_its_gate_and_the_block_is_as_without_it() -> None:
    inputs, kept, kept_removed = tiny_inputs([6, 4]), KeptGates(), KeptGates()
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as head:
        probe = head(inputs)
    with Pack(tiny_backbone(), [tiny_run(published("unipelt_al"))]) as pack:
        randomise(pack, head=False)
        pack(inputs, recorder=kept)
        removed = frozenset({("adapter", None), ("lora", None)})
        assert torch.allclose(pack(inputs, recorder=kept_removed, removed=removed), probe, atol=1e-6)
    assert kept_removed.values.keys() == kept.values.keys()


@pytest.mark.parametrize("family", ["bert", "llama"], ids=["with dropout", "without"])
@torch.no_grad()
def test_what_others_add_to_the_network_is_part_of_what_it_reads(family: str) -> None:
    """The parallel adapter's answer reaches the gate, wherever the adapter itself is hooked."""
    backbone, inputs = tiny_backbone(family), tiny_inputs([6, 4])
    trial = tiny_trial("unipelt_al").model_copy(
        update={
            "method": "unipelt[adapter,parallel_adapter]",
            "lora": None,
            "adapter": PUBLISHED,
            "parallel_adapter": ParallelAdapterSpec(bottleneck=8),
        }
    )
    gates = []
    with Pack(backbone, [tiny_run(trial)]) as pack:
        for std in (0.0, 1.0):
            pack.parts["parallel_adapter/0"].up.normal_(0.0, std)
            kept = KeptGates()
            pack(inputs, recorder=kept)
            gates.append(kept.values[0, "adapter"])
    assert not torch.allclose(gates[0], gates[1], atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "gpt_neox"])
def test_gradients_pass_through_what_it_reads(family: str) -> None:
    """The slope of a loss along a direction is what its gradient says, in double precision."""
    backbone, inputs = tiny_backbone(family), tiny_inputs([6, 4])
    backbone.model.double()
    with Pack(backbone, [tiny_run(published("unipelt_al"))]) as pack:
        pack.double()
        randomise(pack)
        # Those of the first layer, so that the second layer's adapter reads what they do.
        tensors = [
            values for name, values in pack.parts.named_parameters() if "/0/" in name or name.startswith("adapter/0")
        ]
        generator = torch.Generator().manual_seed(0)
        direction = [torch.randn(values.shape, generator=generator, dtype=torch.float64) for values in tensors]
        pack(inputs).square().sum().backward()
        expected = sum(float((values.grad * step).sum()) for values, step in zip(tensors, direction, strict=True))
        losses = []
        with torch.no_grad():
            for size in (1e-5, -2e-5):  # one step up, then to one step down
                for values, step in zip(tensors, direction, strict=True):
                    values.add_(size * step)
                losses.append(float(pack(inputs).square().sum()))
    assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(expected, rel=1e-4)

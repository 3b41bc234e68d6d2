from __future__ import annotations

import numpy as np
import pytest
import torch

from tiny import PARTS, SETS, SHIFTED, randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.errors import BackboneError
from unipelt_search.methods.catalogue import SUBMODULES
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.pack import Pack, without_training_only
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.training.recorder import GateRecorder


def test_fine_tuning_is_never_packed() -> None:
    with pytest.raises(ValueError, match="alone in its pack"):
        Pack(tiny_backbone(), [tiny_run(tiny_trial("fine_tuning")), tiny_run(tiny_trial("head"))])


@pytest.mark.parametrize("method", [*PARTS, *SETS])
def test_only_its_own_tensors_train_and_all_of_them_do(method: str) -> None:
    backbone = tiny_backbone()
    with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
        randomise(pack)
        pack(tiny_inputs([6, 4]), steps=[0]).square().sum().backward()
        trained = pack.trained()
        moving = [tensor for tensor in trained if tensor.parameter.grad is not None]
        assert sum(tensor.parameter.numel() for tensor in trained) == pack.counts(0)[0]
        still = {tensor.name for tensor in trained} - {tensor.name for tensor in moving}
        # Rows of an embedding table that no batch shows move later; everything else moves at once.
        assert not still
    assert all(parameter.grad is None for parameter in backbone.model.parameters())


def test_restoring_a_snapshot_brings_one_slot_back_and_leaves_the_other() -> None:
    runs = [tiny_run(tiny_trial("unipelt_apl"), i) for i in (0, 1)]
    inputs = {name: tensor.repeat(2, 1) for name, tensor in tiny_inputs([6, 4]).items()}
    with torch.no_grad(), Pack(tiny_backbone(), runs) as pack:
        before, snapshot = pack(inputs), pack.snapshot(0)
        randomise(pack)
        changed = pack(inputs)
        pack.restore(0, snapshot)
        after = pack(inputs)
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], changed[1])
    assert not torch.allclose(changed[0], before[0])


def test_gates_biases_and_norms_do_not_decay() -> None:
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("unipelt_apl"))]) as pack:
        decays = {tensor.name: tensor.decays for tensor in pack.trained()}
    assert not any(decays[name] for name in decays if "gate" in name or "bias" in name)
    assert decays["lora/0/query.down"]
    assert decays["adapter/0.up"]
    assert decays["head/classifier.weight"]
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("fine_tuning"))]) as pack:
        decays = {tensor.name: tensor.decays for tensor in pack.trained()}
    assert not decays["backbone.bert.embeddings.LayerNorm.weight"]
    assert decays["backbone.bert.embeddings.word_embeddings.weight"]


def shifted(method: str, length: int) -> TrialSpec:
    """A configuration whose tokens' positions begin behind its prefix."""
    prefix = PrefixSpec(length=length, mlp=None, position_shift=True)
    return tiny_trial(method).model_copy(update={"prefix": prefix})


@pytest.mark.parametrize(
    "trial",
    [*(tiny_trial(m) for m, parts in {**PARTS, **SETS}.items() if parts), shifted("prefix", 4)],
    ids=lambda t: t.method,
)
@torch.no_grad()
def test_removing_every_submodule_leaves_the_linear_probe(trial: TrialSpec) -> None:
    inputs = tiny_inputs([6, 4])
    with Pack(tiny_backbone(), [tiny_run(trial)]) as pack:
        torch.manual_seed(0)
        for name, part in pack.parts.items():
            if not name.startswith("head"):
                for parameter in part.parameters():
                    parameter.add_(torch.randn(parameter.shape) * 0.2)
        everything = frozenset((submodule, None) for submodule in SUBMODULES)
        bare, full = pack(inputs, removed=everything), pack(inputs)
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as probe:
        assert torch.allclose(probe(inputs), bare, atol=1e-6)
    assert not torch.allclose(full, bare)


@pytest.mark.parametrize("family", SHIFTED)
@torch.no_grad()
def test_slots_shift_positions_each_for_itself_whatever_the_padding(family: str) -> None:
    backbone, inputs = tiny_backbone(family, **SHIFTED[family]), tiny_inputs([6, 4])
    wide = {name: torch.nn.functional.pad(tensor, (0, 5)) for name, tensor in inputs.items()}
    trials = [shifted("prefix", 3), tiny_trial("lora"), shifted("unipelt_pl", 5), tiny_trial("prefix")]
    runs = [tiny_run(trial, number) for number, trial in enumerate(trials)]
    with Pack(backbone, runs) as pack:
        together = pack({name: tensor.repeat(4, 1) for name, tensor in inputs.items()})
        padded = pack({name: tensor.repeat(4, 1) for name, tensor in wide.items()})
    assert torch.allclose(together, padded, atol=1e-5)
    for slot, run in enumerate(runs):
        with Pack(backbone, [run]) as alone:
            assert torch.allclose(alone(inputs)[0], together[slot], atol=1e-5)
    plain = trials[0].model_copy(update={"prefix": PrefixSpec(length=3, mlp=None)})
    with Pack(backbone, [tiny_run(plain, 0)]) as unmoved:
        assert not torch.allclose(unmoved(inputs)[0], together[0], atol=1e-5)


def test_rows_that_do_not_fit_behind_the_prefix_are_refused() -> None:
    with Pack(tiny_backbone(), [tiny_run(shifted("prefix", 4))]) as pack:
        assert pack(tiny_inputs([60])).shape == (1, 1, 3)
        with pytest.raises(BackboneError, match=r"needs 4 \+ 61 positions, .*; 'bert' has 64\. Set a smaller"):
            pack(tiny_inputs([61]))


@pytest.mark.parametrize("method", [*PARTS, *SETS])
@torch.no_grad()
def test_stored_weights_load_into_a_fresh_pack(method: str) -> None:
    inputs, backbone = tiny_inputs([6, 4]), tiny_backbone()
    with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
        randomise(pack)
        before, stored = pack(inputs), {name: tensor.clone() for name, tensor in pack.slot_state_dict(0).items()}
    with Pack(backbone, [without_training_only(tiny_run(tiny_trial(method), 1))]) as fresh:
        assert not torch.allclose(fresh(inputs), before, atol=1e-3)
        fresh.load_slot_state_dict(0, stored)
        assert torch.allclose(fresh(inputs), before, atol=1e-6)
        again = fresh.slot_state_dict(0)
    assert again.keys() == stored.keys()
    assert all(torch.allclose(again[name], stored[name], atol=1e-6) for name in stored)


def test_stored_weights_of_another_configuration_are_refused() -> None:
    backbone = tiny_backbone()
    with Pack(backbone, [tiny_run(tiny_trial("lora"))]) as pack:
        stored = pack.slot_state_dict(0)
    with (
        Pack(backbone, [tiny_run(tiny_trial("adapter"))]) as fresh,
        pytest.raises(BackboneError, match="same configuration on 'bert'; they differ in adapter.0.down"),
    ):
        fresh.load_slot_state_dict(0, stored)


def test_a_prefix_with_its_mlp_does_not_take_stored_weights() -> None:
    run = tiny_run(tiny_trial("unipelt_ap"))
    assert run.trial.prefix is not None
    assert run.trial.prefix.mlp is not None
    with Pack(tiny_backbone(), [run]) as pack, pytest.raises(ValueError, match="without_training_only"):
        pack.load_slot_state_dict(0, pack.slot_state_dict(0))


WITHOUT = (("adapter", 0), ("lora", 1), ("prefix", 0))


def test_what_is_left_out_of_a_layer_acts_as_if_removed_and_is_not_stored() -> None:
    whole = tiny_trial("unipelt_apl")
    whole = whole.model_copy(update={"prefix": PrefixSpec(length=4, mlp=None)})
    smaller = whole.model_copy(update={"without": WITHOUT})
    backbone, inputs = tiny_backbone(), tiny_inputs([7, 4])
    with Pack(backbone, [tiny_run(whole)]) as pack:
        randomise(pack)
        weights = {name: tensor.clone() for name, tensor in pack.slot_state_dict(0).items()}
        expected = pack(inputs, removed=frozenset(WITHOUT))
        everything = pack.counts(0)[1]
    gone = ("adapter.0.", "gate.0.adapter.", "lora.1.", "gate.1.lora", "gate.0.prefix.")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(gone)}
    kept["prefix.key_value"] = weights["prefix.key_value"][1:]
    with Pack(backbone, [tiny_run(smaller)]) as pack:
        assert set(pack.slot_state_dict(0)) == set(kept)
        pack.load_slot_state_dict(0, kept)
        recorder = GateRecorder(1, 2, contributions=False)
        recorder.begin(np.arange(2))
        assert torch.allclose(pack(inputs, recorder=recorder), expected, atol=1e-6)
        assert pack.counts(0)[1] == sum(tensor.numel() for tensor in kept.values()) < everything
    assert set(recorder.gates(0)) == {(0, "lora_query"), (0, "lora_value"), (1, "adapter"), (1, "prefix")}


def test_a_submodule_may_be_left_out_of_every_layer() -> None:
    gone = (("prefix", 0), ("prefix", 1))
    plain = tiny_trial("unipelt_ap").model_copy(update={"without": gone})
    shifted = plain.model_copy(update={"prefix": PrefixSpec(position_shift=True)})
    predictions = []
    for trial in (plain, shifted):
        with Pack(tiny_backbone(), [tiny_run(trial)]) as pack:
            assert not any("prefix" in name for name in pack.slot_state_dict(0))
            randomise(pack)
            predictions.append(pack(tiny_inputs([5])))
    assert torch.equal(*predictions)  # without a prefix nothing is shifted


def test_left_out_submodules_must_be_of_layers_that_there_are() -> None:
    trial = tiny_trial("unipelt_ap").model_copy(update={"without": (("prefix", 2),)})
    with pytest.raises(BackboneError, match=r"layers below 2, .* got prefix in layer 2"):
        Pack(tiny_backbone(), [tiny_run(trial)])
    with pytest.raises(BackboneError):  # other runs have what this one leaves out
        Pack(tiny_backbone(), [tiny_run(trial.model_copy(update={"without": (("prefix", 1),)})), tiny_run(trial)])


@pytest.mark.parametrize(
    ("method", "older"), [("bitfit", "bitfit.pooler.delta"), ("fine_tuning", "backbone.bert.pooler.bias")]
)
def test_a_part_that_never_runs_is_not_counted_and_is_left_out_of_what_was_stored_with_it(
    method: str, older: str
) -> None:
    backbone = tiny_backbone("big_bird")
    with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
        stored = pack.slot_state_dict(0)
        assert not [name for name in stored if "pooler" in name]
        pack.load_slot_state_dict(0, {**stored, older: torch.zeros(32)})
        with pytest.raises(BackboneError, match="differ in other.bert.x"):
            pack.load_slot_state_dict(0, {**stored, "other.bert.x": torch.zeros(1)})

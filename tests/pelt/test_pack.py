from __future__ import annotations

import pytest
import torch

from tiny import PARTS, randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.pelt.pack import Pack


def test_fine_tuning_is_never_packed() -> None:
    with pytest.raises(ValueError, match="alone in its pack"):
        Pack(tiny_backbone(), [tiny_run(tiny_trial("fine_tuning")), tiny_run(tiny_trial("head"))])


@pytest.mark.parametrize("method", PARTS)
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


@pytest.mark.parametrize("method", [m for m, parts in PARTS.items() if parts])
@torch.no_grad()
def test_removing_every_submodule_leaves_the_linear_probe(method: str) -> None:
    inputs = tiny_inputs([6, 4])
    with Pack(tiny_backbone(), [tiny_run(tiny_trial(method))]) as pack:
        torch.manual_seed(0)
        for name, part in pack.parts.items():
            if not name.startswith("head"):
                for parameter in part.parameters():
                    parameter.add_(torch.randn(parameter.shape) * 0.2)
        everything = frozenset((submodule, None) for submodule in ("adapter", "prefix", "lora", "bitfit"))
        bare, full = pack(inputs, removed=everything), pack(inputs)
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as probe:
        assert torch.allclose(probe(inputs), bare, atol=1e-6)
    assert not torch.allclose(full, bare)


@pytest.mark.parametrize("method", PARTS)
@torch.no_grad()
def test_what_is_stored_can_be_loaded_into_another_pack(method: str) -> None:
    trial = tiny_trial(method)
    if trial.prefix is not None:
        trial = trial.model_copy(update={"prefix": trial.prefix.model_copy(update={"mlp": None})})
    inputs, backbone = tiny_inputs([6, 4]), tiny_backbone()
    with Pack(backbone, [tiny_run(trial)]) as pack:
        randomise(pack)
        stored, expected = {name: tensor.clone() for name, tensor in pack.stored(0).items()}, pack(inputs)
    with Pack(backbone, [tiny_run(trial, 1)]) as other:
        assert not torch.allclose(other(inputs), expected)
        other.load_stored(0, stored)
        assert torch.equal(other(inputs), expected)
        with pytest.raises(ValueError, match="names and shapes of the slot's own"):
            other.load_stored(0, {**stored, "more": torch.ones(1)})

"""Runs in a pack are the runs alone; a sentence is the same alone, in a batch and with more padding."""

from __future__ import annotations

import pytest
import torch

from tiny import (
    EVERYTHING,
    FAMILIES,
    PARTS,
    SETS,
    WITHOUT_BIASES,
    KeptGates,
    randomise,
    tiny_backbone,
    tiny_inputs,
    tiny_run,
    tiny_task,
    tiny_trial,
)
from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.catalogue import TRAINED_METHODS, find_method
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.parallel_adapter_settings import ParallelAdapterSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.results import RunResult
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.training.train import train

PUBLISHED_ADAPTER = AdapterSpec(bottleneck=7, activation="relu", input="normalised", up="normal")
DIFFERENT: list[TrialSpec] = [
    tiny_trial("head", learning_rate=2e-2, batch_size=5),
    tiny_trial("bitfit"),
    tiny_trial("lora").model_copy(update={"lora": LoraSpec(rank=3, alpha=5.0, dropout=0.2)}),
    tiny_trial("adapter", steps=9, evaluations=3).model_copy(
        update={"adapter": AdapterSpec(bottleneck=5, activation="relu")}
    ),
    tiny_trial("adapter", dropout=0.3).model_copy(update={"adapter": PUBLISHED_ADAPTER}),
    tiny_trial("unipelt_apl", dropout=0.2).model_copy(update={"adapter": PUBLISHED_ADAPTER}),
    tiny_trial("prefix", learning_rate=5e-2).model_copy(update={"prefix": PrefixSpec(length=6, mlp=None)}),
    tiny_trial("prefix", dropout=0.3).model_copy(update={"prefix": PrefixSpec(length=2, mlp=7)}),
    tiny_trial("prefix").model_copy(update={"prefix": PrefixSpec(length=5, mlp=None, position_shift=True)}),
    tiny_trial("unipelt_ap").model_copy(update={"prefix": PrefixSpec(length=3, mlp=4, position_shift=True)}),
    tiny_trial("unipelt_apl", schedule="cosine"),
    tiny_trial("unipelt_al").model_copy(update={"gate": GateSpec(sharing="shared", pooling="tokens")}),
    tiny_trial("unipelt_ap", batch_size=3),
    tiny_trial("ia3", learning_rate=5e-2),
    tiny_trial("ia3", dropout=0.2, batch_size=6),
    tiny_trial("parallel_adapter", schedule="constant"),
    tiny_trial("parallel_adapter").model_copy(
        update={"parallel_adapter": ParallelAdapterSpec(bottleneck=3, activation="silu", scale=0.5)}
    ),
    tiny_trial("unipelt_pl", weight_decay=0.2).model_copy(
        update={"gate": GateSpec(lora="multiply", prefix="logit"), "prefix": PrefixSpec(length=3, mlp=9)}
    ),
    tiny_trial(EVERYTHING, dropout=0.2),
    tiny_trial(EVERYTHING).model_copy(
        update={"gate": GateSpec(lora="multiply", prefix="logit", sharing="shared"), "lora": LoraSpec(rank=2)}
    ),
    tiny_trial("unipelt[bitfit,ia3]", learning_rate=5e-2),
]


def test_every_method_is_in_the_pack() -> None:
    assert {trial.method for trial in DIFFERENT} == {*TRAINED_METHODS, *SETS} - {"fine_tuning"}


@pytest.mark.parametrize(
    ("family", "kind", "balanced"),
    [
        ("bert", "classification", False),
        ("qwen2", "classification", False),
        ("bert", "classification", True),
        ("bert", "regression", False),
        ("bert", "multi_label", True),
    ],
)
def test_different_runs_in_one_pack_are_the_same_alone(family: str, kind: str, balanced: bool) -> None:
    task = tiny_task(kind=kind, balanced=balanced)
    backbone = tiny_backbone(family, task.target.outputs)
    trials = [t for t in DIFFERENT if not (t.method == "bitfit" and family == "llama")]
    runs = [tiny_run(trial, number) for number, trial in enumerate(trials)]
    packed = train(runs, backbone, task)
    for run, together in zip(runs, packed, strict=True):
        (alone,) = train([run], backbone, task)
        assert isinstance(together, RunResult)
        assert isinstance(alone, RunResult)
        assert len(together.evaluations) == run.trial.training.evaluations
        for a, b in zip(together.evaluations, alone.evaluations, strict=True):
            assert a.train_loss == pytest.approx(b.train_loss, abs=1e-5)
            assert a.value == pytest.approx(b.value, abs=1e-5)
        assert together.costs.trained_parameters == alone.costs.trained_parameters
        assert together.costs.stored_parameters == alone.costs.stored_parameters
        for a, b in zip(together.gates, alone.gates, strict=True):
            assert (a.layer, a.gate) == (b.layer, b.gate)
            assert a.mean == pytest.approx(b.mean, abs=1e-5)


@pytest.mark.parametrize("method", [*PARTS, *SETS])
def test_training_is_the_same_twice(method: str) -> None:
    backbone, task = tiny_backbone("bert"), tiny_task()
    run = tiny_run(tiny_trial(method, steps=4), 1, confirm=True, ablation=True)
    first, second = (train([run], backbone, task)[0] for _ in range(2))
    assert isinstance(first, RunResult)
    assert isinstance(second, RunResult)
    assert first.evaluations[-1].train_loss == second.evaluations[-1].train_loss
    assert first.model_dump(exclude={"costs", "evaluations"}) == second.model_dump(exclude={"costs", "evaluations"})
    submodules = find_method(method).submodules
    assert [(row.submodule, row.layer) for row in first.ablation] == [
        (submodule, layer) for layer in (None, 0, 1) for submodule in submodules
    ]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", [*PARTS, *SETS])
@torch.no_grad()
def test_a_sentence_is_the_same_alone_in_a_batch_and_with_more_padding(family: str, method: str) -> None:
    if "bitfit" in method and family in WITHOUT_BIASES:
        pytest.skip(f"{family} has no biases")
    lengths = [9, 4, 6]
    inputs = tiny_inputs(lengths)
    wide = {name: torch.nn.functional.pad(tensor, (0, 5)) for name, tensor in inputs.items()}
    with Pack(tiny_backbone(family), [tiny_run(tiny_trial(method))]) as pack:
        randomise(pack)
        gates, padded_gates = KeptGates(), KeptGates()
        together, padded = pack(inputs, recorder=gates)[0], pack(wide, recorder=padded_gates)[0]
        assert torch.allclose(together, padded, atol=1e-5)
        for row, length in enumerate(lengths):
            own = KeptGates()
            part = {name: tensor[row : row + 1, :length] for name, tensor in inputs.items()}
            assert torch.allclose(pack(part, recorder=own)[0, 0], together[row], atol=1e-5)
            assert own.values.keys() == gates.values.keys() == padded_gates.values.keys()
            for key, value in own.values.items():
                assert torch.allclose(value[0], gates.values[key][row], atol=1e-5)
                assert torch.allclose(value[0], padded_gates.values[key][row], atol=1e-5)
    assert bool(gates.values) == bool(tiny_trial(method).gate)


@pytest.mark.parametrize("method", ["lora", "prefix", "unipelt_pl", "adapter", "parallel_adapter", "ia3"])
@torch.no_grad()
def test_a_causal_backbone_does_not_look_ahead(method: str) -> None:
    """Changing the last token leaves the hidden states of all earlier positions as they were."""
    backbone = tiny_backbone("qwen2")
    inputs = tiny_inputs([9, 9])
    changed = {**inputs, "input_ids": inputs["input_ids"].clone()}
    changed["input_ids"][:, -1] = (changed["input_ids"][:, -1] + 1) % 60 + 4
    seen: list[torch.Tensor] = []
    trial = tiny_trial(method)
    if (
        trial.gate
    ):  # a gate is a mean over the whole sentence, by its definition; here only the attention is of interest
        trial = trial.model_copy(update={"method": "prefix", "gate": None, "lora": None})
    with Pack(backbone, [tiny_run(trial)]) as pack:
        randomise(pack)
        handle = backbone.base.register_forward_hook(lambda module, args, output: seen.append(output[0]))
        pack(inputs)
        pack(changed)
        handle.remove()
    assert torch.allclose(seen[0][:, :-1], seen[1][:, :-1], atol=1e-6)
    assert not torch.allclose(seen[0][:, -1], seen[1][:, -1], atol=1e-3)

from __future__ import annotations

import subprocess
import sys

import torch

from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.trial import RunSpec
from unipelt_search.testing.test_submodules import trial_of
from unipelt_search.testing.tiny_models import KeptGates, randomise, tiny_backbone, tiny_inputs, tiny_model


def test_a_tiny_model_is_the_same_every_time() -> None:
    first, second = tiny_model("bert"), tiny_model("bert")
    assert all(torch.equal(second.state_dict()[name], values) for name, values in first.state_dict().items())
    assert tiny_model("bert", 2, hidden_size=64).config.hidden_size == 64


def test_inputs_are_padded_to_the_longest_row_or_wider() -> None:
    assert tiny_inputs([3, 5])["input_ids"].shape == (2, 5)
    wide = tiny_inputs([3, 5], width=8)
    assert wide["attention_mask"].sum(1).tolist() == [3, 5]
    assert torch.equal(wide["input_ids"][:, :5], tiny_inputs([3, 5])["input_ids"])


def test_randomise_spares_the_head_where_it_is_asked_to() -> None:
    backbone = tiny_backbone("bert", hidden_size=64)
    with Pack(backbone, [RunSpec(trial=trial_of("lora"), seeds=run_seeds(7, 0))]) as pack:
        before = {name: values.clone() for name, values in pack.slot_state_dict(0).items()}
        randomise(pack, head=False)
        changed = {name for name, values in pack.slot_state_dict(0).items() if not torch.equal(values, before[name])}
    assert changed == {name for name in before if not name.startswith("head.")}


def test_a_recorder_keeps_gates_by_layer_and_name() -> None:
    kept = KeptGates()
    kept.record("gate", 1, "lora_query", torch.ones(2))
    assert list(kept.values) == [(1, "lora_query")]


def test_nothing_but_the_suite_needs_pytest() -> None:
    code = "import sys, unipelt_search.testing.tiny_models, unipelt_search.api; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

"""The files of a pooled folder; `test_merged_folder` loads them with sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from described_model import described
from transformers import AutoModel

from tiny import randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.exporting.pooled_folder import pooled_logits, write_pooled
from unipelt_search.pelt.pack import Pack


@pytest.mark.parametrize(
    ("family", "pooling"),
    [
        ("bert", "cls"),
        ("gpt2", "mean"),
        ("llama", "last"),
        ("bert", "weighted_mean"),
        ("bert", "max"),
        ("bert", "last+mean+cls"),
    ],
)
@torch.no_grad()
def test_what_is_written_computes_the_same(tmp_path: Path, family: str, pooling: str) -> None:
    backbone = tiny_backbone(family, pooling=pooling)
    trial = tiny_trial("ia3")
    inputs = tiny_inputs([7, 3])
    with Pack(backbone, [tiny_run(trial)]) as pack:
        randomise(pack)
        expected = pack.eval()(inputs)[0]
        stored = {name: values.clone() for name, values in pack.slot_state_dict(0).items()}
    saved = described(labels=("a", "b", "c")).model_copy(update={"trial": trial})
    write_pooled(tmp_path, backbone, saved, stored)
    assert torch.allclose(pooled_logits(tmp_path, type(backbone.base), inputs), expected, atol=1e-5)
    types = [module["type"].split(".")[-1] for module in json.loads((tmp_path / "modules.json").read_text())]
    assert types == ["Transformer", "Pooling", "Dense"]
    modes = json.loads((tmp_path / "1_Pooling" / "config.json").read_text())
    assert modes["word_embedding_dimension"] == 32
    true = [key.removeprefix("pooling_mode_").split("_")[0] for key, value in modes.items() if value is True]
    # sentence-transformers joins several in an order of its own; the classifier's columns are sorted likewise.
    theirs = {"last": ["lasttoken"], "weighted_mean": ["weightedmean"], "last+mean+cls": ["cls", "mean", "lasttoken"]}
    assert true == theirs.get(pooling, [pooling])
    dense = json.loads((tmp_path / "2_Dense" / "config.json").read_text())
    assert dense["activation_function"] == "torch.nn.modules.linear.Identity"
    assert dense["bias"] == (family == "bert")  # a decoder's last layer has none
    assert json.loads((tmp_path / "sentence_bert_config.json").read_text())["max_seq_length"] == 64


@torch.no_grad()
def test_numbers_come_in_the_units_of_the_labels(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama", 1)
    inputs = tiny_inputs([7, 3])
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        randomise(pack)
        expected = pack.eval()(inputs)[0]
        stored = {name: values.clone() for name, values in pack.slot_state_dict(0).items()}
    number = described(kind="regression", labels=(), mean=-3.0, sd=4.0)
    saved = number.model_copy(update={"trial": tiny_trial("head")})
    write_pooled(tmp_path, backbone, saved, stored)
    assert torch.allclose(pooled_logits(tmp_path, type(backbone.base), inputs), expected * 4 - 3, atol=1e-5)


def test_nothing_is_missing_when_it_is_loaded(tmp_path: Path) -> None:
    backbone = tiny_backbone("roberta", pooling="mean")
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        stored = {name: values.detach().clone() for name, values in pack.slot_state_dict(0).items()}
    saved = described(labels=("a", "b", "c")).model_copy(update={"trial": tiny_trial("head")})
    write_pooled(tmp_path, backbone, saved, stored)
    model, info = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not model.pooler.dense.weight.any()  # RoBERTa's class has one, which nothing reads

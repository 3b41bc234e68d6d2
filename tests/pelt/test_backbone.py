from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tiny import tiny_backbone, tiny_model, tiny_tokenizer
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.backbone import load_backbone
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.study import BackboneSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model("bert", classes=2).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


def test_loads_frozen_with_a_head_of_the_asked_size(folder: Path) -> None:
    backbone = load_backbone(BackboneSpec(model=str(folder)), 5, "cpu")
    assert backbone.model.config.num_labels == backbone.classes == 5
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())
    assert not backbone.model.training
    assert (backbone.pooling, backbone.new_modules, backbone.max_length) == ("native", ("classifier",), 64)


@pytest.mark.parametrize(("mode", "pooling"), [("mean_tokens", "mean"), ("cls_token", "cls"), ("lasttoken", "last")])
def test_a_declared_sentence_transformers_pooling_is_used(folder: Path, mode: str, pooling: str) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))
    assert load_backbone(BackboneSpec(model=str(folder)), 2, "cpu").pooling == pooling
    assert load_backbone(BackboneSpec(model=str(folder), pooling="native"), 2, "cpu").pooling == "native"


def test_a_pooler_that_the_checkpoint_lacks_is_part_of_the_head(tmp_path: Path) -> None:
    model = tiny_model("bert")
    model.save_pretrained(tmp_path, state_dict={k: v for k, v in model.state_dict().items() if "pooler" not in k})
    tiny_tokenizer().save_pretrained(tmp_path)
    assert load_backbone(BackboneSpec(model=str(tmp_path)), 3, "cpu").new_modules == ("bert.pooler.dense", "classifier")


@pytest.mark.parametrize("name", ["no/such-model", "nowhere"])
def test_an_unknown_name_is_one_sentence(name: str) -> None:
    with pytest.raises(BackboneError, match=rf"--model must be .*got '{name}'. The hub is switched off"):
        load_backbone(BackboneSpec(model=name), 2, "cpu")


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(tiny_model("bert").state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="safetensors"):
        load_backbone(BackboneSpec(model=str(folder)), 2, "cpu")


def test_code_beside_a_model_is_never_run(folder: Path) -> None:
    canary = folder / "canary"
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    load_backbone(BackboneSpec(model=str(folder)), 2, "cpu")
    assert not canary.exists()


def test_a_pack_leaves_the_backbone_as_it_was() -> None:
    from tiny import PARTS, tiny_run, tiny_trial

    backbone = tiny_backbone()
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    for method in PARTS:
        with Pack(backbone, [tiny_run(tiny_trial(method))]) as pack:
            for tensor in pack.trained():
                tensor.parameter.data += 1
    for module in backbone.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "pelt_prefix" not in module.__dict__
    after = backbone.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)

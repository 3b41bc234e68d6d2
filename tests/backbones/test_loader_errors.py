from __future__ import annotations

import json
from pathlib import Path

import pytest

from tiny import tiny_model, tiny_tokenizer
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import BackboneError
from unipelt_search.specs.study import BackboneSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model("bert", classes=2).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["no/such-model", "nowhere", "n" * 300])
def test_an_unknown_name_is_one_sentence(name: str) -> None:
    with pytest.raises(BackboneError, match=rf"--model must be .*got '{name}'. The hub is switched off"):
        load_backbone(BackboneSpec(model=name), 2, "cpu")


def test_code_beside_a_model_is_never_run(folder: Path) -> None:
    canary = folder / "canary"
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    load_backbone(BackboneSpec(model=str(folder)), 2, "cpu")
    assert not canary.exists()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_file_is_no_folder(folder: Path, file: str) -> None:
    with pytest.raises(BackboneError, match="must be a folder or a hub name; .* is a file. Give the folder"):
        load_backbone(BackboneSpec(model=str(folder / file)), 2, "cpu")

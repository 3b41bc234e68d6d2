from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tiny import tiny_backbone, tiny_inputs, tiny_model, tiny_run, tiny_tokenizer, tiny_trial
from unipelt_search.backbones.load_backbone import load_backbone, make_backbone
from unipelt_search.errors import BackboneError
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


def test_a_pooler_that_the_checkpoint_lacks_is_part_of_the_head(tmp_path: Path) -> None:
    model = tiny_model("bert")
    model.save_pretrained(tmp_path, state_dict={k: v for k, v in model.state_dict().items() if "pooler" not in k})
    tiny_tokenizer().save_pretrained(tmp_path)
    assert load_backbone(BackboneSpec(model=str(tmp_path)), 3, "cpu").new_modules == ("bert.pooler.dense", "classifier")


def test_a_checkpoint_in_bfloat16_loads_in_float32(folder: Path) -> None:
    tiny_model("bert", classes=2).to(torch.bfloat16).save_pretrained(folder)
    backbone = load_backbone(BackboneSpec(model=str(folder)), 2, "cpu")
    assert {parameter.dtype for parameter in backbone.model.parameters()} == {torch.float32}


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    tiny_model("bert", vocab_size=63).save_pretrained(folder)
    with pytest.raises(BackboneError, match="must not have more tokens than its model .* 64 tokens for 63 embeddings"):
        load_backbone(BackboneSpec(model=str(folder)), 2, "cpu")


def test_a_checkpoint_of_another_architecture_is_refused(folder: Path) -> None:
    tiny_model("bert", num_hidden_layers=1).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(BackboneError, match="must have all weights of the architecture .* 'bert.encoder.layer.1"):
        load_backbone(BackboneSpec(model=str(folder)), 2, "cpu")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("vit", "can put a classification head on; got .* of type 'vit'"),
        ("whisper", "can put a classification head on; got .* of type 'whisper'"),
    ],
)
def test_a_model_that_reads_no_text_is_refused(tmp_path: Path, config: str, message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": config}))
    with pytest.raises(BackboneError, match=message):
        load_backbone(BackboneSpec(model=str(tmp_path)), 2, "cpu")


@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_a_checkpoint_is_loaded_with_its_head_made_anew(tmp_path: Path, family: str) -> None:
    """GPT-2 has no padding token, T5 no limit of positions, and neither a head."""
    model, tokenizer = tiny_model(family), tiny_tokenizer()
    model.base_model.save_pretrained(tmp_path)
    tokenizer.pad_token = None
    tokenizer.eos_token = "[SEP]"
    tokenizer.save_pretrained(tmp_path)
    backbone = load_backbone(BackboneSpec(model=str(tmp_path)), 4, "cpu")
    assert backbone.tokenizer.pad_token == "[SEP]"
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        assert pack(tiny_inputs([5, 3])).shape == (1, 2, 4)


@pytest.mark.parametrize("family", ["deberta-v2", "modernbert", "albert"])
@torch.no_grad()
def test_what_the_checkpoint_lacks_of_the_head_is_trained(family: str) -> None:
    backbone = tiny_backbone(family)
    assert backbone.new_modules == ("classifier",)
    missing = {f"{part}.weight" for part in backbone.family.pooler_parts}
    new = make_backbone(family, tiny_model(family), tiny_tokenizer(), "native", missing, "cpu")
    assert new.new_modules == (*new.family.pooler_parts, "classifier")
    inputs = tiny_inputs([5, 3])
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack, Pack(new, [tiny_run(tiny_trial("head"))]) as fresh:
        frozen = pack(inputs)
        for part in new.family.pooler_parts:  # with the frozen values in the trained parts, both answer the same
            module, trained = backbone.model.get_submodule(part), fresh.parts[f"head/{part.replace('.', '/')}"]
            trained.weight[0] = module.weight
            if module.bias is not None:
                trained.bias[0] = module.bias
        assert torch.allclose(fresh(inputs), frozen, atol=1e-6)

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tiny import SHIFTED, tiny_backbone, tiny_inputs, tiny_model, tiny_run, tiny_tokenizer, tiny_trial
from unipelt_search.backbones.backbone import backbone_hash, load_backbone, make_backbone
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.head import pool
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
    [("vit", "can put a classification head on; got .* of type 'vit'"), ("gemma3", "read text alone; got .* 'gemma3'")],
)
def test_a_model_that_does_not_read_text_alone_is_refused(tmp_path: Path, config: str, message: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": config}))
    with pytest.raises(BackboneError, match=message):
        load_backbone(BackboneSpec(model=str(tmp_path)), 2, "cpu")


@pytest.mark.parametrize(("family", "pooling", "message"), [("t5", "mean", "auto or native for an encoder-decoder"),
                                                            ("llama", "cls", "first token sees no other")])  # fmt: skip
def test_a_pooling_that_does_not_fit_is_refused(family: str, pooling: str, message: str) -> None:
    with pytest.raises(BackboneError, match=f"backbone.pooling must be .*{message}.*; got '{pooling}' for '{family}'"):
        tiny_backbone(family, pooling=pooling)


@pytest.mark.parametrize(
    ("family", "length"), [("bert", 64), ("roberta", 62), ("mpnet", 62), ("opt", 64), ("gpt2", 64)]
)
def test_the_longest_text_is_what_the_positions_allow(family: str, length: int) -> None:
    backbone = tiny_backbone(family)
    assert backbone.max_length == length
    ids = torch.full((1, length), 5)
    backbone.base(input_ids=ids, attention_mask=torch.ones_like(ids))


@pytest.mark.parametrize("family", SHIFTED)
@torch.no_grad()
def test_positions_are_the_models_own_and_move_up_row_by_row(family: str) -> None:
    backbone, inputs = tiny_backbone(family), tiny_inputs([9, 4, 6])
    real = inputs["attention_mask"].bool()
    own = backbone.positions_of(inputs["input_ids"], torch.tensor([0, 0, 0]))
    told = backbone.base(**inputs, position_ids=own).last_hidden_state
    assert torch.allclose(told[real], backbone.base(**inputs).last_hidden_state[real], atol=1e-6)
    moved = backbone.positions_of(inputs["input_ids"], torch.tensor([0, 5, 2]))
    assert [(moved - own)[row][real[row]].unique().tolist() for row in range(3)] == [[0], [5], [2]]


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


@pytest.mark.parametrize("family", ["distilbert", "electra", "deberta-v2", "modernbert", "albert", "mpnet"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@torch.no_grad()
def test_other_poolings_are_one_linear_layer_on_any_encoder(family: str, pooling: str) -> None:
    backbone, inputs = tiny_backbone(family, pooling=pooling), tiny_inputs([6, 3])
    hidden = backbone.base(**inputs).last_hidden_state
    with Pack(backbone, [tiny_run(tiny_trial("head"))]) as pack:
        ((name, linear),) = pack.parts.items()
        expected = pool(hidden, inputs["attention_mask"].float(), pooling) @ linear.weight[0].T + linear.bias[0]
        assert torch.allclose(pack(inputs)[0], expected, atol=1e-5)
    assert name.startswith("head/")


def test_the_hash_of_a_backbone_leaves_out_what_every_run_draws() -> None:
    backbone, pooled = tiny_backbone(), tiny_backbone(pooling="mean")
    first, without_pooler = backbone_hash(backbone), backbone_hash(pooled)
    with torch.no_grad():
        backbone.model.classifier.weight.add_(1)
        pooled.base.pooler.dense.weight.add_(1)
    assert backbone_hash(backbone) == first
    assert backbone_hash(pooled) == without_pooler
    with torch.no_grad():
        backbone.base.pooler.dense.weight.add_(1)
    assert backbone_hash(backbone) != first

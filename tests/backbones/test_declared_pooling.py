from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tiny import tiny_backbone, tiny_inputs, tiny_model, tiny_run, tiny_tokenizer, tiny_trial
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.head import pool
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.study import BackboneSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_model("bert", classes=2).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("mode", "pooling"), [("mean_tokens", "mean"), ("cls_token", "cls"), ("lasttoken", "last")])
def test_a_declared_sentence_transformers_pooling_is_used(folder: Path, mode: str, pooling: str) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))
    assert load_backbone(BackboneSpec(model=str(folder)), 2, "cpu").pooling == pooling
    assert load_backbone(BackboneSpec(model=str(folder), pooling="native"), 2, "cpu").pooling == "native"


@pytest.mark.parametrize(("family", "pooling", "message"), [("t5", "mean", "auto or native for an encoder-decoder"),
                                                            ("llama", "cls", "first token sees no other")])  # fmt: skip
def test_a_pooling_that_does_not_fit_is_refused(family: str, pooling: str, message: str) -> None:
    with pytest.raises(BackboneError, match=f"backbone.pooling must be .*{message}.*; got '{pooling}' for '{family}'"):
        tiny_backbone(family, pooling=pooling)


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

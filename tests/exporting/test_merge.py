"""A merged model is loaded by transformers alone and gives the trained pack's logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from exported_study import TEXTS, save_toy, train_toy
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tiny import tiny_backbone, tiny_model, tiny_tokenizer, tiny_trial
from unipelt_search.backbones.load_backbone import make_backbone
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.export import OutputFolders, export_run
from unipelt_search.exporting.merge import check_mergeable


@pytest.mark.parametrize(
    ("family", "method"),
    [
        ("bert", "head"),
        ("bert", "lora"),
        ("bert", "bitfit"),
        ("bert", "fine_tuning"),
        ("roberta", "lora"),
        ("qwen2", "lora"),
        ("llama", "fine_tuning"),
        ("bert", "ia3"),
        ("qwen2", "ia3"),
    ],
)
@torch.no_grad()
def test_transformers_alone_gives_the_same_logits(tmp_path: Path, family: str, method: str) -> None:
    save_toy(tmp_path, family, rows=45)
    with torch.enable_grad():
        trained = train_toy(tmp_path, method, tmp_path / "kept")
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", merged=tmp_path / "plain"))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "plain", use_safetensors=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "plain")
    inputs = tokenizer(TEXTS, truncation=True, padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    assert torch.allclose(model(**inputs).logits, trained.logits, atol=1e-5)
    assert model.config.id2label == {0: "kind 0", 1: "kind 1", 2: "kind 2"}
    assert tokenizer.model_max_length == 16
    untouched = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", use_safetensors=True).eval()
    assert not torch.allclose(untouched(**inputs).logits, trained.logits, atol=1e-3)


@pytest.mark.parametrize(
    ("method", "pooling", "pattern"),
    [
        ("unipelt_al", "native", "gates depend on the text"),
        ("adapter", "native", "adapter is a further layer"),
        ("prefix", "native", "prefix is further keys and values"),
        ("lora", "mean", "needs the architecture's native pooling; this model was trained with pooling 'mean'"),
    ],
)
def test_what_no_weights_can_say_is_refused(method: str, pooling: str, pattern: str) -> None:
    with pytest.raises(SavedModelError, match=pattern):
        check_mergeable(tiny_backbone(pooling=pooling), tiny_trial(method))


def test_a_causal_model_that_pads_with_what_ends_its_texts_is_refused() -> None:
    model, tokenizer = tiny_model("qwen2", pad_token_id=3), tiny_tokenizer()
    tokenizer.pad_token = "[SEP]"
    backbone = make_backbone("qwen2", model, tokenizer, "native", set(), "cpu")
    with pytest.raises(SavedModelError, match="needs a padding token that ends no text"):
        check_mergeable(backbone, tiny_trial("lora"))


def test_projections_inside_a_larger_matrix_are_refused() -> None:
    backbone = tiny_backbone()
    attention = backbone.base.encoder.layer[1].attention.self
    attention.query = torch.nn.Bilinear(32, 1, 32)
    attention.query.weight = torch.nn.Parameter(torch.zeros(32, 32))
    with pytest.raises(SavedModelError, match="needs projections that are layers of their own"):
        check_mergeable(backbone, tiny_trial("lora"))
    check_mergeable(backbone, tiny_trial("bitfit"))

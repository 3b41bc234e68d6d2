from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model_folders import configure, pickled, save_whole
from tiny import tiny_model, tiny_tokenizer
from unipelt_search.errors import BackboneError
from unipelt_search.execution.examination import SAMPLE, examine_model
from unipelt_search.methods.catalogue import trained_methods
from unipelt_search.records.diagnosis import ModelFacts


def examined(folder: Path, family: str = "bert", **changes: Any) -> ModelFacts:
    model = tiny_model(family, **changes)
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return examine_model(str(folder), "cpu")


def test_what_a_study_would_meet(tmp_path: Path) -> None:
    found = examined(tmp_path)
    assert (found.type, found.attention, found.layers, found.hidden_size) == ("bert", "bidirectional", 2, 32)
    assert (found.precision, found.weights, found.max_length) == ("float32", "safetensors", 64)
    assert (found.pooling, found.declared_pooling, found.unused_modules, found.notices) == ("native", None, (), ())
    assert (found.tokenizer.tokens, found.tokenizer.embeddings) == (64, 64)
    assert set(found.tokenizer.unknown) == set(SAMPLE)
    assert set(found.tokenizer.unknown.values()) == {1.0}  # it knows w0 … w59


def test_every_method_is_tried(tmp_path: Path) -> None:
    found = examined(tmp_path)
    fits = {fit.method: fit for fit in found.methods}
    assert set(fits) == set(trained_methods())
    assert all(fit.stored and not fit.reason for fit in found.methods)
    assert fits["fine_tuning"].stored == found.parameters
    assert fits["head"].stored == 2 * 32 + 2


def test_a_method_that_cannot_attach_has_its_reason(tmp_path: Path) -> None:
    found = examined(tmp_path, "llama", attention_bias=False, mlp_bias=False)
    fits = {fit.method: fit for fit in found.methods}
    assert (found.attention, found.pooling) == ("causal", "last")
    assert (fits["bitfit"].stored, fits["lora"].reason) == (None, "")
    assert "bias" in fits["bitfit"].reason


@pytest.mark.parametrize(
    ("family", "changes", "attention"),
    [("qwen2", {}, "causal"), ("qwen2", {"is_causal": False}, "bidirectional"), ("t5", {}, "encoder-decoder")],
)
def test_the_direction_of_the_attention(tmp_path: Path, family: str, changes: dict[str, Any], attention: str) -> None:
    assert examined(tmp_path, family, **changes).attention == attention


def test_what_is_declared_and_how_weights_are_stored(tmp_path: Path) -> None:
    save_whole(tmp_path)
    pickled(lambda _: tiny_model("bert").half().state_dict())(tmp_path)
    (tmp_path / "modules.json").write_text(
        '[{"type": "x.Pooling", "path": "p"}, {"type": "x.Dense", "path": "d"}, {"type": "x.Normalize", "path": "n"}]'
    )
    (tmp_path / "p").mkdir()
    (tmp_path / "p/config.json").write_text('{"pooling_mode": ["mean", "max"]}')
    found = examine_model(str(tmp_path), "cpu")
    assert (found.weights, found.precision) == ("pytorch_model.bin", "float16")
    assert (found.pooling, found.declared_pooling) == ("mean+max", "mean+max")
    assert found.unused_modules == ("Dense", "Normalize")
    assert [notice.code for notice in found.notices] == ["modules_unused"]


def test_a_model_that_no_study_can_use(tmp_path: Path) -> None:
    save_whole(tmp_path)
    configure(quantization_config={"quant_method": "gptq"})(tmp_path)
    with pytest.raises(BackboneError, match="gptq"):
        examine_model(str(tmp_path), "cpu")

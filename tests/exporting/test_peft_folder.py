"""What PEFT loads gives the trained pack's logits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from exported_study import PAIRS, TEXTS, save_toy, train_toy
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tiny import tiny_backbone, tiny_trial
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.export import OutputFolders, PeftForm, export_run
from unipelt_search.exporting.peft_folder import check_peft, write_peft
from unipelt_search.methods.prefix_settings import PrefixSpec

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
FORM = PeftForm(check_peft, write_peft)
SHIFTED = PrefixSpec(length=4, mlp=12, position_shift=True)


@pytest.mark.parametrize(
    ("family", "method"),
    [
        ("bert", "lora"),
        ("bert", "bitfit"),
        ("roberta", "lora"),
        ("roberta", "bitfit"),
        ("qwen2", "lora"),
        ("bert", "ia3"),
        ("qwen2", "ia3"),
        *((family, "prefix") for family in ("bert", "roberta", "electra", "qwen2", "llama", "gpt2", "gpt_neox")),
    ],
)
@torch.no_grad()
def test_peft_alone_gives_the_same_logits(tmp_path: Path, family: str, method: str) -> None:
    save_toy(tmp_path, family, rows=45)
    with torch.enable_grad():
        prefix = SHIFTED if method == "prefix" else None
        trained = train_toy(tmp_path, method, tmp_path / "kept", prefix=prefix, learning_rate=5e-2)
    outputs = OutputFolders(tmp_path / "out", peft=tmp_path / "peft")
    export_run(trained.record, trained.run, outputs, peft=FORM)
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=3).eval()
    inputs = AutoTokenizer.from_pretrained(tmp_path / "model")(TEXTS, padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    before = base(**inputs).logits
    model = PeftModel.from_pretrained(base, tmp_path / "peft").eval()
    assert torch.allclose(model(**inputs).logits, trained.logits, atol=1e-6)
    assert not torch.allclose(before, trained.logits, atol=1e-3)
    assert not list((tmp_path / "peft").glob("*.bin"))
    card = (tmp_path / "peft" / "README.md").read_text()
    assert "kind 2" in card
    first = (tmp_path / "peft" / "adapter_model.safetensors").read_bytes()
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "o2", peft=tmp_path / "p2"), peft=FORM)
    assert (tmp_path / "p2" / "adapter_model.safetensors").read_bytes() == first


@torch.no_grad()
def test_a_prefix_answers_the_same_for_text_pairs(tmp_path: Path) -> None:
    save_toy(tmp_path, rows=45)
    with torch.enable_grad():
        trained = train_toy(tmp_path, "prefix", tmp_path / "kept", pair=True, prefix=SHIFTED)
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", peft=tmp_path / "peft"), peft=FORM)
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=3).eval()
    inputs = AutoTokenizer.from_pretrained(tmp_path / "model")(*zip(*PAIRS, strict=True), padding=True)
    model = PeftModel.from_pretrained(base, tmp_path / "peft").eval()
    found = model(**{name: torch.tensor(values) for name, values in inputs.items()}).logits
    assert torch.allclose(found, trained.logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["lora", "prefix"])
def test_a_new_pooler_is_saved_with_the_head(tmp_path: Path, method: str) -> None:
    save_toy(tmp_path, rows=45)
    from safetensors.torch import load_file, save_file

    weights = tmp_path / "model" / "model.safetensors"
    save_file({n: t for n, t in load_file(weights).items() if "pooler" not in n}, weights, metadata={"format": "pt"})
    trained = train_toy(tmp_path, method, tmp_path / "kept", prefix=SHIFTED if method == "prefix" else None)
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", peft=tmp_path / "peft"), peft=FORM)
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert {"classifier", "bert.pooler.dense"} <= set(config["modules_to_save"])


@pytest.mark.parametrize(
    ("method", "pooling", "pattern"),
    [
        ("unipelt_apl", "native", "PEFT has no gates"),
        ("adapter", "native", "PEFT has no bottleneck adapter"),
        ("prefix", "native", "trained without that. Leave --peft out, or give a study a configuration of prefix with"),
        ("head", "native", "it has no part that PEFT knows"),
        ("fine_tuning", "native", "it has no part that PEFT knows"),
        ("lora", "cls", "--peft needs the architecture's native pooling"),
    ],
)
def test_what_peft_cannot_hold_is_refused(method: str, pooling: str, pattern: str) -> None:
    with pytest.raises(SavedModelError, match=pattern):
        check_peft(tiny_backbone(pooling=pooling), tiny_trial(method))


def test_a_prefix_is_refused_where_peft_has_none() -> None:
    with pytest.raises(
        SavedModelError, match="PEFT has no prefix for a model of type 'distilbert'. Leave --peft out.$"
    ):
        check_peft(tiny_backbone("distilbert"), tiny_trial("prefix"))

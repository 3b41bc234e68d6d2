"""What PEFT loads gives the trained pack's logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_study import PAIRS, TEXTS, save_toy, train_toy
from peft import AutoPeftModelForSequenceClassification, PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tiny import tiny_backbone, tiny_trial
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.export import OutputFolders, PeftForm, export_run
from unipelt_search.exporting.peft_folder import check_peft, write_peft
from unipelt_search.methods.prefix_settings import PrefixSpec

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
FORM = PeftForm(check_peft, write_peft)
SHIFTED = PrefixSpec(length=4, mlp=12, position_shift=True)


PREFIX_FAMILIES = ("bert", "roberta", "electra", "qwen2", "llama", "gpt2", "gpt_neox")


def pretrained(folder: Path, family: str) -> None:
    """Make of the saved model what people start from: without a head, labels, or a decoder's padding token."""
    config = json.loads((folder / "config.json").read_text())
    for key in ("id2label", "label2id", "problem_type"):
        config.pop(key, None)
    if family in ("gpt2", "llama", "qwen2"):
        config.pop("pad_token_id")
    (folder / "config.json").write_text(json.dumps(config))
    heads = ("classifier", "pre_classifier", "score", "pooler", "head", "classification_head")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: values for name, values in tensors.items() if name.split(".")[0] not in heads}
    assert len(kept) < len(tensors)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def logits(model: Any, folder: Path) -> torch.Tensor:
    inputs = AutoTokenizer.from_pretrained(folder)(TEXTS, truncation=True, padding=True, return_tensors="pt")
    found: torch.Tensor = model.eval()(**inputs).logits
    return found


@pytest.mark.parametrize(
    ("family", "method"),
    [
        ("bert", "lora"),
        ("bert", "bitfit"),
        ("bert", "ia3"),
        ("roberta", "lora"),
        ("roberta", "bitfit"),
        ("distilbert", "ia3"),
        ("gpt2", "lora"),
        ("gpt2", "ia3"),
        ("llama", "lora"),
        ("qwen2", "bitfit"),
        ("deberta-v2", "ia3"),
        ("modernbert", "lora"),
        ("modernbert", "ia3"),
        ("t5", "ia3"),
    ],
)
@torch.no_grad()
def test_five_routes_give_the_same_logits(tmp_path: Path, family: str, method: str) -> None:
    save_toy(tmp_path, family, rows=36)
    pretrained(tmp_path / "model", family)
    with torch.enable_grad():
        trained = train_toy(tmp_path, method, tmp_path / "kept", learning_rate=5e-2, steps=4, evaluations=1)
    folder = tmp_path / "peft"
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", peft=folder), peft=FORM)
    scope: dict[str, Any] = {}
    lines = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")
    for block in lines[1:]:
        exec(block.split("```")[0].replace("this folder", str(folder)), scope)
    outputs = scope["outputs"]
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", **outputs)
    before = logits(base, folder)
    base.load_adapter(str(folder))
    classified = scope["classify"](TEXTS, top_k=None, function_to_apply="none", batch_size=2)
    scores = [
        [{row["label"]: row["score"] for row in rows}[f"kind {kind}"] for kind in range(3)] for rows in classified
    ]
    automatic = AutoPeftModelForSequenceClassification.from_pretrained(folder, **outputs)
    found = {
        "PeftModel": logits(scope["model"], folder),
        "AutoPeftModel": logits(automatic, folder),
        "load_adapter": logits(base, folder),
        "from_pretrained": logits(scope["backbone"], folder),
        "pipeline": torch.tensor(scores),
        "merge_and_unload": logits(scope["model"].merge_and_unload(), folder),
    }
    for route, values in found.items():
        assert torch.allclose(values, trained.logits, rtol=0, atol=1e-5), route
    assert not torch.allclose(before, trained.logits, atol=1e-3)
    assert not list(folder.glob("*.bin"))
    stored = load_file(folder / "adapter_model.safetensors")
    assert not [name for name in stored if "modules_to_save" in name or "original_module" in name]
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "o2", peft=tmp_path / "p2"), peft=FORM)
    for name in ("adapter_model.safetensors", "adapter_config.json", "README.md", "tokenizer_config.json"):
        assert (tmp_path / "p2" / name).read_bytes() == (folder / name).read_bytes()
    targets = json.loads((folder / "adapter_config.json").read_text())["target_modules"]
    assert targets == sorted(targets)


@pytest.mark.parametrize("family", ["roberta", "electra", "mpnet"])
@torch.no_grad()
def test_the_card_shows_how_to_merge_what_peft_cannot(tmp_path: Path, family: str) -> None:
    save_toy(tmp_path, family, rows=36)
    with torch.enable_grad():
        trained = train_toy(tmp_path, "ia3", tmp_path / "kept", learning_rate=5e-2, steps=4, evaluations=1)
    folder = tmp_path / "peft"
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", peft=folder), peft=FORM)
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=3)
    with pytest.raises(AttributeError, match="no attribute 'weight'"):  # a fault of PEFT 0.21
        PeftModel.from_pretrained(base, folder).merge_and_unload()
    scope: dict[str, Any] = {}
    blocks = (folder / "README.md").read_text(encoding="utf-8").split("```python\n")
    for block in blocks[1:]:
        exec(block.split("```")[0].replace("this folder", str(folder)), scope)
    assert not [name for name, _ in scope["merged"].named_modules() if "ia3" in name or "modules_to_save" in name]
    assert torch.allclose(logits(scope["merged"], folder), trained.logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", PREFIX_FAMILIES)
@torch.no_grad()
def test_a_prefix_is_loaded_by_two_routes(tmp_path: Path, family: str) -> None:
    save_toy(tmp_path, family, rows=45)
    with torch.enable_grad():
        trained = train_toy(tmp_path, "prefix", tmp_path / "kept", prefix=SHIFTED, learning_rate=5e-2)
    folder = tmp_path / "peft"
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", peft=folder), peft=FORM)
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=3)
    before = logits(base, folder)
    automatic = AutoPeftModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    for model in (PeftModel.from_pretrained(base, folder), automatic):
        assert torch.allclose(logits(model, folder), trained.logits, rtol=0, atol=1e-5)
    assert not torch.allclose(before, trained.logits, atol=1e-3)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "pipeline" not in card.split("---")[2]
    assert "merge_and_unload" not in card


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
    weights = tmp_path / "model" / "model.safetensors"
    save_file({n: t for n, t in load_file(weights).items() if "pooler" not in n}, weights, metadata={"format": "pt"})
    trained = train_toy(tmp_path, method, tmp_path / "kept", prefix=SHIFTED if method == "prefix" else None)
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", peft=tmp_path / "peft"), peft=FORM)
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert {"classifier", "bert.pooler.dense"} <= set(config["modules_to_save"])


def test_what_peft_cannot_hold_is_refused() -> None:
    with pytest.raises(
        SavedModelError, match="--peft cannot hold prefix: .* or give a study a configuration of prefix"
    ):
        check_peft(tiny_backbone(), tiny_trial("prefix"))
    with pytest.raises(SavedModelError, match="--peft cannot hold unipelt_apl: PEFT has no gates"):
        check_peft(tiny_backbone(), tiny_trial("unipelt_apl"))
    check_peft(tiny_backbone("gpt2"), tiny_trial("lora"))

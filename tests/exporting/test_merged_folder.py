"""Merged folders are loaded by transformers or sentence-transformers alone and give the trained pack's logits.

One other process, which cannot import this package, runs the lines of every folder's card.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_study import PAIRS, TEXTS, Trained, save_toy, train_toy
from safetensors.torch import load_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
)

from tiny import SIZES, tiny_backbone, tiny_trial
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting import merged_folder
from unipelt_search.exporting.export import OutputFolders, export_run
from unipelt_search.exporting.export_forms import peft_obstacle
from unipelt_search.exporting.merged_folder import check_mergeable
from unipelt_search.kinds.label_kind import Target

_TINY = {
    "vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
_SCRIPT = """
import json, sys
sys.modules["unipelt_search"] = None
found = {}
for name, (folder, rows) in json.load(sys.stdin).items():
    code = open(f"{folder}/README.md").read().split("```python\\n")[1].split("```")[0]
    scope = {}
    exec(code.replace("this folder", folder), scope)
    model = scope["model"]
    if "tokenizer" in scope:
        columns = list(map(list, zip(*rows)))
        inputs = scope["tokenizer"](*columns, truncation=True, padding=True, return_tensors="pt")
        found[name] = [model(**inputs).logits.tolist(), model.config.id2label, scope["tokenizer"].model_max_length]
    else:
        texts = [row[0] if len(row) == 1 else tuple(row) for row in rows]
        found[name] = [model.encode(texts).tolist(), model[0].auto_model.config.id2label, model.max_seq_length]
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Case:
    """What is exported."""

    family: str
    method: str
    pooling: str = "native"
    label: str = "kind"
    pair: bool = False


CASES = {
    "head": Case("bert", "head"),
    "encoder and decoder": Case("t5", "lora"),
    "decoder that begins with the last token": Case("mbart", "lora"),
    "fused": Case("gpt2", "ia3"),
    "pairs": Case("roberta", "lora", pair=True),
    "number": Case("bert", "bitfit", label="number"),
    "sets of labels": Case("llama", "fine_tuning", label="tags"),
    "mean": Case("bert", "lora", "mean"),
    "cls": Case("distilbert", "ia3", "cls"),
    "last": Case("roberta", "bitfit", "last"),
    "several": Case("bert", "head", "last+max+mean"),
    "mean of a decoder": Case("qwen2", "fine_tuning", "mean"),
    "pooled pairs": Case("bert", "head", "mean", pair=True),
    "pooled number": Case("bert", "lora", "mean", "number"),
    # A decoder's own last layer has no bias, which the units of the labels need.
    "number of a decoder": Case("llama", "lora", label="number"),
    "pooled sets of labels": Case("modernbert", "lora", "mean", "tags"),
}
POOLED = {name for name, case in CASES.items() if case.pooling != "native" or name == "number of a decoder"}


def exported(case: Case, folder: Path) -> Trained:
    save_toy(folder, case.family, rows=36)
    training: dict[str, Any] = {"steps": 3, "evaluations": 1, "learning_rate": 5e-2}
    trained = train_toy(
        folder, case.method, folder / "kept", pair=case.pair, pooling=case.pooling, label=case.label, **training
    )
    export_run(trained.record, trained.run, OutputFolders(folder / "out", merged=folder / "plain"))
    return trained


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Trained]]:
    """Every case, trained and exported."""
    made = {}
    for name, case in CASES.items():
        folder = tmp_path_factory.mktemp("merged")
        made[name] = (folder, exported(case, folder))
    return made


@pytest.fixture(scope="module")
def found(studies: dict[str, tuple[Path, Trained]]) -> dict[str, Any]:
    """What a process without this package computes, by the lines of the cards."""
    pooled = importlib.util.find_spec("sentence_transformers") is not None
    asked = {}
    for name, (folder, _) in studies.items():
        if pooled or name not in POOLED:
            rows = PAIRS if CASES[name].pair else [[text] for text in TEXTS]
            asked[name] = (str(folder / "plain"), rows)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CASES)
def test_the_cards_lines_give_the_logits_without_this_package(
    name: str, studies: dict[str, tuple[Path, Trained]], found: dict[str, Any]
) -> None:
    if name not in found:
        pytest.skip("sentence-transformers is not installed")
    _, trained = studies[name]
    assert trained.run.result is not None
    logits, labels, max_length = found[name]
    expected = trained.logits
    if CASES[name].label == "number":
        saved = json.loads((studies[name][0] / "out" / "config.json").read_text())["task"]
        assert saved["mean"] > 40
        expected = expected * saved["sd"] + saved["mean"]
    scale = max(1.0, float(expected.abs().max()))
    assert float((torch.tensor(logits) - expected).abs().max()) <= 1e-5 * scale
    names = {"kind": ["kind 0", "kind 1", "kind 2"], "tags": ["tag 0", "tag 1", "tag 2"], "number": ["number"]}
    assert list(labels.values()) == names[CASES[name].label]
    assert max_length == 16


@pytest.mark.parametrize("name", CASES)
def test_a_folder_has_no_code_no_path_and_one_form(name: str, studies: dict[str, tuple[Path, Trained]]) -> None:
    folder, _ = studies[name]
    plain = folder / "plain"
    assert (plain / "modules.json").exists() == (name in POOLED)
    assert not list(plain.rglob("*.py"))
    for path in plain.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert not re.search("unipelt|auto_map", text), path.name
        assert str(folder) not in text
    problem = json.loads((plain / "config.json").read_text())["problem_type"]
    kinds = {"kind": "single_label_classification", "tags": "multi_label_classification", "number": "regression"}
    assert problem == kinds[CASES[name].label]
    assert "unipelt_search" not in (plain / "README.md").read_text(encoding="utf-8")


@torch.no_grad()
def test_the_text_part_of_a_larger_model_becomes_a_model_of_its_own(tmp_path: Path) -> None:
    save_toy(tmp_path, rows=36)
    text = {**SIZES["gemma3_text"], **_TINY}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(text_config=text, vision_config={**vision, "image_size": 28, "patch_size": 14})
    Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path / "model")
    with torch.enable_grad():
        trained = train_toy(tmp_path, "lora", tmp_path / "kept", steps=3, evaluations=1, learning_rate=5e-2)
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", merged=tmp_path / "plain"))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "plain")
    inputs = AutoTokenizer.from_pretrained(tmp_path / "plain")(TEXTS, padding=True, return_tensors="pt")
    assert model.config.model_type == "gemma3_text"
    assert torch.allclose(model(**inputs).logits, trained.logits, rtol=0, atol=1e-5)
    backbone = load_backbone(trained.record.spec.backbone, 3, "cpu")
    obstacle = peft_obstacle(backbone, tiny_trial("lora"))
    assert obstacle is not None
    assert "the text part alone" in obstacle.reason


def test_nothing_is_written_where_the_logits_differ(
    studies: dict[str, tuple[Path, Trained]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, trained = studies["mean"]
    wrong = merged_folder.pooled_logits

    def others(*args: Any) -> torch.Tensor:
        return wrong(*args) + 1

    monkeypatch.setattr(merged_folder, "pooled_logits", others)
    with pytest.raises(SavedModelError, match="--merged must give the trained model's logits"):
        export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", merged=tmp_path / "plain"))
    assert list(tmp_path.iterdir()) == []


def test_a_merged_folder_is_the_same_byte_for_byte(studies: dict[str, tuple[Path, Trained]], tmp_path: Path) -> None:
    folder, trained = studies["mean"]
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", merged=tmp_path / "plain"))
    written = [path for path in (folder / "plain").rglob("*") if path.is_file()]
    for path in written:
        assert path.read_bytes() == (tmp_path / "plain" / path.relative_to(folder / "plain")).read_bytes(), path
    dense = load_file(tmp_path / "plain" / "2_Dense" / "model.safetensors")
    assert dense["linear.weight"].shape == (3, 32)


def test_what_cannot_be_merged_is_refused() -> None:
    target = Target("classification", ("a", "b", "c"))
    with pytest.raises(SavedModelError, match="--merged cannot hold unipelt_al: gates depend .* with --trial"):
        check_mergeable(tiny_backbone(), tiny_trial("unipelt_al"), target)
    assert check_mergeable(tiny_backbone(pooling="mean"), tiny_trial("lora"), target) == "sentence-transformers"

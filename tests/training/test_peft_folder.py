"""What PEFT loads gives the trained pack's logits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from exported_study import TEXTS, save_toy, train_toy
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tiny import tiny_backbone, tiny_trial
from unipelt_search.errors import SavedModelError
from unipelt_search.training.export import PeftForm, Places, export_run
from unipelt_search.training.peft_folder import check_peft, write_peft

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
FORM = PeftForm(check_peft, write_peft)


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
    ],
)
@torch.no_grad()
def test_peft_alone_gives_the_same_logits(tmp_path: Path, family: str, method: str) -> None:
    save_toy(tmp_path, family, rows=45)
    with torch.enable_grad():
        trained = train_toy(tmp_path, method, tmp_path / "kept")
    places = Places(tmp_path / "out", peft=tmp_path / "peft")
    export_run(trained.record, trained.run, places, peft=FORM)
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
    export_run(trained.record, trained.run, Places(tmp_path / "o2", peft=tmp_path / "p2"), peft=FORM)
    assert (tmp_path / "p2" / "adapter_model.safetensors").read_bytes() == first


def test_a_new_pooler_is_saved_with_the_head(tmp_path: Path) -> None:
    save_toy(tmp_path, rows=45)
    from safetensors.torch import load_file, save_file

    weights = tmp_path / "model" / "model.safetensors"
    save_file({n: t for n, t in load_file(weights).items() if "pooler" not in n}, weights, metadata={"format": "pt"})
    trained = train_toy(tmp_path, "lora", tmp_path / "kept")
    export_run(trained.record, trained.run, Places(tmp_path / "out", peft=tmp_path / "peft"), peft=FORM)
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert {"classifier", "bert.pooler.dense"} <= set(config["modules_to_save"])


@pytest.mark.parametrize(
    ("method", "pooling", "pattern"),
    [
        ("unipelt_apl", "native", "PEFT has no gates"),
        ("adapter", "native", "PEFT has no bottleneck adapter"),
        ("prefix", "native", "PEFT moves the tokens' positions up by the prefix's length"),
        ("head", "native", "it has no part that PEFT knows"),
        ("fine_tuning", "native", "it has no part that PEFT knows"),
        ("lora", "cls", "--peft needs the architecture's native pooling"),
    ],
)
def test_what_peft_cannot_hold_is_refused(method: str, pooling: str, pattern: str) -> None:
    with pytest.raises(SavedModelError, match=pattern):
        check_peft(tiny_backbone(pooling=pooling), tiny_trial(method))

from __future__ import annotations

import yaml
from described_model import described

from tiny import tiny_backbone
from unipelt_search.exporting.peft_card import Routes, output_settings, peft_card


def test_a_backbone_is_told_its_outputs() -> None:
    assert output_settings(described(), tiny_backbone()) == {
        "id2label": {0: "no", 1: "yes"},
        "label2id": {"no": 0, "yes": 1},
        "problem_type": "single_label_classification",
    }
    many = described(labels=tuple(f"label {number}" for number in range(21)))
    settings = output_settings(many, tiny_backbone("qwen2"))
    assert settings == {"num_labels": 21, "problem_type": "single_label_classification", "pad_token_id": 0}
    assert output_settings(described(kind="regression", labels=()), tiny_backbone())["problem_type"] == "regression"


def test_a_card_shows_the_ways_that_there_are() -> None:
    saved, backbone = described(), tiny_backbone()
    every = peft_card(saved, backbone, "org/small", Routes(without_peft_model=True, merges=True))
    assert yaml.safe_load(every.split("---\n")[1])["base_model"] == "org/small"
    for words in ("AutoPeftModelForSequenceClassification", "load_adapter", "pipeline(", "`model.merge_and_unload()`"):
        assert words in every
    assert "1. `yes`" in every
    unmerged = peft_card(saved, backbone, "org/small", Routes(without_peft_model=True, merges=False))
    assert 'modules_to_save["default"]' in unmerged
    assert 'modules_to_save["default"]' not in every
    prefix = peft_card(saved, backbone, "org/small", Routes(without_peft_model=False, merges=False))
    assert not any(words in prefix for words in ("load_adapter", "merge_and_unload", "pipeline("))

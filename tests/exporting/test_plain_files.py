from __future__ import annotations

import json
from pathlib import Path

from tiny import tiny_backbone
from unipelt_search.exporting.plain_files import describe_outputs, load_saved_tokenizer, save_tokenizer
from unipelt_search.exporting.saved_model import SavedTask


def task(**changes: object) -> SavedTask:
    settings = {"name": "reviews", "kind": "classification", "labels": ("no", "yes"), "metric": "accuracy",
                "text": ("review",), "max_length": 9, "fingerprint": "ab" * 8}  # fmt: skip
    return SavedTask.model_validate({**settings, **changes})


def test_a_configuration_names_outputs_and_no_code() -> None:
    config = tiny_backbone(classes=2).model.config
    config.auto_map = {"AutoModel": "code.Model"}
    config.custom_pipelines = {"mine": {"impl": "code.Pipeline"}}
    describe_outputs(config, task())
    written = json.loads(config.to_json_string())
    assert written["id2label"] == {"0": "no", "1": "yes"}
    assert written["label2id"] == {"no": 0, "yes": 1}
    assert written["problem_type"] == "single_label_classification"
    assert "code." not in json.dumps(written)
    describe_outputs(config, task(kind="multi_label"))
    assert config.problem_type == "multi_label_classification"
    describe_outputs(config, task(kind="regression", labels=()))
    assert (config.problem_type, config.num_labels) == ("regression", 1)


def test_a_tokenizer_gives_what_the_model_was_trained_on(tmp_path: Path) -> None:
    text = " ".join(f"w{number}" for number in range(30))
    for family, changes, reads_types in (
        ("bert", {}, True),
        ("roberta", {"type_vocab_size": 1}, False),
        ("gpt2", {}, False),
    ):
        backbone = tiny_backbone(family, **changes)
        names = ["input_ids", "token_type_ids", "attention_mask"]
        backbone.tokenizer.model_input_names = names
        backbone.tokenizer.init_kwargs["model_input_names"] = names
        backbone.tokenizer.init_kwargs["auto_map"] = {"AutoTokenizer": ["code.Tokenizer", None]}
        save_tokenizer(tmp_path / family, backbone, task())
        tokenizer = load_saved_tokenizer(tmp_path / family)
        read = tokenizer(text, text, truncation=True)
        assert len(read["input_ids"]) == 9
        assert ("token_type_ids" in read) == reads_types
        assert "auto_map" not in (tmp_path / family / "tokenizer_config.json").read_text()
        assert backbone.tokenizer.model_max_length > 9
        assert backbone.tokenizer.model_input_names == names

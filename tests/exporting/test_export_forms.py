from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig

from tiny import EVERYTHING, SIZES, tiny_backbone, tiny_model, tiny_tokenizer, tiny_trial
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import make_backbone
from unipelt_search.backbones.model_class import choose_class
from unipelt_search.exporting.export_forms import merged_form, peft_obstacle, planned_export, refusal
from unipelt_search.kinds.label_kind import Target
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.submodule import Obstacle

CLASSES = Target("classification", ("a", "b", "c"))
NUMBER = Target("regression", (), mean=3.0, sd=2.0)


def padded_with_its_end(pooling: str = "native", classes: int = 3) -> Backbone:
    """Make a decoder whose tokenizer ends every text with the token that pads."""
    model, tokenizer = tiny_model("qwen2", classes, pad_token_id=3), tiny_tokenizer()
    tokenizer.pad_token = "[SEP]"
    return make_backbone("qwen2", model, tokenizer, pooling, set(), "cpu")


@pytest.mark.parametrize("method", ["head", "lora", "ia3", "bitfit", "fine_tuning"])
def test_the_pooling_decides_what_loads_a_merged_model(method: str) -> None:
    trial = tiny_trial(method)
    assert merged_form(tiny_backbone(), trial, CLASSES) == "transformers"
    assert merged_form(tiny_backbone("qwen2"), trial, CLASSES) == "transformers"
    for pooling in ("mean", "cls", "last"):
        assert merged_form(tiny_backbone(pooling=pooling), trial, CLASSES) == "sentence-transformers"
    assert merged_form(tiny_backbone("qwen2", pooling="mean"), trial, CLASSES) == "sentence-transformers"


def test_what_the_head_of_a_decoder_cannot_say_a_layer_after_the_last_token_can() -> None:
    # The head finds the last token by the number of the padding token, and has no bias.
    assert merged_form(padded_with_its_end(), tiny_trial("lora"), CLASSES) == "sentence-transformers"
    assert merged_form(tiny_backbone("qwen2", 1), tiny_trial("lora"), NUMBER) == "sentence-transformers"
    assert merged_form(tiny_backbone("bert", 1), tiny_trial("lora"), NUMBER) == "transformers"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("unipelt_al", "gates depend on the text"),
        (EVERYTHING, "gates depend on the text"),
        ("adapter", "further layer"),
        ("parallel_adapter", "further layer"),
        ("prefix", "further keys and values"),
    ],
)
def test_what_no_weights_can_say_is_no_merged_model(method: str, words: str) -> None:
    for pooling in ("native", "mean"):
        form = merged_form(tiny_backbone(pooling=pooling), tiny_trial(method), CLASSES)
        assert isinstance(form, Obstacle)
        assert words in form.reason


def test_a_layer_that_is_no_linear_one_is_an_obstacle_for_what_changes_it() -> None:
    backbone = tiny_backbone()
    attention = backbone.base.encoder.layer[1].attention.self
    attention.query = torch.nn.Bilinear(32, 1, 32)
    attention.query.weight = torch.nn.Parameter(torch.zeros(32, 32))
    for found in (merged_form(backbone, tiny_trial("lora"), CLASSES), peft_obstacle(backbone, tiny_trial("lora"))):
        assert isinstance(found, Obstacle)
        assert "the query of layer 1 is a Bilinear" in found.reason
    assert merged_form(backbone, tiny_trial("bitfit"), CLASSES) == "transformers"
    assert merged_form(backbone, tiny_trial("ia3"), CLASSES) == "transformers"


def test_layers_that_share_their_weights_cannot_have_an_update_each() -> None:
    backbone = tiny_backbone()
    first, second = backbone.base.encoder.layer
    second.attention.self.value = first.attention.self.value
    form = merged_form(backbone, tiny_trial("lora"), CLASSES)
    assert isinstance(form, Obstacle)
    assert "layers 0 and 1 share the weights of their value" in form.reason
    assert merged_form(tiny_backbone("albert"), tiny_trial("lora"), CLASSES) == "transformers"


def test_a_model_that_automodel_does_not_load_is_none_for_sentence_transformers() -> None:
    backbone = tiny_backbone(pooling="mean")
    backbone.model.base_model_prefix = "bert.encoder"
    form = merged_form(backbone, tiny_trial("head"), CLASSES)
    assert isinstance(form, Obstacle)
    assert "AutoModel loads another class than" in form.reason
    form = merged_form(replace(tiny_backbone(), pooling="median"), tiny_trial("head"), CLASSES)
    assert isinstance(form, Obstacle)
    assert "no pooling 'median'" in form.reason


def test_a_head_of_ours_is_no_class_of_transformers() -> None:
    config = AutoConfig.for_model("t5", **SIZES["t5"], vocab_size=64, pad_token_id=0, architectures=["T5EncoderModel"])
    choice = choose_class("t5", config)
    model = choice.model_class._from_config(config, attn_implementation="sdpa")
    backbone = make_backbone("t5", model, tiny_tokenizer(), "native", set(), "cpu")
    assert backbone.pooling == "mean"
    assert merged_form(backbone, tiny_trial("lora"), CLASSES) == "sentence-transformers"
    obstacle = peft_obstacle(backbone, tiny_trial("lora"))
    assert obstacle is not None
    assert "no classification model of the type 't5'" in obstacle.reason


@pytest.mark.parametrize(
    ("family", "method", "pooling", "words"),
    [
        ("bert", "unipelt_apl", "native", "PEFT has no gates"),
        ("bert", "adapter", "native", "PEFT has no bottleneck adapter"),
        ("bert", "prefix", "native", "trained without that"),
        ("distilbert", "prefix", "native", "PEFT has no prefix for a model of type 'distilbert'"),
        ("bert", "head", "native", "it has no part that PEFT knows"),
        ("bert", "fine_tuning", "native", "it has no part that PEFT knows"),
        ("bert", "lora", "cls", "do not pool by 'cls'"),
        ("qwen2", "ia3", "mean", "do not pool by 'mean'"),
    ],
)
def test_what_peft_cannot_hold_is_named(family: str, method: str, pooling: str, words: str) -> None:
    obstacle = peft_obstacle(tiny_backbone(family, pooling=pooling), tiny_trial(method))
    assert obstacle is not None
    assert words in obstacle.reason


def test_peft_finds_the_last_token_by_the_padding_token_too() -> None:
    obstacle = peft_obstacle(padded_with_its_end(), tiny_trial("lora"))
    assert obstacle is not None
    assert "pads with the token that its tokenizer puts after every text" in obstacle.reason


def test_a_plan_names_both_forms() -> None:
    entry = planned_export("lora", tiny_trial("lora"), tiny_backbone(pooling="mean"), CLASSES)
    assert (entry.method, entry.variant, entry.merged, entry.peft) == ("lora", None, "sentence-transformers", False)
    assert entry.merged_obstacle is None
    assert entry.peft_obstacle is not None
    shifted = tiny_trial("prefix").model_copy(update={"prefix": PrefixSpec(length=4, mlp=None, position_shift=True)})
    entry = planned_export("moved", shifted, tiny_backbone(), CLASSES)
    assert (entry.variant, entry.merged, entry.peft, entry.peft_obstacle) == ("moved", None, True, None)


def test_a_refusal_says_what_to_do() -> None:
    error = refusal("--peft", tiny_trial("lora"), Obstacle("it rains", "wait"))
    assert str(error) == "--peft cannot hold lora: it rains. Leave --peft out, or wait."

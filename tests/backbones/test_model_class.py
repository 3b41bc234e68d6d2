from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoConfig

from tiny import FURTHER_SIZES, SIZES, tiny_backbone, tiny_inputs, tiny_run, tiny_tokenizer, tiny_trial
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.backbones.model_class import choose_class, has_plain_class
from unipelt_search.errors import BackboneError
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.study import BackboneSpec

_TEXT = {
    "vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8, "intermediate_size": 64, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
_VISION = {
    "hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
_LLAMA4 = {
    **_TEXT, "intermediate_size_mlp": 64, "num_local_experts": 4, "interleave_moe_layer_step": 2, "bos_token_id": 2,
    "eos_token_id": 3,
}  # fmt: skip
_PROJECTED = {"vision_output_dim": 32, "projector_input_dim": 32, "projector_output_dim": 32}
_MULTIMODAL: dict[str, dict[str, Any]] = {
    "Gemma3ForConditionalGeneration": {"text_config": _TEXT, "vision_config": _VISION},
    "Mistral3ForConditionalGeneration": {"text_config": _TEXT, "vision_config": _VISION},
    "Llama4ForConditionalGeneration": {"text_config": _LLAMA4, "vision_config": {**_VISION, **_PROJECTED}},
}


def _save(folder: Path, architecture: str, settings: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    model_class: Any = getattr(transformers, architecture)
    model = model_class(model_class.config_class(**settings)).eval()
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return model


@pytest.mark.parametrize("architecture", _MULTIMODAL)
@torch.no_grad()
def test_text_goes_through_the_text_part_of_a_multimodal_checkpoint(tmp_path: Path, architecture: str) -> None:
    whole = _save(tmp_path, architecture, _MULTIMODAL[architecture])
    backbone = load_backbone(BackboneSpec(model=str(tmp_path)), 3, "cpu")
    inputs = tiny_inputs([5, 5])
    expected = whole(**inputs, output_hidden_states=True).hidden_states[-1]
    assert torch.allclose(backbone.base(**inputs).last_hidden_state, expected, atol=1e-5)
    assert not any("vision" in name for name, _ in backbone.model.named_modules())
    assert has_plain_class(backbone.model) == ("Llama4" not in architecture)


@pytest.mark.parametrize("feed_forward", ["relu", "gated-gelu"])
@torch.no_grad()
def test_an_encoder_without_its_decoder_is_pooled_by_the_mean(tmp_path: Path, feed_forward: str) -> None:
    settings = {**SIZES["t5"], "vocab_size": 80, "feed_forward_proj": feed_forward}
    encoder = _save(tmp_path, "T5EncoderModel", settings)
    backbone = load_backbone(BackboneSpec(model=str(tmp_path)), 3, "cpu")
    inputs = tiny_inputs([6, 6])
    assert torch.allclose(backbone.base(**inputs).last_hidden_state, encoder(**inputs).last_hidden_state, atol=1e-6)
    assert (backbone.pooling, backbone.family.head, backbone.causal) == ("mean", ("score",), False)
    with Pack(backbone, [tiny_run(tiny_trial("unipelt_apl"))]) as pack:
        assert pack(inputs).shape == (1, 2, 3)


def test_a_decoder_without_a_classification_head_gets_one_linear_layer() -> None:
    backbone = tiny_backbone("mamba")
    assert not has_plain_class(backbone.model)
    assert (backbone.pooling, backbone.new_modules) == ("last", ("score",))
    logits = backbone.model(**tiny_inputs([4, 2])).logits
    assert logits.shape == (2, 3)


def test_an_architecture_is_loaded_with_its_own_class_and_one_that_reads_no_text_with_none() -> None:
    choice = choose_class("mine", AutoConfig.for_model("jamba", **FURTHER_SIZES["jamba"]))
    assert choice.model_class.__name__ == "JambaForSequenceClassification"
    with pytest.raises(BackboneError, match="got 'mine' of type 'vit'"):
        choose_class("mine", AutoConfig.for_model("vit"))

"""LoRA and prefix-tuning against PEFT: the same weights give the same logits."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, TaskType, get_peft_model

from tiny import randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.trial import LoraSpec, PrefixSpec, TrialSpec

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

PROJECTIONS = {"query": "query", "value": "value", "q_proj": "query", "v_proj": "value"}


def copy_head(pack: Pack, model: torch.nn.Module) -> None:
    """Give a model the pack's head; a causal one's only layer is the one that follows the pooling."""
    for name in pack.backbone.new_modules:
        part = pack.parts["head/pooled" if "head/pooled" in pack.parts else f"head/{name.replace('.', '/')}"]
        linear = model.get_submodule(name)
        linear.weight.copy_(part.weight[0])
        if part.bias is not None:
            linear.bias.copy_(part.bias[0])


@pytest.mark.parametrize("family", ["bert", "roberta", "qwen2"])
@torch.no_grad()
def test_lora_equals_peft(family: str) -> None:
    backbone, inputs = tiny_backbone(family), tiny_inputs([7, 3, 9])
    trial = tiny_trial("lora").model_copy(update={"lora": LoraSpec(rank=4, alpha=12.0)})
    with Pack(backbone, [tiny_run(trial)]) as pack:
        randomise(pack)
        ours = pack(inputs)[0]
    reference = copy.deepcopy(backbone.model)
    copy_head(pack, reference)
    targets = ["q_proj", "v_proj"] if backbone.family.causal else ["query", "value"]
    peft_model = get_peft_model(reference, LoraConfig(r=4, lora_alpha=12, target_modules=targets))
    for name, module in peft_model.named_modules():
        if hasattr(module, "lora_A"):
            layer = int(next(part for part in name.split(".") if part.isdigit()))
            part = pack.parts[f"lora/{layer}/{PROJECTIONS[name.split('.')[-1]]}"]
            module.lora_A["default"].weight.copy_(part.down[0])
            module.lora_B["default"].weight.copy_(part.up[0])
    assert torch.allclose(ours, peft_model(**inputs).logits, atol=1e-5)
    assert not torch.allclose(ours, backbone.model(**inputs).logits, atol=1e-3)


@pytest.mark.parametrize("family", ["bert", "roberta", "qwen2"])
@torch.no_grad()
def test_prefix_equals_peft(family: str) -> None:
    """PEFT counts the prefix as positions, UniPELT does not: ours is given shifted positions to compare."""
    length, inputs = 5, tiny_inputs([7, 3, 9])
    backbone = tiny_backbone(family)
    trial: TrialSpec = tiny_trial("prefix").model_copy(update={"prefix": PrefixSpec(length=length, mlp=None)})
    positions = torch.arange(9)[None] + length
    if family == "roberta":  # its own positions begin behind padding_idx, here 0, at 1; PEFT leaves that to the model
        positions = (inputs["input_ids"].ne(0).cumsum(1) + length) * inputs["input_ids"].ne(0)
    with Pack(backbone, [tiny_run(trial)]) as pack:
        randomise(pack)
        ours = pack({**inputs, "position_ids": positions})[0]
        key_value = pack.stored(0)["prefix.key_value"]  # (layers, 2, heads, length, head_width)
        unshifted = pack(inputs)[0]
    reference = copy.deepcopy(backbone.model)
    copy_head(pack, reference)
    reference.set_attn_implementation("sdpa")
    heads, width = key_value.shape[2], key_value.shape[4]
    config = PrefixTuningConfig(
        num_virtual_tokens=length, task_type=TaskType.SEQ_CLS, token_dim=heads * width, num_layers=2,
        num_attention_heads=heads,
    )  # fmt: skip
    peft_model = get_peft_model(reference, config)
    for wrapper in (m for m in peft_model.modules() if hasattr(m, "modules_to_save") and hasattr(m, "original_module")):
        wrapper.modules_to_save["default"].load_state_dict(wrapper.original_module.state_dict())
    # PEFT's row: layer 0 key, layer 0 value, layer 1 key, … each (heads, width).
    weight = peft_model.prompt_encoder["default"].embedding.weight
    weight.copy_(key_value.permute(3, 0, 1, 2, 4).reshape(length, -1))
    theirs = peft_model.eval()(**inputs).logits
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(unshifted, ours, atol=1e-5)

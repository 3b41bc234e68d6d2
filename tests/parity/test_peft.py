"""LoRA, prefix-tuning and IA3 against PEFT: the same weights give the same logits, the same training the same path."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, TaskType, get_peft_model
from torch.nn import functional

from tiny import SHIFTED, randomise, tiny_backbone, tiny_inputs, tiny_run, tiny_task, tiny_trial
from unipelt_search.backbones.families import FAMILIES
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.training.batches import lengths_of, make_batch, training_batches
from unipelt_search.training.optimizer import SlotAdamW, learning_rate

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


def test_every_type_that_is_said_to_shift_is_compared_with_peft() -> None:
    assert {kind for family in FAMILIES if family.positions for kind in family.model_types} == set(SHIFTED)


@pytest.mark.parametrize("family", SHIFTED)
@torch.no_grad()
def test_prefix_with_shifted_positions_equals_peft(family: str) -> None:
    """PEFT counts the prefix as positions, UniPELT only where it is asked to."""
    length, inputs = 5, tiny_inputs([7, 3, 9])
    backbone = tiny_backbone(family, **SHIFTED[family])
    plain: TrialSpec = tiny_trial("prefix").model_copy(update={"prefix": PrefixSpec(length=length, mlp=None)})
    shifted = PrefixSpec(length=length, mlp=None, position_shift=True)
    with Pack(backbone, [tiny_run(plain)]) as pack:
        randomise(pack)
        key_value = pack.slot_state_dict(0)["prefix.key_value"]  # (layers, 2, heads, length, head_width)
        unshifted = pack(inputs)[0]
    with Pack(backbone, [tiny_run(plain.model_copy(update={"prefix": shifted}))]) as pack:
        randomise(pack)
        assert torch.equal(pack.slot_state_dict(0)["prefix.key_value"], key_value)
        ours = pack(inputs)[0]
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
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-6)
    assert not torch.allclose(unshifted, ours, atol=1e-3)


IA3_TARGETS = {
    "bert": (r".*\.attention\.self\.(key|value)|.*\.layer\.\d+\.output\.dense", r".*\.layer\.\d+\.output\.dense"),
    "roberta": (r".*\.attention\.self\.(key|value)|.*\.layer\.\d+\.output\.dense", r".*\.layer\.\d+\.output\.dense"),
    "qwen2": (r".*\.(k_proj|v_proj|down_proj)", r".*\.down_proj"),
}
"""PEFT's own list for BERT, `output.dense`, also takes the attention output; the paper's places need a pattern."""
IA3_PLACES = {"key": "key", "k_proj": "key", "value": "value", "v_proj": "value", "dense": "ffn", "down_proj": "ffn"}


def ia3_of_peft(reference: torch.nn.Module, pack: Pack) -> tuple[torch.nn.Module, dict[str, torch.nn.Parameter]]:
    """Build PEFT's model with the pack's head; returns its scales by the names of our parts."""
    with torch.no_grad():
        copy_head(pack, reference)
    targets, feedforward = IA3_TARGETS[pack.backbone.name]
    model = get_peft_model(reference, IA3Config(target_modules=targets, feedforward_modules=feedforward))
    scales = {}
    for name, module in model.named_modules():
        if hasattr(module, "ia3_l"):
            layer = next(part for part in name.split(".") if part.isdigit())
            scales[f"ia3/{layer}/{IA3_PLACES[name.split('.')[-1]]}"] = module.ia3_l["default"]
    assert set(scales) == {name for name in pack.parts if name.startswith("ia3/")}
    return model, scales


@pytest.mark.parametrize("family", IA3_TARGETS)
@torch.no_grad()
def test_ia3_equals_peft(family: str) -> None:
    backbone, inputs = tiny_backbone(family), tiny_inputs([7, 3, 9])
    with Pack(backbone, [tiny_run(tiny_trial("ia3"))]) as pack:
        randomise(pack)
        ours = pack(inputs)[0]
    model, scales = ia3_of_peft(copy.deepcopy(backbone.model), pack)
    assert not torch.allclose(ours, model(**inputs).logits, atol=1e-3)
    for name, scale in scales.items():
        scale.copy_(1 + pack.parts[name].deviation[0].view(scale.shape))
    assert torch.allclose(ours, model(**inputs).logits, atol=1e-5)


def test_ia3_trains_as_peft_does_step_for_step() -> None:
    backbone, task = tiny_backbone("bert"), tiny_task()
    trial = tiny_trial("ia3", steps=8, dropout=0.0, learning_rate=2e-2)
    run = tiny_run(trial)
    reference = copy.deepcopy(backbone.model)  # before the pack hangs its hooks on it
    with Pack(backbone, [run]) as pack:
        model, scales = ia3_of_peft(reference, pack)
        head = model.base_model.model.classifier.requires_grad_(True)
        plain = [*scales.values(), head.bias]
        theirs = torch.optim.AdamW(
            [{"params": plain, "weight_decay": 0.0}, {"params": [head.weight], "weight_decay": 0.01}]
        )
        ours = SlotAdamW(pack.trained(), [trial.training])
        batches = training_batches(lengths_of(task.train), 4, run.seeds.order)
        for step in range(8):
            batch = make_batch(task.train, [next(batches)], 0, torch.device("cpu"))
            our_loss = functional.cross_entropy(pack(batch.inputs, steps=[step])[0], batch.labels[0])
            their_loss = functional.cross_entropy(model(**batch.inputs).logits, batch.labels[0])
            assert our_loss.item() == pytest.approx(their_loss.item(), abs=1e-5)
            our_loss.backward()
            their_loss.backward()
            torch.nn.utils.clip_grad_norm_([*plain, head.weight], trial.training.clip_norm)
            for group in theirs.param_groups:
                group["lr"] = learning_rate(trial.training, step)
            theirs.step()
            theirs.zero_grad()
            ours.step([True])
        for name, scale in scales.items():
            assert torch.allclose(1 + pack.parts[name].deviation[0], scale.flatten(), atol=1e-5)
            assert float((scale.detach() - 1).abs().max()) > 1e-2

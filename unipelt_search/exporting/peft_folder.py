"""A trained model as a folder of the library PEFT, where PEFT can hold it exactly.

LoRA and IA3 are PEFT's own. BitFit is a LoRA of rank 1 at zero with `bias="all"`, which keeps every bias. A prefix is
PEFT's own where it was trained with `position_shift`: PEFT moves the tokens' positions up by the prefix's length. PEFT
has no gates and no bottleneck adapter, so those are refused.

Source: PEFT 0.21, https://github.com/huggingface/peft
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, TaskType, get_peft_model
from torch import Tensor

from unipelt_search.backbones.backbone import MINILM_HUB_NAME, Backbone
from unipelt_search.backbones.layers import attention_shape, layer_parts
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.merge import (
    add_biases,
    check_native_head,
    check_plain_projections,
    scaled_modules,
    with_head,
)
from unipelt_search.exporting.sample import Sample
from unipelt_search.exporting.saved_model import SavedModel
from unipelt_search.methods.catalogue import METHODS
from unipelt_search.pelt.pack import PREFIX_VALUES
from unipelt_search.specs.trial import TrialSpec

HELD = ("lora", "ia3", "bitfit", "prefix")
REASONS = {
    "adapter": "PEFT has no bottleneck adapter",
    "parallel_adapter": "PEFT has no parallel adapter",
}
UNSHIFTED = "PEFT moves the tokens' positions up by the prefix's length, and this model was trained without that"


def check_peft(backbone: Backbone, trial: TrialSpec) -> None:
    """Check that PEFT can hold a configuration exactly.

    Args:
        backbone: The backbone.
        trial: The configuration.

    Raises:
        SavedModelError: It cannot; says why.
    """
    method, advice = METHODS[trial.method], "Leave --peft out"
    reason = next((REASONS[submodule] for submodule in method.submodules if submodule in REASONS), None)
    if method.gated:
        reason = "PEFT has no gates"
    elif trial.method not in HELD and reason is None:
        reason = "it has no part that PEFT knows"
    elif trial.prefix is not None and backbone.family.positions is None:
        reason = f"PEFT has no prefix for a model of type {backbone.model.config.model_type!r}"
    elif trial.prefix is not None and not trial.prefix.position_shift:
        reason, advice = UNSHIFTED, f"{advice}, or give a study a configuration of prefix with position_shift: true"
    if reason is not None:
        raise SavedModelError(
            f"--peft holds {', '.join(HELD)} without gates; {trial.method} does not fit: {reason}. {advice}."
        )
    check_native_head(backbone, "--peft")
    check_plain_projections(backbone, trial, "--peft")


def write_peft(
    folder: Path, backbone: Backbone, saved: SavedModel, tensors: Mapping[str, Tensor], sample: Sample
) -> None:
    """Write a model as PEFT does, load it again with PEFT, and compare its answers.

    Args:
        folder: An empty folder.
        backbone: The backbone; no pack is attached to it.
        saved: The model's description; `check_peft` has passed.
        tensors: The run's stored tensors.
        sample: What the trained model answers.

    Raises:
        SavedModelError: What PEFT loads answers something else.
    """
    model = with_head(backbone, tensors)
    add_biases(model, tensors)
    with _quiet_peft():
        wrapped = get_peft_model(model, _config(backbone, saved, tensors))
        if saved.trial.prefix is None:
            _fill(wrapped, scaled_modules(backbone, tensors), tensors)
        else:
            _fill_prefix(wrapped, tensors[PREFIX_VALUES])
        wrapped.save_pretrained(folder, save_embedding_layers=False)
        again = PeftModel.from_pretrained(copy.deepcopy(backbone.model), folder)
    (folder / "README.md").write_text(_card(saved), encoding="utf-8")
    sample.check(again, "--peft")


def _config(
    backbone: Backbone, saved: SavedModel, tensors: Mapping[str, Tensor]
) -> LoraConfig | IA3Config | PrefixTuningConfig:
    lora, prefix, scaled = saved.trial.lora, saved.trial.prefix, scaled_modules(backbone, tensors)
    common: dict[str, Any] = {
        "task_type": TaskType.SEQ_CLS,
        "base_model_name_or_path": _base_name(saved),
        "modules_to_save": _head_modules(backbone),
    }
    if saved.trial.method == "ia3":
        inputs = [name for name, begin in scaled.items() if begin.endswith(".ffn")]
        return IA3Config(target_modules=list(scaled), feedforward_modules=inputs, **common)
    if prefix is not None:
        shape = attention_shape(backbone.model.config)
        return PrefixTuningConfig(
            num_virtual_tokens=prefix.length,
            num_layers=len(layer_parts(backbone.base, backbone.family)),
            num_attention_heads=shape.heads,
            token_dim=shape.heads * shape.head_width,
            **common,
        )
    if lora is not None:
        rank = {"r": lora.rank, "lora_alpha": lora.alpha, "lora_dropout": lora.dropout}
        return LoraConfig(target_modules=list(scaled), **rank, **common)
    query = layer_parts(backbone.base, backbone.family)[0].query.module
    name = next(name for name, module in backbone.model.named_modules() if module is query)
    return LoraConfig(target_modules=[name], r=1, bias="all", **common)


def _head_modules(backbone: Backbone) -> list[str]:
    """Name the modules that hold the trained head; PEFT wraps a head of several layers as a whole."""
    modules = backbone.family.head if backbone.pooling != "native" else backbone.new_modules
    inside = f"{backbone.model.base_model_prefix}."
    return sorted({name if name.startswith(inside) else name.split(".")[0] for name in modules})


@torch.no_grad()
def _fill(wrapped: Any, scaled: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    """Give PEFT's parts their values: the trained ones, else zero, so that nothing is left to chance."""
    for name, module in wrapped.base_model.model.named_modules():
        begin = scaled.get(name)
        if hasattr(module, "lora_A"):
            for factor, ours in ((module.lora_A, "down"), (module.lora_B, "up")):
                weight = factor["default"].weight
                weight.copy_(tensors.get(f"{begin}.{ours}", torch.zeros_like(weight)))
        elif hasattr(module, "ia3_l"):
            weight = module.ia3_l["default"]
            weight.copy_((1 + tensors[f"{begin}.deviation"]).view_as(weight))


@torch.no_grad()
def _fill_prefix(wrapped: Any, key_value: Tensor) -> None:
    """Give PEFT's prefix its keys and values ``(layers, 2, heads, length, head_width)``, one row per position."""
    wrapped.prompt_encoder["default"].embedding.weight.copy_(key_value.permute(3, 0, 1, 2, 4).flatten(1))


def _base_name(saved: SavedModel) -> str:
    return MINILM_HUB_NAME if saved.backbone.source == "package" else saved.backbone.model


def _card(saved: SavedModel) -> str:
    task = saved.task
    meaning = task.target.label_kind.meaning(task.target)
    return f"""# {saved.trial.method} for {saved.task.name}, in the form of PEFT

```python
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

base = AutoModelForSequenceClassification.from_pretrained({_base_name(saved)!r}, num_labels={saved.task.target.outputs})
model = PeftModel.from_pretrained(base, "this folder").eval()
```

Texts are cut after {saved.task.max_length} tokens. A causal base model needs a `pad_token_id` in its configuration.

The outputs mean:

{meaning}
"""


@contextmanager
def _quiet_peft() -> Iterator[None]:
    """Keep notes about versions to come, which a user can do nothing about, off the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

"""A trained model as a folder of the library PEFT, where PEFT can hold it exactly.

Which type of PEFT's holds a submodule, and with which values, is the submodule's own affair (`Submodule.peft_form`).
PEFT has no gates, so gated methods are refused.

Source: PEFT 0.21, https://github.com/huggingface/peft
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import PeftModel, TaskType, get_peft_config, get_peft_model
from torch import Tensor

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import MINILM_HUB_NAME
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.merge import check_native_head, check_plain_projections, with_head
from unipelt_search.exporting.plain_tokenizer import plain_tokenizer
from unipelt_search.exporting.sample import Sample
from unipelt_search.exporting.saved_model import SavedModel
from unipelt_search.methods.catalogue import catalogue, find_method
from unipelt_search.pelt.merged_weights import set_values, tensors_of
from unipelt_search.pelt.registry import submodules_of, torch_submodule
from unipelt_search.pelt.submodule import Obstacle, PeftForm
from unipelt_search.specs.trial import TrialSpec


def check_peft(backbone: Backbone, trial: TrialSpec) -> None:
    """Check that PEFT can hold a configuration exactly.

    Args:
        backbone: The backbone.
        trial: The configuration.

    Raises:
        SavedModelError: It cannot; says why.
    """
    obstacle = _obstacle(backbone, trial)
    if obstacle is not None:
        held = ", ".join(entry.name for entry in catalogue() if torch_submodule(entry.name).has_peft_form)
        instead = f", or {obstacle.instead}" if obstacle.instead else ""
        raise SavedModelError(
            f"--peft holds {held} without gates; {trial.method} does not fit: {obstacle.reason}. Leave --peft "
            f"out{instead}."
        )
    check_native_head(backbone, "--peft")
    check_plain_projections(backbone, trial, "--peft")


def _obstacle(backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
    """Find the first reason why PEFT cannot hold a configuration."""
    if find_method(trial.method).gated:
        return Obstacle("PEFT has no gates")
    submodules = submodules_of(trial)
    if not submodules:
        return Obstacle("it has no part that PEFT knows")
    found = (submodule.peft_obstacle(backbone, trial) for submodule in submodules)
    return next((obstacle for obstacle in found if obstacle is not None), None)


def write_peft(
    folder: Path, backbone: Backbone, saved: SavedModel, tensors: Mapping[str, Tensor], sample: Sample
) -> None:
    """Write a model as PEFT does, load it again with PEFT, and compare its predictions.

    Args:
        folder: An empty folder.
        backbone: The backbone; no pack is attached to it.
        saved: The model's description; `check_peft` has passed.
        tensors: The run's stored tensors.
        sample: What the trained model predicts.

    Raises:
        SavedModelError: What PEFT loads predicts something else.
    """
    wrapped = peft_model(backbone, saved.trial, tensors, _base_name(saved))
    with _quiet_peft():
        wrapped.save_pretrained(folder, save_embedding_layers=False)
        plain_tokenizer(backbone.tokenizer, saved.task).save_pretrained(folder)
        again = PeftModel.from_pretrained(copy.deepcopy(backbone.model), folder)
    (folder / "README.md").write_text(_card(saved), encoding="utf-8")
    sample.check(again, "--peft")


def peft_model(
    backbone: Backbone,
    trial: TrialSpec,
    tensors: Mapping[str, Tensor],
    base_name: str,
) -> Any:
    """Wrap a copy of a backbone with PEFT's form of a run's tensors.

    Args:
        backbone: The backbone; no pack is attached to it.
        trial: The configuration; `check_peft` has passed.
        tensors: The run's stored tensors.
        base_name: Where PEFT finds the backbone again.

    Returns:
        PEFT's model.
    """
    model = with_head(backbone, tensors)
    # PEFT wraps the model that already has the trained head, and keeps it by `modules_to_save`.
    (submodule,) = submodules_of(trial)  # without gates a method is one submodule
    form = submodule.peft_form(backbone, model, trial, tensors_of(tensors, submodule.name))
    config = get_peft_config(
        {
            "peft_type": form.peft_type,
            "task_type": TaskType.SEQ_CLS,
            "base_model_name_or_path": base_name,
            "modules_to_save": _head_modules(backbone),
            **form.settings,
        }
    )
    with _quiet_peft():
        wrapped = get_peft_model(model, config)
    _fill(wrapped, form)
    return wrapped


def _head_modules(backbone: Backbone) -> list[str]:
    """Name the modules that hold the trained head; PEFT wraps a head of several layers as a whole."""
    modules = backbone.family.head if backbone.pooling != "native" else backbone.new_modules
    inside = f"{backbone.model.base_model_prefix}."
    return sorted({name if name.startswith(inside) else name.split(".")[0] for name in modules})


def _fill(wrapped: Any, form: PeftForm) -> None:
    """Give PEFT's parameters the trained values, so that nothing is left to chance."""
    parameters = dict(wrapped.named_parameters())
    for name, values in form.tensors.items():
        parameter = parameters[name]
        # One number stands for a tensor that is filled with it.
        own = values.expand_as(parameter) if values.dim() == 0 else values.view_as(parameter)
        set_values(parameter, own)


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

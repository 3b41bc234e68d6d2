"""A trained model as a folder of the library PEFT, where PEFT can hold it exactly.

Which type of PEFT's holds a submodule, and with which values, is the submodule's own affair (`Submodule.peft_form`).
PEFT has no gates, so gated methods are refused.

Source: PEFT 0.21, https://github.com/huggingface/peft
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, PeftType, TaskType, get_peft_config, get_peft_model
from peft.utils import ModulesToSaveWrapper
from safetensors.torch import load_file, save_file
from torch import Tensor

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import resolve_model
from unipelt_search.exporting.export_forms import peft_obstacle, refusal
from unipelt_search.exporting.merge import with_head
from unipelt_search.exporting.peft_card import Routes, peft_card
from unipelt_search.exporting.plain_files import load_saved_tokenizer, save_tokenizer
from unipelt_search.exporting.sample import Sample
from unipelt_search.exporting.saved_model import CARD, SavedModel
from unipelt_search.pelt.merged_weights import set_values, tensors_of
from unipelt_search.pelt.registry import submodules_of
from unipelt_search.pelt.submodule import PeftForm
from unipelt_search.specs.study import Side
from unipelt_search.specs.trial import TrialSpec

_OPTION = "--peft"
_PEFT_HEADS = ("classifier", "score")
"""Ends of the names of modules that PEFT takes for the head of a classification model, whatever it is told."""
_WRAPPERS = frozenset({"modules_to_save", "original_module"})


def check_peft(backbone: Backbone, trial: TrialSpec, side: Side | None = None) -> None:
    """Check that PEFT can hold a configuration exactly.

    Args:
        backbone: The backbone.
        trial: The configuration.
        side: The side of a long text that is cut; None is the tokenizer's own.

    Raises:
        SavedModelError: It cannot; says why.
    """
    obstacle = peft_obstacle(backbone, trial, side)
    if obstacle is not None:
        raise refusal(_OPTION, trial, obstacle)


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
    base = resolve_model(saved.backbone.model)
    wrapped = peft_model(backbone, saved.trial, tensors, base)
    with _quiet_peft():
        wrapped.save_pretrained(folder, save_embedding_layers=False)
    _drop_duplicates(folder / "adapter_model.safetensors")
    _sort_settings(folder / "adapter_config.json")
    save_tokenizer(folder, backbone, saved.task)
    (folder / CARD).write_text(peft_card(saved, backbone, base, _routes(wrapped)), encoding="utf-8")
    inputs = sample.read_with(load_saved_tokenizer(folder), _OPTION)
    sample.check(_logits(folder, backbone, inputs), _OPTION)


@torch.no_grad()
def _logits(folder: Path, backbone: Backbone, inputs: Mapping[str, Any]) -> Tensor:
    """Load what was written and compute its logits ``(B, outputs)``."""
    with _quiet_peft():
        model = PeftModel.from_pretrained(copy.deepcopy(backbone.model), folder).eval()
    logits: Tensor = model(**inputs).logits
    return logits


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
            "modules_to_save": _head_modules(backbone),
            **form.settings,
        }
    )
    with _quiet_peft():
        wrapped = get_peft_model(model, config)
    # Said afterwards, because PEFT takes what the model itself says of where it is from.
    wrapped.active_peft_config.base_model_name_or_path = base_name
    _fill(wrapped, form)
    return wrapped


def _head_modules(backbone: Backbone) -> list[str]:
    """Name the modules that hold the trained head."""
    modules = backbone.family.head if backbone.pooling != "native" else backbone.new_modules
    return sorted({_wrapped_part(name) for name in modules})


def _wrapped_part(name: str) -> str:
    """Name what PEFT wraps of a head's layer: the layer, or the whole of what has one of PEFT's own names for heads.

    Layers are named one by one because PEFT's IA3 merges no wrapped module that has no weight of its own.
    """
    steps = name.split(".")
    for count in range(1, len(steps)):
        if steps[count - 1].endswith(_PEFT_HEADS):
            return ".".join(steps[:count])
    return name


def _routes(wrapped: Any) -> Routes:
    """Tell in which ways a model of PEFT's can be loaded."""
    config = wrapped.active_peft_config
    if config.is_prompt_learning:
        return Routes(without_peft_model=False, merges=False)
    heads = [module for module in wrapped.modules() if isinstance(module, ModulesToSaveWrapper)]
    several_layers = any(not hasattr(head.original_module, "weight") for head in heads)
    return Routes(without_peft_model=True, merges=config.peft_type != PeftType.IA3 or not several_layers)


def _drop_duplicates(path: Path) -> None:
    """Take the head's biases out that PEFT stores a second time, under the names of its wrapper (``bias="all"``)."""
    tensors = load_file(path)
    kept = {name: values for name, values in tensors.items() if not _WRAPPERS.intersection(name.split("."))}
    if len(kept) < len(tensors):
        save_file(kept, path, metadata={"format": "pt"})


def _sort_settings(path: Path) -> None:
    """Sort PEFT's lists of modules, which are sets: a second export is then the same byte for byte."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    for name, value in settings.items():
        if isinstance(value, list):
            settings[name] = sorted(value, key=str)
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _fill(wrapped: Any, form: PeftForm) -> None:
    """Give PEFT's parameters the trained values, so that nothing is left to chance."""
    parameters = dict(wrapped.named_parameters())
    for name, values in form.tensors.items():
        parameter = parameters[name]
        # One number stands for a tensor that is filled with it.
        own = values.expand_as(parameter) if values.dim() == 0 else values.view_as(parameter)
        set_values(parameter, own)


@contextmanager
def _quiet_peft() -> Iterator[None]:
    """Keep notes about versions to come, which a user can do nothing about, off the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

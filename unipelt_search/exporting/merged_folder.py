"""A merged model as a folder that plain libraries load.

Where the architecture's own classification model pools as the backbone does, transformers loads it, otherwise
sentence-transformers (`pooled_folder`). No class of this package and no code of a checkpoint is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.loader_errors import quiet_transformers
from unipelt_search.exporting.export_forms import Library, merged_form, refusal
from unipelt_search.exporting.merge import merged_model, use_label_units
from unipelt_search.exporting.plain_files import describe_outputs, load_saved_tokenizer, save_tokenizer
from unipelt_search.exporting.pooled_folder import pooled_logits, write_pooled
from unipelt_search.exporting.sample import Sample
from unipelt_search.exporting.saved_model import SavedModel
from unipelt_search.kinds.label_kind import Target
from unipelt_search.specs.study import Side
from unipelt_search.specs.trial import TrialSpec

_OPTION = "--merged"


def check_mergeable(backbone: Backbone, trial: TrialSpec, target: Target, side: Side | None = None) -> Library:
    """Check that a configuration can be merged into its backbone exactly.

    Args:
        backbone: The backbone.
        trial: The configuration.
        target: What the outputs mean.
        side: The side of a long text that is cut; None is the tokenizer's own.

    Returns:
        What loads the merged model.

    Raises:
        SavedModelError: It cannot; says why.
    """
    form = merged_form(backbone, trial, target, side)
    if isinstance(form, str):
        return form
    raise refusal(_OPTION, trial, form)


def write_merged(
    folder: Path,
    backbone: Backbone,
    saved: SavedModel,
    tensors: Mapping[str, Tensor],
    sample: Sample,
) -> None:
    """Write a merged model with its tokenizer, load it again, and compare its predictions.

    Args:
        folder: An empty folder.
        backbone: The backbone; no pack is attached to it.
        saved: The model's description; `check_mergeable` has passed.
        tensors: The run's stored tensors.
        sample: What the trained model predicts.

    Raises:
        SavedModelError: The merged model predicts something else, or its tokenizer reads texts otherwise.
    """
    target = saved.task.target
    sample = sample.in_label_units(target.label_kind.output_scale(target))
    save_tokenizer(folder, backbone, saved.task)
    inputs = sample.read_with(load_saved_tokenizer(folder), _OPTION)
    if check_mergeable(backbone, saved.trial, target, saved.task.truncation) == "transformers":
        _write_native(folder, backbone, saved, tensors)
        sample.check(_native_logits(folder, inputs), _OPTION)
    else:
        write_pooled(folder, backbone, saved, tensors)
        sample.check(pooled_logits(folder, type(backbone.base), inputs), _OPTION)


def _write_native(folder: Path, backbone: Backbone, saved: SavedModel, tensors: Mapping[str, Tensor]) -> None:
    model = merged_model(backbone, saved.trial, tensors)
    target = saved.task.target
    use_label_units(model.get_submodule(backbone.family.head[-1]), target.label_kind.output_scale(target))
    describe_outputs(model.config, saved.task)
    with quiet_transformers():
        model.save_pretrained(folder)


@torch.no_grad()
def _native_logits(folder: Path, inputs: Mapping[str, Any]) -> Tensor:
    """Load what was written and compute its logits ``(B, outputs)``."""
    with quiet_transformers():
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        ).eval()
    logits: Tensor = model(**inputs).logits
    return logits

"""A trained model as a plain Hugging Face folder, where its tensors can be merged into the backbone exactly."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import Projection, layer_parts
from unipelt_search.backbones.loader_errors import quiet_transformers
from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.sample import Sample
from unipelt_search.exporting.saved_model import SavedTask
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.head import POOLED
from unipelt_search.pelt.merged_weights import set_values, tensors_of
from unipelt_search.pelt.registry import submodules_of
from unipelt_search.specs.trial import TrialSpec


def check_mergeable(backbone: Backbone, trial: TrialSpec) -> None:
    """Check that a configuration can be merged into its backbone exactly.

    Args:
        backbone: The backbone.
        trial: The configuration.

    Raises:
        SavedModelError: It cannot; says why.
    """
    method = find_method(trial.method)
    if method.gated:
        raise SavedModelError(
            f"--merged needs a method without gates; {trial.method}'s gates depend on the text, so no fixed weights "
            "say the same. Leave --merged out."
        )
    for submodule in submodules_of(trial):
        obstacle = submodule.merge_obstacle(backbone, trial)
        if obstacle is not None:
            raise SavedModelError(f"--merged cannot hold {trial.method}: {obstacle.reason}. Leave --merged out.")
    check_native_head(backbone, "--merged")
    check_plain_projections(backbone, trial, "--merged")


def check_native_head(backbone: Backbone, option: str) -> None:
    """Check that a plain Hugging Face model pools as this backbone does.

    Args:
        backbone: The backbone.
        option: What the user asked for.

    Raises:
        SavedModelError: It does not.
    """
    if backbone.pooling == "native":
        return
    if not backbone.family.causal or backbone.pooling != "last":
        raise SavedModelError(
            f"{option} needs the architecture's native pooling; this model was trained with pooling "
            f"{backbone.pooling!r}, which a plain Hugging Face model has not. Set backbone.pooling to native in a new "
            f"study, or leave {option} out."
        )
    # A causal head takes the last token that is not padding, told by its number.
    tokens = backbone.tokenizer("a")["input_ids"]
    if not tokens or tokens[-1] == backbone.model.config.pad_token_id:
        raise SavedModelError(
            f"{option} needs a padding token that ends no text; {backbone.name!r} pads with the token that its "
            f"tokenizer puts after every text. Leave {option} out."
        )


def check_plain_projections(backbone: Backbone, trial: TrialSpec, option: str) -> None:
    """Check that what a configuration's submodules are merged into are linear layers of their own.

    Args:
        backbone: The backbone.
        trial: The configuration.
        option: What the user asked for.

    Raises:
        SavedModelError: They are parts of a larger matrix.
    """
    targets = {target for submodule in submodules_of(trial) for target in submodule.merge_targets}
    for layer in layer_parts(backbone.base, backbone.family):
        for target in sorted(targets):
            projection: Projection | None = getattr(layer, target)
            if projection is None:
                continue
            linear = projection.module
            shape = (projection.out, projection.inner)
            if not isinstance(linear, nn.Linear) or linear.weight.shape != shape:
                raise SavedModelError(
                    f"{option} needs projections that are layers of their own; those of {backbone.name!r} are parts of "
                    f"a larger matrix. Leave {option} out."
                )


def with_head(backbone: Backbone, tensors: Mapping[str, Tensor]) -> Any:
    """Copy a backbone's model and give the copy a trained head.

    Args:
        backbone: The backbone; no pack is attached to it.
        tensors: A run's stored tensors, of which the head's are taken.

    Returns:
        The copy.
    """
    model = copy.deepcopy(backbone.model)
    for name, values in tensors_of(tensors, "head").items():
        target = name
        if name.startswith(f"{POOLED}."):  # a layer after our own pooling stands for the architecture's last one
            target = f"{backbone.family.head[-1]}.{name.split('.')[-1]}"
        set_values(model.get_parameter(target), values)
    return model


def merged_model(backbone: Backbone, trial: TrialSpec, tensors: Mapping[str, Tensor]) -> Any:
    """Merge a run's stored tensors into a copy of its backbone.

    Args:
        backbone: The backbone; no pack is attached to it.
        trial: The configuration; `check_mergeable` has passed.
        tensors: The run's stored tensors.

    Returns:
        A model that predicts the same without this package.
    """
    model = with_head(backbone, tensors)
    for name, values in tensors_of(tensors, "backbone").items():
        set_values(model.get_parameter(name), values)
    for submodule in submodules_of(trial):
        submodule.merge(backbone, model, trial, tensors_of(tensors, submodule.name))
    return model


def write_merged(
    folder: Path,
    backbone: Backbone,
    trial: TrialSpec,
    tensors: Mapping[str, Tensor],
    task: SavedTask,
    sample: Sample,
) -> None:
    """Write a merged model with its tokenizer, load it again, and compare its predictions.

    Args:
        folder: An empty folder.
        backbone: The backbone; no pack is attached to it.
        trial: The configuration; `check_mergeable` has passed.
        tensors: The run's stored tensors.
        task: What the outputs mean.
        sample: What the trained model predicts.

    Raises:
        SavedModelError: The merged model predicts something else.
    """
    model = merged_model(backbone, trial, tensors)
    kind = task.target.label_kind
    scale = kind.output_scale(task.target)
    if scale is not None:
        factor, summand = scale
        _use_label_units(model.get_submodule(backbone.family.head[-1]), factor, summand)
        sample = Sample(sample.inputs, sample.logits * factor + summand)
    model.config.problem_type = kind.problem_type
    model.config.id2label = dict(enumerate(kind.output_names(task.labels)))
    model.config.label2id = {label: number for number, label in model.config.id2label.items()}
    tokenizer = copy.deepcopy(backbone.tokenizer)
    tokenizer.model_max_length = task.max_length  # so that truncation=True cuts texts as training did
    with quiet_transformers():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        again = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    sample.check(again, "--merged")


def _use_label_units(linear: Any, factor: float, summand: float) -> None:
    """Let the last layer predict in the user's units: it was trained on (number - summand) / factor."""
    if linear.bias is None:
        raise SavedModelError(
            "--merged of a regression needs a last layer with a bias, to predict in the units of the labels; this "
            "architecture's has none. Leave --merged out."
        )
    with torch.no_grad():
        linear.weight.mul_(factor)
        linear.bias.mul_(factor).add_(summand)

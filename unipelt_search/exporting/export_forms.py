"""Which forms of export can hold a configuration exactly, told from the backbone before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from transformers import MODEL_MAPPING

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.declared_pooling import SENTENCE_TRANSFORMERS_MODES
from unipelt_search.backbones.model_class import has_plain_class
from unipelt_search.errors import SavedModelError
from unipelt_search.kinds.label_kind import Target
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.merged_weights import merge_obstacle_of
from unipelt_search.pelt.registry import submodules_of
from unipelt_search.pelt.submodule import Obstacle
from unipelt_search.records.study_plan import PlannedExport
from unipelt_search.specs.pooling import modes_of
from unipelt_search.specs.study import Side
from unipelt_search.specs.trial import TrialSpec

Library = Literal["transformers", "sentence-transformers"]
"""What loads a merged model without this package."""
_ENCODERS_ALONE = ("T5EncoderModel", "MT5EncoderModel", "UMT5EncoderModel")
UNGATED = "name a confirmed trial of a method without gates with --trial"


def merged_form(backbone: Backbone, trial: TrialSpec, target: Target, side: Side | None = None) -> Library | Obstacle:
    """Tell which library loads a configuration that is merged into its backbone.

    Args:
        backbone: The backbone.
        trial: The configuration.
        target: What the outputs mean.
        side: The side of a long text that is cut; None is the tokenizer's own.

    Returns:
        The library; an obstacle where no weights of the backbone can say the same.
    """
    obstacle = _merge_obstacle(backbone, trial) or _side_obstacle(side)
    return _library(backbone, target) if obstacle is None else obstacle


def peft_obstacle(backbone: Backbone, trial: TrialSpec, side: Side | None = None) -> Obstacle | None:
    """Say why the library PEFT cannot hold a configuration exactly.

    Args:
        backbone: The backbone.
        trial: The configuration.
        side: The side of a long text that is cut; None is the tokenizer's own.

    Returns:
        The first reason; None where PEFT can.
    """
    if find_method(trial.method).gated:
        return Obstacle("PEFT has no gates", UNGATED)
    submodules = submodules_of(trial)
    if not submodules:
        return Obstacle("it has no part that PEFT knows")
    found = (submodule.peft_obstacle(backbone, trial) for submodule in submodules)
    own = [_plain_obstacle(backbone, trial), _part_obstacle(backbone), _native_obstacle(backbone)]
    return _first([*found, *own, _side_obstacle(side)])


def planned_export(
    name: str, trial: TrialSpec, backbone: Backbone, target: Target, side: Side | None = None
) -> PlannedExport:
    """Tell which forms of export can hold a method's model.

    Args:
        name: The method's name, or that of a configuration of the user's.
        trial: Its configuration; which numbers it has makes no difference.
        backbone: The backbone.
        target: What the outputs mean.
        side: The side of a long text that is cut; None is the tokenizer's own.

    Returns:
        The entry of a study's plan.
    """
    merged = merged_form(backbone, trial, target, side)
    peft = peft_obstacle(backbone, trial, side)
    return PlannedExport(
        method=trial.method,
        variant=None if name == trial.method else name,
        merged=merged if isinstance(merged, str) else None,
        merged_obstacle=None if isinstance(merged, str) else merged.reason,
        peft=peft is None,
        peft_obstacle=None if peft is None else peft.reason,
    )


def refusal(option: str, trial: TrialSpec, obstacle: Obstacle) -> SavedModelError:
    """Return the error of an option that cannot be had.

    Args:
        option: What the user asked for.
        trial: The configuration.
        obstacle: Why it cannot.

    Returns:
        The error, to be raised.
    """
    instead = f", or {obstacle.instead}" if obstacle.instead else ""
    return SavedModelError(f"{option} cannot hold {trial.method}: {obstacle.reason}. Leave {option} out{instead}.")


def _merge_obstacle(backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
    if find_method(trial.method).gated:
        return Obstacle("gates depend on the text, so no fixed weights say the same", UNGATED)
    found = (submodule.merge_obstacle(backbone, trial) for submodule in submodules_of(trial))
    return _first([*found, _plain_obstacle(backbone, trial)])


def _plain_obstacle(backbone: Backbone, trial: TrialSpec) -> Obstacle | None:
    """Say why what the submodules change is no weight that can be changed."""
    targets = {target for submodule in submodules_of(trial) for target in submodule.merge_targets}
    reason = merge_obstacle_of(backbone, sorted(targets))
    return None if reason is None else Obstacle(f"{reason} in {backbone.name!r}")


def _part_obstacle(backbone: Backbone) -> Obstacle | None:
    """Say why PEFT does not find the backbone by its name."""
    if not backbone.is_part:
        return None
    return Obstacle(f"PEFT would load all of {backbone.name!r}, of which this backbone is the text part alone")


def _side_obstacle(side: Side | None) -> Obstacle | None:
    """Say why a tokenizer alone does not cut texts as training did."""
    if side != "head_tail":
        return None
    return Obstacle(
        "no tokenizer cuts the middle of a text, as task.truncation head_tail does",
        "set task.truncation to right or left in a new study",
    )


def _library(backbone: Backbone, target: Target) -> Library | Obstacle:
    """Choose the library for a backbone's pooling and last layer."""
    plain = _native_obstacle(backbone) or _scale_obstacle(backbone, target)
    if plain is None:
        return "transformers"
    if backbone.pooling == "native":
        return plain
    return _pooled_obstacle(backbone) or "sentence-transformers"


def _native_obstacle(backbone: Backbone) -> Obstacle | None:
    """Say why transformers' own classification model does not pool as this backbone does."""
    if not has_plain_class(backbone.model):
        kind = backbone.model.config.model_type
        return Obstacle(f"transformers has no classification model of the type {kind!r} for this checkpoint")
    if backbone.pooling == "native":
        return None
    if not backbone.family.causal or backbone.pooling != "last":
        return Obstacle(
            f"the classification models of transformers do not pool by {backbone.pooling!r}, as this backbone does",
            "set backbone.pooling to native in a new study",
        )
    # A causal head takes the last token that is not padding, told by its number.
    tokens = backbone.tokenizer("a")["input_ids"]
    if not tokens or tokens[-1] == backbone.model.config.pad_token_id:
        return Obstacle(
            "the classification models of transformers look for the last token that is not padding, and "
            f"{backbone.name!r} pads with the token that its tokenizer puts after every text"
        )
    return None


def _scale_obstacle(backbone: Backbone, target: Target) -> Obstacle | None:
    """Say why the last layer cannot predict in the units of the labels."""
    scale = target.label_kind.output_scale(target)
    last: Any = backbone.model.get_submodule(backbone.family.head[-1])
    if scale is None or last.bias is not None:
        return None
    return Obstacle("predictions in the units of the labels need a last layer with a bias, which this one has not")


def _pooled_obstacle(backbone: Backbone) -> Obstacle | None:
    """Say why sentence-transformers does not compute the vectors that this backbone pools."""
    unknown = set(modes_of(backbone.pooling)) - set(SENTENCE_TRANSFORMERS_MODES.values())
    if unknown:
        return Obstacle(f"sentence-transformers has no pooling {', '.join(sorted(unknown))!r}")
    config = backbone.model.config
    base = type(backbone.base)
    # Of some encoder-decoders sentence-transformers loads the encoder alone.
    if base.__name__ in _ENCODERS_ALONE or base in _automodel_classes(config):
        return None
    return Obstacle(f"transformers' AutoModel loads another class than {base.__name__} for {config.model_type!r}")


def _automodel_classes(config: Any) -> tuple[type, ...]:
    known = MODEL_MAPPING.get(type(config), ())
    return known if isinstance(known, tuple) else (known,)


def _first(obstacles: Iterable[Obstacle | None]) -> Obstacle | None:
    return next((obstacle for obstacle in obstacles if obstacle is not None), None)

"""Whether a configuration can attach to a backbone, found out before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.errors import BackboneError
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.registry import submodules_of
from unipelt_search.pelt.submodule import Submodule
from unipelt_search.specs.trial import TrialSpec


def packable(backbone: Backbone, trial: TrialSpec) -> bool:
    """Tell whether a run of a configuration can share a pack with others.

    Args:
        backbone: The backbone.
        trial: The configuration.

    Returns:
        False where the backbone itself is trained, where submodules are left out of some layers, and where a part
        changes what all rows share (DeBERTa's relative positions), so that every run would need its own.
    """
    if trial.without or find_method(trial.method).trains == "backbone":
        return False
    return all(submodule.packable(backbone) for submodule in submodules_of(trial))


def check_trial(backbone: Backbone, trial: TrialSpec, tokens: int = 1) -> None:
    """Check that a configuration can attach to a backbone.

    Args:
        backbone: The backbone.
        trial: The configuration.
        tokens: Tokens of a row at most, where that is known.

    Raises:
        BackboneError: It cannot; says why.
    """
    count = len(layer_parts(backbone.base, backbone.family))
    for name, layer in trial.without:
        if layer >= count:
            raise BackboneError(
                f"without must name layers below {count}, as many as {backbone.name!r} has; got {name} in "
                f"layer {layer}."
            )
    if trial.gate is not None and trial.gate.is_causal and not backbone.causal:
        raise BackboneError(
            f"gate.pooling prefix_mean needs a decoder, whose tokens see no later ones; those of {backbone.name!r} do. "
            "Set gate.pooling to tokens."
        )
    for submodule in submodules_of(trial):
        _check_parts(backbone, submodule, trial.method)
        submodule.check(backbone, trial, tokens)


def _check_parts(backbone: Backbone, submodule: Submodule, method: str) -> None:
    """Check that some layer has every part that a submodule attaches to."""
    if not submodule.needs or layers_with(backbone, submodule.needs):
        return
    reasons = []
    for lack in backbone.family.lacks:
        if set(lack.parts) & set(submodule.needs):
            reasons.append(lack.sentence)
    reason = "; ".join(reasons) or f"we looked for a layer with {', '.join(submodule.needs)} and found none"
    raise BackboneError(
        f"{submodule.name} must have the parts that it attaches to; in type {backbone.model.config.model_type!r} "
        f"{reason}. Leave {method} out."
    )


def layers_with(backbone: Backbone, parts: Iterable[str]) -> list[int]:
    """List the layers that have some parts.

    Args:
        backbone: The backbone.
        parts: As attributes of `LayerParts`.

    Returns:
        Their numbers, counted from 0.
    """
    wanted = tuple(parts)
    return [layer.number for layer in layer_parts(backbone.base, backbone.family) if layer.has(wanted)]


def partial_reach(backbone: Backbone, trial: TrialSpec) -> tuple[int, int] | None:
    """Tell whether a configuration attaches to some layers only, as in hybrid models.

    Args:
        backbone: The backbone.
        trial: A configuration that can attach.

    Returns:
        (layers that its least widespread submodule attaches to, all layers); None where it attaches to all.
    """
    count = len(layer_parts(backbone.base, backbone.family))
    reached = [len(layers_with(backbone, submodule.needs)) for submodule in submodules_of(trial)]
    fewest = min(reached, default=count)
    return (fewest, count) if fewest < count else None

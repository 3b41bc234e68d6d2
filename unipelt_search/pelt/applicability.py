"""Whether a configuration can attach to a backbone, found out before anything is touched."""

from __future__ import annotations

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.errors import BackboneError
from unipelt_search.methods.catalogue import find_method
from unipelt_search.pelt.registry import submodules_of
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
    for submodule in submodules_of(trial):
        submodule.check(backbone, trial, tokens)

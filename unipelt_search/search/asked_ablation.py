"""Whose submodules a study removes, and from which layers."""

from __future__ import annotations

from dataclasses import dataclass

from unipelt_search.methods.catalogue import find_method
from unipelt_search.specs.study import SpaceSpec

_ONLY_GATED = 2
"""The first edition whose ablation is of gated methods only, and of single layers where they are asked for."""


@dataclass(frozen=True)
class AskedAblation:
    """The ablation of one method."""

    submodules: int
    """Those that are removed, one after another; 0 is no ablation."""
    single_layers: bool
    """Whether each is also removed from single layers."""

    def passes(self, layers: int) -> int:
        """Count the passes over the rows that it takes: whole, then without each submodule.

        Args:
            layers: Layers of the backbone.

        Returns:
            The passes, 0 without an ablation.
        """
        removals = self.submodules * (layers + 1 if self.single_layers else 1)
        return removals + 1 if removals else 0


def asked_ablation(method: str, space: SpaceSpec, edition: int) -> AskedAblation:
    """Say what a study removes from a method.

    A study of the first edition goes on with what it began with: the submodules of every method, from single layers
    too.

    Args:
        method: The method's name.
        space: What the study asks.
        edition: The study's edition.

    Returns:
        The ablation.
    """
    found = find_method(method)
    older = edition < _ONLY_GATED
    submodules = len(found.submodules) if found.gated or older else 0
    return AskedAblation(submodules, older or space.ablate_layers)

"""The torch half of a submodule, found by the name that its settings module gives: no method is imported here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module

from unipelt_search.methods.catalogue import METHODS
from unipelt_search.pelt.submodule import Submodule
from unipelt_search.specs.trial import TrialSpec


@cache
def torch_submodule(name: str) -> Submodule:
    """Load the torch half of a submodule.

    Args:
        name: The submodule.

    Returns:
        What attaches it.

    Raises:
        MethodError: The object that its settings name is not there, or is another submodule's.
    """
    location = f"unipelt_search.pelt.{name.replace('parallel_adapter', 'adapter')}:{name.upper()}"
    module, attribute = location.split(":")
    found: Submodule = getattr(import_module(module), attribute)
    return found


def in_order(names: Iterable[str]) -> list[Submodule]:
    """Load submodules, sorted by where their hooks stand: what does not say comes last, in the order given."""
    return sorted((torch_submodule(name) for name in names), key=lambda submodule: submodule.order)


def submodules_of(trial: TrialSpec) -> list[Submodule]:
    """Load a configuration's submodules, sorted by where their hooks stand."""
    return in_order(METHODS[trial.method].submodules)

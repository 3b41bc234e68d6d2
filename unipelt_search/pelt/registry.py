"""The torch half of a submodule, found by the name that its settings module gives: no method is imported here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module

from unipelt_search.errors import MachineError
from unipelt_search.methods.catalogue import find_method, find_submodule
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
        RequestError: No installed package has the submodule.
        MachineError: What its settings name is not there, or is no submodule of that name.
    """
    # Imported when it is first attached, so that reports and the command line start without torch.
    entry = find_submodule(name)
    module, attribute = entry.torch_module.split(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise MachineError(
            f"torch_module of {name!r} must name what attaches it; got {entry.torch_module!r}, which cannot be "
            f"imported: {error}. Install {entry.package} anew."
        ) from error
    if not isinstance(found, Submodule) or found.name != name:
        raise MachineError(
            f"torch_module of {name!r} must name a Submodule called {name!r}; got {entry.torch_module!r}, which is "
            f"{getattr(found, 'name', type(found).__name__)!r}. Install {entry.package} anew."
        )
    return found


def in_order(names: Iterable[str]) -> list[Submodule]:
    """Load submodules, sorted by where their hooks stand: what does not say comes last, in the order given."""
    return sorted((torch_submodule(name) for name in names), key=lambda submodule: submodule.order)


def submodules_of(trial: TrialSpec) -> list[Submodule]:
    """Load a configuration's submodules, sorted by where their hooks stand."""
    return in_order(find_method(trial.method).submodules)

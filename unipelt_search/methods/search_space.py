"""The search space as data: every hyperparameter in the order of sampling, and the published learning rates."""

from __future__ import annotations

from collections.abc import Iterator

from unipelt_search.methods.baseline_settings import FINE_TUNING, HEAD
from unipelt_search.methods.basis import Basis, Value, resolved
from unipelt_search.methods.catalogue import find_method, find_submodule, ordered_entries
from unipelt_search.methods.gate_settings import GATE_HYPERPARAMETERS
from unipelt_search.methods.hyperparameter import RATE_MARGIN, Hyperparameter
from unipelt_search.methods.method_entry import LearningRates, Method
from unipelt_search.methods.training_settings import TRAINING_HYPERPARAMETERS

_BASELINE_RATES = {entry.name: entry.learning_rates for entry in (HEAD, FINE_TUNING)}
_SET_RATES: LearningRates = (2e-3, 5e-4, 5e-3)
"""Of every set of gated submodules, those of UniPELT."""


def hyperparameters(edition: int | None = None) -> tuple[Hyperparameter, ...]:
    """List every hyperparameter in the order of sampling.

    The order seeds the sampler, so that of ours never changes: training, gates, then the submodules' own. A condition
    looks back.

    Args:
        edition: A study's; None is the newest.

    Returns:
        The hyperparameters; a number that depends on the backbone is a share of its hidden size.

    Raises:
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    of_submodules = [parameter for entry in ordered_entries() for parameter in entry.hyperparameters_in(edition)]
    of_gates = [parameter for parameter in of_submodules if parameter.part == "gate"]
    of_parts = [parameter for parameter in of_submodules if parameter.part != "gate"]
    return (*TRAINING_HYPERPARAMETERS, *of_gates, *GATE_HYPERPARAMETERS, *of_parts)


def belongs_to(parameter: Hyperparameter, method: Method) -> bool:
    """Tell whether a method has a hyperparameter.

    Args:
        parameter: The hyperparameter.
        method: The method.

    Returns:
        Whether it does.
    """
    if parameter.part == "gate" and not method.gated:
        return False
    return parameter.submodule is None or parameter.submodule in method.submodules


def space_of(method: str, basis: Basis) -> tuple[Hyperparameter, ...]:
    """List what is searched for a method, in the order of sampling.

    Args:
        method: A trained method.
        basis: The study's edition and backbone.

    Returns:
        Its searched hyperparameters in plain numbers, the learning rate with the method's own range.

    Raises:
        UnknownMethodError: There is no such method.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
        UnipeltError: A range depends on the backbone's hidden size, which is not known.
    """
    found = find_method(method)
    searched = [parameter for parameter in _parameters_of(found, basis) if parameter.searched]
    return tuple(_ranged(parameter.on(basis), method) for parameter in searched)


def published_values(method: str, basis: Basis) -> dict[str, Value]:
    """Return the published value of each setting of a method that has one for every study.

    Args:
        method: A trained method.
        basis: The study's edition and backbone.

    Returns:
        By dotted name; learning rates, and what every run of a study shares, are not among them.

    Raises:
        UnknownMethodError: There is no such method.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
        UnipeltError: A value depends on the backbone's hidden size, which is not known.
    """
    found = find_method(method)
    return {
        parameter.name: resolved(parameter.published, basis)
        for parameter in _parameters_of(found, basis)
        if parameter.kind not in {"rate", "study"}
    }


def learning_rates(method: str) -> LearningRates:
    """Return the learning rates of a method's screen trials, best guess first.

    Args:
        method: A trained method.

    Returns:
        Three learning rates.

    Raises:
        UnknownMethodError: There is no such method.
        MachineError: A plug-in cannot be loaded, or takes a name that is taken.
    """
    baseline = _BASELINE_RATES.get(method)
    if baseline is not None:
        return baseline
    found = find_method(method)
    return _SET_RATES if found.gated else find_submodule(found.name).learning_rates


def _parameters_of(method: Method, basis: Basis) -> Iterator[Hyperparameter]:
    for parameter in hyperparameters(basis.edition):
        if belongs_to(parameter, method):
            yield parameter


def _ranged(parameter: Hyperparameter, method: str) -> Hyperparameter:
    if parameter.kind != "rate":
        return parameter
    rates = learning_rates(method)
    low = min(rates) / RATE_MARGIN
    high = max(rates) * RATE_MARGIN
    return parameter.model_copy(update={"low": low, "high": high})

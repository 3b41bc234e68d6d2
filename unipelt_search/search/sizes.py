"""What configurations store, known before they are trained, and how they are made to fit a limit.

Every size (rank, bottleneck, prefix length) adds the same numbers per unit, whatever the others are; so a method is
measured once on the backbone and its configurations are counted without it.
"""

from __future__ import annotations

from unipelt_search.methods.basis import Basis, resolved
from unipelt_search.methods.search_space import hyperparameters
from unipelt_search.records.history import MethodSize, TaskSummary
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.trial import TrialSpec

_SHRINK = 0.8
"""How much smaller a size becomes at each step towards the limit."""


def lowest_sizes(basis: Basis) -> dict[str, int]:
    """Return the smallest value that is searched of each size, by name, in the order of sampling."""
    sizes = [parameter for parameter in hyperparameters(basis.edition) if parameter.kind == "whole"]
    return {parameter.name: int(resolved(parameter.low, basis) or 1) for parameter in sizes}


def value_of(trial: TrialSpec, name: str) -> int | None:
    """Return a configuration's size of this name, for example `lora.rank`; None where it has none."""
    part, _, field = name.partition(".")
    settings = trial.parts.get(part)
    value: int | None = None if settings is None else getattr(settings, field)
    return value


def resized(trial: TrialSpec, name: str, value: int) -> TrialSpec:
    """Return a configuration with another size of this name, which it must have."""
    part, _, field = name.partition(".")
    settings = trial.parts[part].model_copy(update={field: value})
    return trial.model_copy(update={part: settings})


def stored_by(trial: TrialSpec, size: MethodSize) -> int:
    """Return how many numbers a configuration stores, the head included, by what was measured of its method."""
    stored = size.stored
    for name, measured in size.sizes.items():
        value = value_of(trial, name) or 0
        stored += (value - measured) * size.per_unit[name]
    if trial.gate is not None and trial.gate.sharing == "shared":
        stored += size.shared_gates or 0
    return stored


def shrunk(trial: TrialSpec, size: MethodSize, limit: int, basis: Basis) -> TrialSpec:
    """Make a configuration's sizes smaller, all by the same factor, until it fits or can be no smaller.

    Args:
        trial: The configuration.
        size: What was measured of its method.
        limit: Numbers that it may store.
        basis: The study's edition and backbone.

    Returns:
        The configuration that fits, as it is if it does, or the smallest one.
    """
    lowest = lowest_sizes(basis)
    while stored_by(trial, size) > limit:
        smaller = trial
        for name in size.sizes:
            value = value_of(trial, name) or 0
            # A size that began below what is searched stays as it is.
            floor = min(value, lowest[name])
            smaller = resized(smaller, name, max(floor, int(value * _SHRINK)))
        if smaller == trial:
            break
        trial = smaller
    return trial


def within_limit(trial: TrialSpec, space: SpaceSpec, task: TaskSummary, basis: Basis) -> TrialSpec:
    """Return a configuration that stores no more than the study allows.

    Args:
        trial: A configuration of a method that was not left out.
        space: The study's space.
        task: Its task, with the measured sizes.
        basis: The study's edition and backbone.

    Returns:
        The configuration, its sizes made smaller where that is needed.
    """
    size = next((size for size in task.sizes if size.method == trial.method), None)
    if space.max_parameters is None or size is None:
        return trial
    return shrunk(trial, size, space.max_parameters, basis)

"""Configurations of a method: its published settings, those that a user fixed, and samples from its search space.

The published settings are those of Mao et al. (2022) and of each method's own paper, at three learning rates,
the best guess for a small encoder with few rows first. What is searched stands in each method's settings module. Both
depend on a study's basis: its edition, and the hidden size of its backbone. Configurations hold plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial, FixedTrial

from unipelt_search.methods.basis import Basis, Value
from unipelt_search.methods.catalogue import parts_of
from unipelt_search.methods.hyperparameter import Hyperparameter
from unipelt_search.methods.search_space import learning_rates, published_values, space_of
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.trial import TrialSpec, config_of
from unipelt_search.specs.variants import Variant

FEWEST_STEPS = 150
"""Steps of a run at least, unless the study gives them."""


def steps_for(rows: int, space: SpaceSpec) -> int:
    """Choose the optimizer steps of a run.

    Args:
        rows: Training rows.
        space: The study's space, whose `steps` decides when it is given.

    Returns:
        Twenty epochs, but at least 150 steps and at most 1000 steps or three epochs, whichever is more.
    """
    if space.steps is not None:
        return space.steps
    most = max(1000, round(3 * rows / space.batch_size))
    return min(max(round(20 * rows / space.batch_size), FEWEST_STEPS), most)


def published(method: str, space: SpaceSpec, rows: int, basis: Basis) -> tuple[TrialSpec, ...]:
    """Return a method's published settings at its learning rates, best guess first.

    Args:
        method: A trained method.
        space: What every run shares.
        rows: Training rows.
        basis: The study's edition and backbone.

    Returns:
        One configuration per learning rate.
    """
    rates = learning_rates(method)
    return tuple(_configuration(method, {"training.learning_rate": rate}, space, rows, basis) for rate in rates)


def largest(method: str, space: SpaceSpec, rows: int, basis: Basis) -> TrialSpec:
    """Return the configuration of a method that trains the most of what its space allows.

    Args:
        method: A trained method.
        space: What every run shares.
        rows: Training rows.
        basis: The study's edition and backbone.

    Returns:
        Its published settings, with every number of units at its highest.
    """
    chosen: dict[str, Value] = {"training.learning_rate": learning_rates(method)[0]}
    for parameter in space_of(method, basis):
        bounds = _bounds(parameter)
        if parameter.kind == "whole" and bounds is not None:
            chosen[parameter.name] = int(bounds[1])
    return _configuration(method, chosen, space, rows, basis)


def configured(variant: Variant, space: SpaceSpec, rows: int, basis: Basis) -> TrialSpec:
    """Complete a configuration that the user gave with its method's published settings.

    Args:
        variant: What was given.
        space: What every run shares, unless the variant says otherwise.
        rows: Training rows.
        basis: The study's edition and backbone.

    Returns:
        The configuration.
    """
    chosen: dict[str, Value] = {"training.learning_rate": learning_rates(variant.method)[0]}
    for name in variant.training.model_fields_set:
        value = getattr(variant.training, name)
        # None leaves the published value, or the study's.
        if value is not None:
            chosen[f"training.{name}"] = value
    for part, given in variant.parts.items():
        for name in given.model_fields_set:
            chosen[f"{part}.{name}"] = getattr(given, name)
    return _configuration(variant.method, chosen, space, rows, basis)


def suggest(trial: BaseTrial, method: str, space: SpaceSpec, rows: int, basis: Basis) -> TrialSpec:
    """Sample a configuration of a method; parameters are named as in `config_of`.

    Args:
        trial: Where the values come from.
        method: A trained method.
        space: What every run shares.
        rows: Training rows.
        basis: The study's edition and backbone.

    Returns:
        The configuration.
    """
    chosen: dict[str, Value] = {}
    for parameter in space_of(method, basis):
        if parameter.acts(chosen):
            chosen[parameter.name] = _sample(trial, parameter)
    return _configuration(method, chosen, space, rows, basis)


def parameters_of(
    spec: TrialSpec, space: SpaceSpec, rows: int, basis: Basis
) -> tuple[dict[str, object], dict[str, BaseDistribution]]:
    """Say where a configuration lies in its method's space.

    Args:
        spec: A configuration that `published` or `suggest` made.
        space: What every run shares.
        rows: Training rows.
        basis: The study's edition and backbone.

    Returns:
        The parameters' values, and their distributions, by name.
    """
    trial = FixedTrial(config_of(spec))
    suggest(trial, spec.method, space, rows, basis)
    return trial.params, trial.distributions


def _sample(trial: BaseTrial, parameter: Hyperparameter) -> Value:
    bounds = _bounds(parameter)
    if bounds is None:
        chosen: Value = trial.suggest_categorical(parameter.name, parameter.choices)
        return chosen
    low, high = bounds
    if parameter.kind == "whole":
        return trial.suggest_int(parameter.name, int(low), int(high), log=True)
    step = parameter.step
    return trial.suggest_float(parameter.name, low, high, step=step, log=step is None)


def _bounds(parameter: Hyperparameter) -> tuple[float, float] | None:
    """Return the plain bounds of a hyperparameter of `space_of`; None where it is a choice."""
    low = parameter.low
    high = parameter.high
    return (low, high) if isinstance(low, float | int) and isinstance(high, float | int) else None


def _configuration(method: str, chosen: Mapping[str, Value], space: SpaceSpec, rows: int, basis: Basis) -> TrialSpec:
    """Complete chosen values with the published ones and with what every run of the study shares."""
    parts: dict[str, dict[str, Any]] = {}
    for part in parts_of(method):
        parts[part] = {}
    parts["training"] |= {
        "batch_size": space.batch_size,
        "steps": steps_for(rows, space),
        "evaluations": space.evaluations,
        "patience": space.patience,
    }
    for name, value in {**published_values(method, basis), **chosen}.items():
        part, _, field = name.partition(".")
        parts[part][field] = value
    return TrialSpec.model_validate({"method": method, **parts})

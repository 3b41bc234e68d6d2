"""Configurations of a method: its published settings, those that a user fixed, and draws from its search space.

The published settings are those of Mao et al. (2022) and of each method's own paper, at three learning rates,
the best guess for a small encoder with few rows first. What is searched is listed in `methods/search_space.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial, FixedTrial

from unipelt_search.methods.catalogue import parts_of
from unipelt_search.methods.search_space import LEARNING_RATES, Hyperparameter, Value, space_of
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


def published(method: str, space: SpaceSpec, rows: int) -> tuple[TrialSpec, ...]:
    """Return a method's published settings at its learning rates, best guess first.

    Args:
        method: A trained method.
        space: What every run shares.
        rows: Training rows.

    Returns:
        One configuration per learning rate.
    """
    rates = LEARNING_RATES[method]
    return tuple(_configuration(method, {"training.learning_rate": rate}, space, rows) for rate in rates)


def largest(method: str, space: SpaceSpec, rows: int) -> TrialSpec:
    """Return the configuration of a method that trains the most of what its space allows.

    Args:
        method: A trained method.
        space: What every run shares.
        rows: Training rows.

    Returns:
        Its published settings, with every number of units at its highest.
    """
    chosen: dict[str, Value] = {"training.learning_rate": LEARNING_RATES[method][0]}
    for parameter in space_of(method):
        if parameter.kind == "whole" and parameter.high is not None:
            chosen[parameter.name] = int(parameter.high)
    return _configuration(method, chosen, space, rows)


def configured(variant: Variant, space: SpaceSpec, rows: int) -> TrialSpec:
    """Complete a configuration that the user gave with its method's published settings.

    Args:
        variant: What was given.
        space: What every run shares, unless the variant says otherwise.
        rows: Training rows.

    Returns:
        The configuration.
    """
    chosen: dict[str, Value] = {"training.learning_rate": LEARNING_RATES[variant.method][0]}
    for part in parts_of(variant.method):
        given = getattr(variant, part)
        for name in given.model_fields_set if given is not None else ():
            value = getattr(given, name)
            if part != "training" or value is not None:
                chosen[f"{part}.{name}"] = value
    return _configuration(variant.method, chosen, space, rows)


def suggest(trial: BaseTrial, method: str, space: SpaceSpec, rows: int) -> TrialSpec:
    """Draw a configuration of a method; parameters are named as in `config_of`.

    Args:
        trial: Where the values come from.
        method: A trained method.
        space: What every run shares.
        rows: Training rows.

    Returns:
        The configuration.
    """
    chosen: dict[str, Value] = {}
    for parameter in space_of(method):
        if parameter.acts(chosen):
            chosen[parameter.name] = _sample(trial, parameter)
    return _configuration(method, chosen, space, rows)


def parameters_of(
    spec: TrialSpec, space: SpaceSpec, rows: int
) -> tuple[dict[str, object], dict[str, BaseDistribution]]:
    """Say where a configuration lies in its method's space.

    Args:
        spec: A configuration that `published` or `suggest` made.
        space: What every run shares.
        rows: Training rows.

    Returns:
        The parameters' values, and their distributions, by name.
    """
    trial = FixedTrial(config_of(spec))
    suggest(trial, spec.method, space, rows)
    return trial.params, trial.distributions


def _sample(trial: BaseTrial, parameter: Hyperparameter) -> Value:
    name, low, high, step = parameter.name, parameter.low, parameter.high, parameter.step
    if low is None or high is None:
        chosen: Value = trial.suggest_categorical(name, parameter.choices)
        return chosen
    if parameter.kind == "whole":
        return trial.suggest_int(name, int(low), int(high), log=True)
    return trial.suggest_float(name, low, high, step=step, log=step is None)


def _configuration(method: str, chosen: Mapping[str, Value], space: SpaceSpec, rows: int) -> TrialSpec:
    """Complete chosen values with the published ones and with what every run of the study shares."""
    parts: dict[str, dict[str, Any]] = {part: {} for part in parts_of(method)}
    parts["training"] |= {
        "batch_size": space.batch_size,
        "steps": steps_for(rows, space),
        "evaluations": space.evaluations,
        "patience": space.patience,
    }
    for name, value in chosen.items():
        part, _, field = name.partition(".")
        parts[part][field] = value
    return TrialSpec.model_validate({"method": method, **parts})

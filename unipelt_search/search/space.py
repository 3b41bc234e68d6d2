"""The search space: each method's published settings, and the conditional space that Optuna searches.

The published settings are those of Mao et al. (2022) and of each method's own paper, at three learning rates,
the best guess for a small encoder with few rows first.
"""

from __future__ import annotations

from typing import TypedDict

from optuna.distributions import BaseDistribution
from optuna.trial import BaseTrial, FixedTrial

from unipelt_search.specs.methods import METHODS
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.specs.trial import (
    AdapterSpec,
    GateSpec,
    LoraSpec,
    PrefixSpec,
    TrainingSpec,
    TrialSpec,
    config_of,
)

_FEWEST_STEPS = 150
_UNIPELT_RATES = (2e-3, 5e-4, 5e-3)
LEARNING_RATES: dict[str, tuple[float, float, float]] = {
    "head": (5e-3, 2e-2, 1e-3),
    "bitfit": (5e-3, 1e-3, 1e-2),
    "lora": (2e-3, 5e-4, 5e-3),
    "adapter": (2e-3, 5e-4, 5e-3),
    "prefix": (2e-3, 5e-4, 5e-3),
    "unipelt_ap": _UNIPELT_RATES,
    "unipelt_al": _UNIPELT_RATES,
    "unipelt_pl": _UNIPELT_RATES,
    "unipelt_apl": _UNIPELT_RATES,
    "fine_tuning": (1e-4, 3e-5, 3e-4),
}
"""The learning rates of each method's screen trials, best guess first."""
_RATE_MARGIN = 4.0
"""The space reaches this factor below the lowest and above the highest published learning rate."""


class _Shared(TypedDict):
    batch_size: int
    steps: int
    evaluations: int
    patience: int


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
    return min(max(round(20 * rows / space.batch_size), _FEWEST_STEPS), most)


def published(method: str, space: SpaceSpec, rows: int) -> tuple[TrialSpec, ...]:
    """Return a method's published settings at its learning rates, best guess first.

    Args:
        method: A trained method.
        space: What every run shares.
        rows: Training rows.

    Returns:
        One configuration per learning rate.
    """
    parts = METHODS[method].submodules
    return tuple(
        TrialSpec(
            method=method,
            training=TrainingSpec(learning_rate=rate, **_shared(space, rows)),
            lora=LoraSpec() if "lora" in parts else None,
            adapter=AdapterSpec() if "adapter" in parts else None,
            prefix=PrefixSpec() if "prefix" in parts else None,
            gate=GateSpec() if METHODS[method].gated else None,
        )
        for rate in LEARNING_RATES[method]
    )


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
    parts = METHODS[method].submodules
    rates = LEARNING_RATES[method]
    training = TrainingSpec(
        learning_rate=trial.suggest_float(
            "training.learning_rate", min(rates) / _RATE_MARGIN, max(rates) * _RATE_MARGIN, log=True
        ),
        schedule=trial.suggest_categorical("training.schedule", ("linear", "cosine", "constant")),
        warmup_share=trial.suggest_float("training.warmup_share", 0.0, 0.2, step=0.05),
        weight_decay=trial.suggest_categorical("training.weight_decay", (0.0, 0.01, 0.1)),
        dropout=trial.suggest_float("training.dropout", 0.0, 0.3, step=0.1),
        **_shared(space, rows),
    )
    gate = _suggest_gate(trial, parts) if METHODS[method].gated else None
    return TrialSpec(
        method=method,
        training=training,
        lora=_suggest_lora(trial, gate) if "lora" in parts else None,
        adapter=(
            AdapterSpec(bottleneck=trial.suggest_int("adapter.bottleneck", 8, 96, log=True))
            if "adapter" in parts
            else None
        ),
        prefix=_suggest_prefix(trial) if "prefix" in parts else None,
        gate=gate,
    )


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


def _shared(space: SpaceSpec, rows: int) -> _Shared:
    return {
        "batch_size": space.batch_size,
        "steps": steps_for(rows, space),
        "evaluations": space.evaluations,
        "patience": space.patience,
    }


def _suggest_gate(trial: BaseTrial, parts: tuple[str, ...]) -> GateSpec:
    chosen = {}
    if "lora" in parts:
        chosen["lora"] = trial.suggest_categorical("gate.lora", ("replace", "multiply"))
    if "prefix" in parts:
        chosen["prefix"] = trial.suggest_categorical("gate.prefix", ("scale", "logit"))
    return GateSpec.model_validate(chosen)


def _suggest_lora(trial: BaseTrial, gate: GateSpec | None) -> LoraSpec:
    rank = trial.suggest_int("lora.rank", 2, 64, log=True)
    if gate is not None and gate.lora == "replace":
        return LoraSpec(rank=rank)  # the gate stands where alpha / rank would, so alpha changes nothing
    return LoraSpec(rank=rank, alpha=trial.suggest_float("lora.alpha", 4.0, 64.0, log=True))


def _suggest_prefix(trial: BaseTrial) -> PrefixSpec:
    return PrefixSpec(
        length=trial.suggest_int("prefix.length", 2, 64, log=True),
        mlp=trial.suggest_categorical("prefix.mlp", (None, 512)),
    )

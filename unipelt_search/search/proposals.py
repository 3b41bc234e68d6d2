"""What to try next within one method: Optuna's TPE over a study rebuilt from the record, in memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from unipelt_search.errors import UnipeltError
from unipelt_search.records.history import StudyRecord, TrialRecord, TrialState
from unipelt_search.search.sizes import within_limit
from unipelt_search.search.space import parameters_of, suggest
from unipelt_search.specs.seeds import derive_seed, proposal_seed
from unipelt_search.specs.trial import TrialSpec

_STARTUP_TRIALS = 2
"""Finished trials of a method from which on TPE models the space instead of drawing from it evenly."""
_ATTEMPTS = 20


def propose(record: StudyRecord, method: str) -> TrialSpec:
    """Propose a method's next configuration.

    A pure function of the record: the same record gives the same proposal. Trials that still run are taken for bad
    ones (the constant liar), so that workers spread out; failed ones for as bad as the method's worst. Configurations
    that the user gave may lie outside of the space, and are not looked at.

    Args:
        record: The study so far; the proposal is for its next trial number.
        method: A method of the study.

    Returns:
        A configuration that the study does not have yet.

    Raises:
        UnipeltError: Every proposal is a configuration that was tried already.
    """
    rows, space, basis = record.task.rows["train"], record.spec.space, record.basis
    tried = {trial.spec.content_hash() for trial in record.trials}
    first = proposal_seed(record.spec.seed, len(record.trials))
    observed = _observations(record, method)
    direction = StudyDirection[record.task.direction.upper()]
    with _quiet_optuna():
        for attempt in range(_ATTEMPTS):
            seed = first if attempt == 0 else derive_seed(first, attempt)
            sampler = TPESampler(
                multivariate=True, group=True, constant_liar=True, seed=seed % 2**32, n_startup_trials=_STARTUP_TRIALS
            )
            study = optuna.create_study(sampler=sampler, direction=direction)
            study.add_trials(observed)
            suggested = suggest(study.ask(), method, space, rows, basis)
            spec = within_limit(suggested, space, record.task, basis)
            if spec.content_hash() not in tried:
                return spec
    raise UnipeltError(f"{_ATTEMPTS} proposals in a row for {method} were configurations that had been tried already.")


def _observations(record: StudyRecord, method: str) -> list[FrozenTrial]:
    trials = [trial for trial in record.trials if trial.method == method and trial.variant is None]
    values = [trial.value for trial in trials if trial.value is not None]
    worst = None
    if values:
        worst = min(values) if record.task.direction == "maximize" else max(values)
    observed = []
    for trial in trials:
        value = trial.value if trial.state is TrialState.COMPLETE else worst
        if trial.state is TrialState.RUNNING or value is not None:
            observed.append(_observation(trial, value, record))
    return observed


def _observation(trial: TrialRecord, value: float | None, record: StudyRecord) -> FrozenTrial:
    rows = record.task.rows["train"]
    params, distributions = parameters_of(trial.spec, record.spec.space, rows, record.basis)
    running = trial.state is TrialState.RUNNING
    return create_trial(
        state=OptunaState.RUNNING if running else OptunaState.COMPLETE,
        value=None if running else value,
        params=params,
        distributions=distributions,
    )


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group=True
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)

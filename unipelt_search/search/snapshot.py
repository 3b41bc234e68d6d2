"""How far a study is: the snapshot that the driver shows to whoever watches."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from unipelt_search.records.history import RunRecord, RunState, StudyRecord, TrialRecord, TrialState
from unipelt_search.records.progress import BestTrial, StudyProgress
from unipelt_search.search.plan import Clock, active_methods, estimate_seconds, finalists


def snapshot(record: StudyRecord, clock: Clock, running: Sequence[str], event: str) -> StudyProgress:
    """Describe a running study.

    Args:
        record: The study so far.
        clock: The time so far.
        running: What each busy worker does.
        event: What has just happened, one line.

    Returns:
        The snapshot.
    """
    runs = [run for trial in record.trials for run in trial.runs]
    done = sum(run.state.is_finished() for run in runs)
    confirming = record.phase == "confirm"
    # Once methods are confirmed no trial is added but pruned ones, and some of the budget may be left over.
    asked = len(record.trials)
    if not confirming:
        asked = max(record.spec.budget.trials, asked)
    # Before that, every method and configuration may still become a finalist.
    eligible = len(active_methods(record)) + len(record.spec.space.configurations)
    finalist_count = len(finalists(record)) if confirming else eligible
    confirm_runs = finalist_count * record.spec.budget.seeds * max(record.task.folds, 1)
    runs_asked = max(asked + confirm_runs, len(runs))
    return StudyProgress(
        study=record.spec.name,
        metric=record.task.metric,
        phase=record.phase,
        trials_done=sum(trial.state is not TrialState.RUNNING for trial in record.trials),
        trials_asked=asked,
        runs_done=done,
        runs_asked=runs_asked,
        running=tuple(running),
        standings=_candidates(record),
        seconds_elapsed=clock.seconds,
        seconds_left=_seconds_left(record, clock, runs_asked - done),
        event=event,
    )


def _candidates(record: StudyRecord) -> tuple[BestTrial, ...]:
    sign = -1.0 if record.task.direction == "maximize" else 1.0
    found = [_candidate(record, trial) for trial in finalists(record)]
    candidates = [candidate for candidate in found if candidate is not None]
    candidates.sort(key=lambda candidate: (candidate.runs == 0, sign * candidate.score))
    return tuple(candidates)


def _candidate(record: StudyRecord, trial: TrialRecord) -> BestTrial | None:
    selects = [
        run.result.select[record.task.metric]
        for run in trial.runs
        if run.state is RunState.COMPLETE and _confirmed(run) and run.result and run.result.select
    ]
    score = fmean(selects) if selects else trial.value
    if score is None:
        return None
    return BestTrial(
        method=trial.method,
        variant=trial.variant,
        trial=trial.number,
        phase=trial.phase,
        runs=len(selects),
        score=score,
    )


def _confirmed(run: RunRecord) -> bool:
    return run.phase == "confirm"


def _seconds_left(record: StudyRecord, clock: Clock, runs_left: int) -> float | None:
    estimates = [estimate_seconds(record, clock, method, confirm=False) for method in active_methods(record)]
    known = [seconds for seconds in estimates if seconds is not None]
    if not known:
        return None
    left = runs_left * fmean(known) / clock.workers
    limit = record.spec.budget.time_seconds
    return left if limit is None else min(left, max(limit - clock.seconds, 0.0))

"""What each change of a study does to its rows, inside a transaction that the store has opened.

Every function locks the rows that it decides on: SQLite by the transaction, the others by ``FOR UPDATE``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import isfinite
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from unipelt_search.errors import RunLostError, StorageError, StudyChangedError, StudyExistsError
from unipelt_search.records.history import EDITION, DroppedMethod, RunState, StudyState, TaskSummary, TrialState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.specs.seeds import SEARCH_SEED_INDEX
from unipelt_search.specs.study import BudgetSpec, StudySpec
from unipelt_search.specs.trial import PHASES, Phase, TrialSpec
from unipelt_search.storage.database import database_now
from unipelt_search.storage.prediction_blobs import prediction_row
from unipelt_search.storage.tables import (
    AblationTableRow,
    AttemptRow,
    AttemptState,
    DroppedRow,
    EvaluationTableRow,
    GateTableRow,
    NoticeRow,
    OutcomeTableRow,
    Row,
    RunRow,
    StudyRow,
    TrialRow,
)
from unipelt_search.storage.transitions import RUN_TRANSITIONS, STUDY_TRANSITIONS, next_state


def storable(text: str) -> str:
    """Return a text that every database takes: PostgreSQL no NUL, none of them half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def insert_study(
    session: Session,
    study_id: str,
    spec: StudySpec,
    task: TaskSummary,
    software: dict[str, str],
    command: str,
    redacted: str,
) -> str:
    """Add a study, running and in its screen phase, to the database that is shown so; returns its id."""
    row = StudyRow(
        id=study_id,
        name=spec.name,
        spec=spec.model_dump(mode="json"),
        question_hash=spec.question_hash(),
        task=task.model_dump(mode="json"),
        software=software,
        command=storable(command),
        state=StudyState.RUNNING,
        phase=PHASES[0],
        created=datetime.now(UTC),
        wall_seconds=0.0,
        edition=EDITION,
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise StudyExistsError(
            f"--name must be new; a study named {spec.name!r} is in {redacted} already. Choose another name, or delete "
            f"it: unipelt-search delete {spec.name}."
        ) from error
    return study_id


def inserted_study(session: Session, study_id: str) -> str | None:
    """Return a study's id if it was added already."""
    return session.scalar(select(StudyRow.id).where(StudyRow.id == study_id))


def study_or_raise(session: Session, study_id: str, *, lock: bool = True) -> StudyRow:
    """Find a study by its id, locked for a change; raises StorageError where there is none."""
    query = select(StudyRow).where(StudyRow.id == study_id)
    study = session.scalar(query.with_for_update() if lock else query)
    if study is None:
        raise StorageError(f"The study must be in the database; there is none with the id {study_id}. Was it deleted?")
    return study


def running_or_raise(session: Session, run_id: str, attempt: int) -> RunRow:
    """Find a run that is running in this attempt and lock it; raises RunLostError where it is not."""
    run = _run_or_raise(session, run_id)
    if run.state != RunState.RUNNING or run.attempt != attempt:
        raise RunLostError(
            f"Only the latest attempt of a running run may write; got attempt {attempt} of run {run_id}, which is "
            f"{run.state} with attempt {run.attempt}. Discard what this attempt did."
        )
    return run


def set_budget(session: Session, study_id: str, budget: BudgetSpec) -> None:
    """Replace a study's budget."""
    study = study_or_raise(session, study_id)
    study.spec = study.spec | {"budget": budget.model_dump(mode="json")}


def set_state(session: Session, study_id: str, state: StudyState, phase: Phase | None) -> None:
    """Change a study's state, and its phase if one is given."""
    study = study_or_raise(session, study_id)
    study.state = next_state(f"Study {study.name!r}", STUDY_TRANSITIONS, study.state, state)
    study.phase = phase or study.phase


def add_seconds(session: Session, study_id: str, seconds: float) -> None:
    """Add to a study's seconds; raises StorageError where the number is not usable."""
    if not (isfinite(seconds) and seconds >= 0):
        raise StorageError(f"A study's seconds must be finite and not negative; got {seconds}.")
    study_or_raise(session, study_id).wall_seconds += seconds


def insert_notice(session: Session, study_id: str, notice: Notice | str) -> None:
    """Add a notice, unless the study has it."""
    study_or_raise(session, study_id)
    columns = notice_columns(notice)
    canonical = json.dumps(columns, sort_keys=True, separators=(",", ":"), allow_nan=False)
    same = {"study_id": study_id, "content_hash": sha256(canonical.encode()).hexdigest()}
    if session.scalar(select(NoticeRow).filter_by(**same)) is None:
        session.add(NoticeRow(**same, **columns))


def notice_columns(notice: Notice | str) -> dict[str, Any]:
    """Return the code, the severity and the values of a notice as every database takes them."""
    columns = Notice.model_validate(notice).model_dump(mode="json")
    columns["values"] = {name: _storable_value(value) for name, value in columns["values"].items()}
    return columns


def _storable_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_storable_value(item) for item in value]
    return storable(value) if isinstance(value, str) else value


def insert_dropped(session: Session, study_id: str, dropped: DroppedMethod) -> None:
    """Add a dropped method, or replace its reason in the same phase."""
    study_or_raise(session, study_id)
    same = {"study_id": study_id, "method": dropped.method, "phase": dropped.phase}
    row = session.scalar(select(DroppedRow).filter_by(**same))
    columns = notice_columns(dropped.reason)
    if row is None:
        session.add(DroppedRow(**same, **columns))
        return
    for name, value in columns.items():
        setattr(row, name, value)


def insert_trial(
    session: Session,
    study_id: str,
    run_id: str,
    spec: TrialSpec,
    phase: Phase,
    origin: str,
    *,
    variant: str | None,
    expected: int | None,
) -> tuple[StudyRow, TrialRow, RunRow]:
    """Add the next trial of a study and its waiting search run; raises where its number is not the expected."""
    study = study_or_raise(session, study_id)
    number = session.scalar(select(func.count()).where(TrialRow.study_id == study.id)) or 0
    if expected not in {None, number}:
        raise StudyChangedError(f"The next trial must have the number {expected}; another driver has added {number}.")
    trial = TrialRow(
        study_id=study.id,
        number=number,
        method=spec.method,
        variant=variant,
        spec=spec.model_dump(mode="json"),
        spec_hash=spec.content_hash(),
        phase=phase,
        state=TrialState.RUNNING,
        origin=origin,
        created=datetime.now(UTC),
    )
    session.add(trial)
    session.flush()
    return study, trial, _insert_run(session, run_id, trial, phase, SEARCH_SEED_INDEX)


def inserted_trial(session: Session, run_id: str) -> tuple[StudyRow, TrialRow, RunRow] | None:
    """Return what `insert_trial` has returned, if the trial was added already."""
    query = select(StudyRow, TrialRow, RunRow).join(TrialRow, TrialRow.study_id == StudyRow.id).join(RunRow)
    found = session.execute(query.where(RunRow.id == run_id)).one_or_none()
    return None if found is None else (found[0], found[1], found[2])


def insert_run(
    session: Session, study_id: str, run_id: str, number: int, phase: Phase, seed_index: int, fold: int
) -> RunRow:
    """Add a waiting run to a trial and raise the trial's phase."""
    study_or_raise(session, study_id)
    trial = session.scalar(select(TrialRow).filter_by(study_id=study_id, number=number))
    if trial is None:
        raise StorageError(f"A run must belong to a trial of the study; there is no trial {number}.")
    if session.scalar(select(RunRow.id).filter_by(trial_id=trial.id, seed_index=seed_index, fold=fold)) is not None:
        raise StudyChangedError(
            f"A trial has one run per seed index and fold; trial {number} has one of index {seed_index}, fold {fold}."
        )
    trial.phase = max(trial.phase, phase, key=PHASES.index)
    return _insert_run(session, run_id, trial, phase, seed_index, fold)


def inserted_run(session: Session, run_id: str) -> RunRow | None:
    """Return a run if it was added already."""
    return session.get(RunRow, run_id)


def start_run(session: Session, run_id: str, owner: str, lease_seconds: float) -> int:
    """Start a run and return the number of its new attempt; raises StudyChangedError where it is not waiting."""
    run = _run_or_raise(session, run_id)
    if run.state != RunState.WAITING:
        raise StudyChangedError(f"A run must be waiting to be started; another driver has started run {run_id}.")
    move_run(run, RunState.RUNNING)
    run.attempt += 1
    attempt = {"run_id": run_id, "number": run.attempt, "owner": storable(owner)[:255]}
    now = database_now(session)
    lease = now + timedelta(seconds=lease_seconds)
    row = AttemptRow(**attempt, state=AttemptState.RUNNING, started=now, lease_expires=lease)
    if run.attempt > 1:  # it goes on where the one before has left it
        before = _attempt(session, run, run.attempt - 1)
        row.checkpoint_path, row.checkpoint_step = before.checkpoint_path, before.checkpoint_step
    session.add(row)
    return run.attempt


def started_run(session: Session, run_id: str, owner: str) -> int | None:
    """Return the number of a run's attempt if its owner has started it already."""
    run = _run_or_raise(session, run_id)
    mine = run.state == RunState.RUNNING and _attempt(session, run, run.attempt).owner == storable(owner)[:255]
    return run.attempt if mine else None


def requeue(session: Session, run: RunRow, state: AttemptState, error: str | None) -> None:
    """End the attempt of a running run, which waits for another one; of its evaluations stay those it goes on from."""
    kept = _attempt(session, run, run.attempt).checkpoint_step
    of_run = EvaluationTableRow.run_id == run.id
    session.execute(delete(EvaluationTableRow).where(of_run, EvaluationTableRow.step > (-1 if kept is None else kept)))
    move_run(run, RunState.WAITING)
    end_attempt(session, run, state, error)


def requeued(session: Session, run_id: str, attempt: int) -> bool | None:
    """Return True if a run waits behind this attempt already; else None."""
    run = _run_or_raise(session, run_id)
    return True if run.attempt == attempt and run.state == RunState.WAITING else None


def complete_run(session: Session, run_id: str, attempt: int, result: RunResult) -> tuple[RunRow, TrialRow]:
    """Store the result of a running run; returns it and its trial, which has a value now if this was its search run."""
    run = running_or_raise(session, run_id, attempt)
    run.tune, run.best_step, run.steps = result.tune, result.best_step, result.steps
    run.select_scores, run.test_scores, run.checkpoint = result.select, result.test, result.checkpoint
    run.prunable = None if result.prunable is None else [list(pair) for pair in result.prunable]
    for name, cost in result.costs.model_dump().items():
        setattr(run, name, cost)
    session.execute(delete(EvaluationTableRow).where(EvaluationTableRow.run_id == run.id))
    session.flush()
    _insert_all(session, EvaluationTableRow, [_evaluation(run, row) for row in result.evaluations])
    for table, rows in (
        (GateTableRow, result.gates),
        (AblationTableRow, result.ablation),
        (OutcomeTableRow, result.outcomes),
    ):
        numbered = [{"run_id": run.id, "position": at, **row.model_dump()} for at, row in enumerate(rows)]
        _insert_all(session, table, numbered)
    session.add_all(prediction_row(run.id, predictions) for predictions in result.predictions)
    return _end_run(session, run, RunState.COMPLETE, AttemptState.COMPLETE, None)


def fail_run(session: Session, run_id: str, attempt: int, error: str) -> tuple[RunRow, TrialRow]:
    """End a running run with an error; returns it, and its trial, which has failed too if this was its search run."""
    run = running_or_raise(session, run_id, attempt)
    run.error = storable(error)
    return _end_run(session, run, RunState.FAILED, AttemptState.FAILED, run.error)


def ended_run(session: Session, run_id: str, attempt: int) -> tuple[RunRow, TrialRow] | None:
    """Return a run and its trial if this attempt has ended the run already."""
    run = _run_or_raise(session, run_id)
    if run.attempt != attempt or not run.state.is_finished():
        return None
    return run, session.get_one(TrialRow, run.trial_id)


def record_evaluation(session: Session, run_id: str, attempt: int, row: EvaluationRow, checkpoint: str | None) -> None:
    """Add an evaluation of a running run, or replace the one of the same step, and say where its state was kept."""
    run = running_or_raise(session, run_id, attempt)
    session.merge(EvaluationTableRow(**_evaluation(run, row)))
    if checkpoint is not None:
        latest = _attempt(session, run, attempt)
        latest.checkpoint_path, latest.checkpoint_step = checkpoint, row.step


def link_trials(session: Session, study_id: str, optuna_trial_ids: dict[int, int]) -> None:
    """Note where trials of a study, by their numbers, stand in the mirror."""
    for number, optuna_trial_id in optuna_trial_ids.items():
        of_trial = (TrialRow.study_id == study_id, TrialRow.number == number)
        session.execute(update(TrialRow).where(*of_trial).values(optuna_trial_id=optuna_trial_id))


def is_search_run(run: RunRow) -> bool:
    """Tell whether a run is the one that gives its trial state and value."""
    return run.seed_index == SEARCH_SEED_INDEX and run.fold == 0


def _run_or_raise(session: Session, run_id: str) -> RunRow:
    run = session.scalar(select(RunRow).where(RunRow.id == run_id).with_for_update())
    if run is None:
        raise StorageError(f"The run must be in the database; there is none with the id {run_id}. Was it deleted?")
    return run


def move_run(run: RunRow, state: RunState) -> None:
    """Change a run's state; raises StorageError where the new one may not follow."""
    run.state = next_state(f"Run {run.id}", RUN_TRANSITIONS, run.state, state)


def _insert_run(session: Session, run_id: str, trial: TrialRow, phase: Phase, seed_index: int, fold: int = 0) -> RunRow:
    # The defaults of columns are filled in when the row is written, and the caller reads them at once.
    run = RunRow(
        id=run_id, trial_id=trial.id, phase=phase, seed_index=seed_index, fold=fold, attempt=0,
        state=RunState.WAITING,
    )  # fmt: skip
    session.add(run)
    return run


def _evaluation(run: RunRow, row: EvaluationRow) -> dict[str, object]:
    return {"run_id": run.id, "attempt": run.attempt, **row.model_dump()}


def _insert_all(session: Session, table: type[Row], rows: list[dict[str, object]]) -> None:
    if rows:
        session.execute(insert(table), rows)


def _end_run(
    session: Session, run: RunRow, state: RunState, attempt: AttemptState, error: str | None
) -> tuple[RunRow, TrialRow]:
    move_run(run, state)
    end_attempt(session, run, attempt, error)
    trial = session.get_one(TrialRow, run.trial_id)
    if is_search_run(run):
        trial.state = TrialState.COMPLETE if state == RunState.COMPLETE else TrialState.FAILED
        trial.value = run.tune
    return run, trial


def end_attempt(session: Session, run: RunRow, state: AttemptState, error: str | None) -> None:
    """End the latest attempt of a run."""
    row = _attempt(session, run, run.attempt)
    row.state, row.error, row.ended = state, error, database_now(session)


def _attempt(session: Session, run: RunRow, number: int) -> AttemptRow:
    return session.scalars(select(AttemptRow).filter_by(run_id=run.id, number=number)).one()

"""Trials and their runs as they are written: added, evaluated, finished or failed, and mirrored."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from unipelt_search.errors import StorageError, StudyChangedError, TransientError
from unipelt_search.records.history import RunRecord, RunState, StudyRecord, TrialState
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.specs.seeds import SEARCH_SEED_INDEX
from unipelt_search.specs.trial import PHASES, Phase, TrialSpec
from unipelt_search.storage import prediction_blobs
from unipelt_search.storage.attempts import attempt_row, end_attempt, move_run, run_or_raise, running_or_raise
from unipelt_search.storage.connection import Database
from unipelt_search.storage.gate_blobs import gate_values_row
from unipelt_search.storage.history_reader import read_study, run_record
from unipelt_search.storage.mirror import Mirror, MirrorChangedError
from unipelt_search.storage.studies import study_or_raise
from unipelt_search.storage.tables import (
    NUMBERED_DETAILS,
    RESULT_COLUMNS,
    AttemptState,
    EvaluationTableRow,
    PredictionRow,
    Row,
    RunRow,
    StudyRow,
    TrialRow,
    storable,
)

_MIRROR_OUTDATED = (MirrorChangedError, TransientError)


class Runs:
    """The trials and runs of one database; every method is one transaction, and the mirror follows in another."""

    def __init__(self, database: Database, mirror: Mirror) -> None:
        """Take an open database and the mirror of its studies."""
        self._database = database
        self._mirror = mirror

    def add_trial(
        self,
        study_id: str,
        spec: TrialSpec,
        phase: Phase,
        origin: str,
        *,
        variant: str | None = None,
        number: int | None = None,
    ) -> RunRecord:
        """Add a trial with the next number and its waiting search run, and mirror it.

        Args:
            study_id: The study's id.
            spec: The configuration.
            phase: `screen` or `tune`.
            origin: `published`, `given` or `tpe`.
            variant: The name of a configuration that the user gave.
            number: The number that it must get, for a configuration that was decided from the trials before it.

        Returns:
            The run; it names the trial's number.

        Raises:
            StudyChangedError: Another driver has added a trial of that number.
            StorageError: There is no such study, the phase is `confirm`, or the database refused.
        """
        if phase == "confirm":
            raise StorageError("A trial must begin in the screen or tune phase; got confirm. Use runs.add.")
        run_id = uuid4().hex

        def add(session: Session) -> tuple[StudyRow, TrialRow, RunRow]:
            study = study_or_raise(session, study_id)
            count = select(func.count()).where(TrialRow.study_id == study_id)
            next_number = session.scalar(count) or 0
            if number not in {None, next_number}:
                raise StudyChangedError(
                    f"The next trial must have the number {number}; another driver has added {next_number}."
                )
            trial = TrialRow(
                study_id=study_id,
                number=next_number,
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
            session.flush()  # the run needs the trial's id
            return study, trial, _waiting_run(session, run_id, trial, phase, SEARCH_SEED_INDEX, 0)

        def added(session: Session) -> tuple[StudyRow, TrialRow, RunRow] | None:
            query = select(StudyRow, TrialRow, RunRow)
            query = query.join(TrialRow, TrialRow.study_id == StudyRow.id).join(RunRow)
            found = session.execute(query.where(RunRow.id == run_id)).one_or_none()
            return None if found is None else (found[0], found[1], found[2])

        study, trial, run = self._database.write("trial.add", add, added)
        optuna_trial_id = None
        with suppress(*_MIRROR_OUTDATED):
            optuna_trial_id = self._mirror.add(study_id, study.name, phase, spec)
        if optuna_trial_id is not None:
            self._link(study_id, {trial.number: optuna_trial_id})
        return run_record(run, trial.number)

    def add(self, study_id: str, trial: int, phase: Phase, seed_index: int, fold: int = 0) -> RunRecord:
        """Add a waiting run to a trial; the trial's phase becomes the furthest of its runs'.

        Args:
            study_id: The study's id.
            trial: The trial's number.
            phase: The run's phase.
            seed_index: 1 or more; 0 is the trial's search run.
            fold: From 1 where folds decide.

        Returns:
            The run.

        Raises:
            StudyChangedError: The trial has a run of that seed index and fold.
            StorageError: There is no such trial, or the database refused.
        """
        run_id = uuid4().hex

        def add(session: Session) -> RunRow:
            study_or_raise(session, study_id)
            row = session.scalar(select(TrialRow).filter_by(study_id=study_id, number=trial))
            if row is None:
                raise StorageError(f"A run must belong to a trial of the study; there is no trial {trial}.")
            same = select(RunRow.id).filter_by(trial_id=row.id, seed_index=seed_index, fold=fold)
            if session.scalar(same) is not None:
                raise StudyChangedError(
                    f"A trial has one run per seed index and fold; trial {trial} has one of index {seed_index}, "
                    f"fold {fold}."
                )
            row.phase = max(row.phase, phase, key=PHASES.index)
            return _waiting_run(session, run_id, row, phase, seed_index, fold)

        run = self._database.write("run.add", add, lambda session: session.get(RunRow, run_id))
        return run_record(run, trial)

    def record_evaluation(self, run_id: str, attempt: int, row: EvaluationRow, checkpoint: str | None = None) -> None:
        """Store one evaluation of a running run; the same step twice is stored once.

        Args:
            run_id: The run's id.
            attempt: The number that `Attempts.start` returned.
            row: The evaluation.
            checkpoint: The folder that holds the run's state after it; None where none was written.

        Raises:
            RunLostError: The run is not running in this attempt.
            StorageError: There is no such run, or the database refused.
        """

        def record(session: Session) -> None:
            run = running_or_raise(session, run_id, attempt)
            session.merge(EvaluationTableRow(**_evaluation(run, row)))
            if checkpoint is not None:
                latest = attempt_row(session, run, attempt)
                latest.checkpoint_path = checkpoint
                latest.checkpoint_step = row.step

        self._database.write("run.evaluation", record)

    def finish(self, run_id: str, attempt: int, result: RunResult) -> None:
        """Store a run's result; its search run gives the trial its value.

        Args:
            run_id: The run's id.
            attempt: The number that `Attempts.start` returned.
            result: What the run measured; its evaluations replace the recorded ones.

        Raises:
            RunLostError: The run is not running in this attempt.
            StorageError: There is no such run, or the database refused.
        """

        def finish(session: Session) -> tuple[RunRow, TrialRow]:
            run = running_or_raise(session, run_id, attempt)
            _set_columns(run, result)
            _replace_evaluations(session, run, result)
            _insert_details(session, run, result)
            return _end(session, run, RunState.COMPLETE, AttemptState.COMPLETE)

        self._end_run("run.finish", run_id, attempt, finish)

    def fail(self, run_id: str, attempt: int, error: str) -> None:
        """Let a run end with an error; a failed search run fails the trial.

        Args:
            run_id: The run's id.
            attempt: The number that `Attempts.start` returned.
            error: What went wrong.

        Raises:
            RunLostError: The run is not running in this attempt.
            StorageError: There is no such run, or the database refused.
        """

        def fail(session: Session) -> tuple[RunRow, TrialRow]:
            run = running_or_raise(session, run_id, attempt)
            run.error = storable(error)
            return _end(session, run, RunState.FAILED, AttemptState.FAILED)

        self._end_run("run.fail", run_id, attempt, fail)

    def remove_probabilities(self, study_id: str, keep: Collection[int]) -> None:
        """Take the probabilities out of the stored predictions of all trials but some; the predictions stay.

        Args:
            study_id: The study's id.
            keep: The numbers of the trials that keep theirs.

        Raises:
            StorageError: There is no such study, stored predictions are damaged, or the database refused.
        """

        def others(session: Session) -> list[int]:
            study_or_raise(session, study_id, lock=False)
            of_others = (TrialRow.study_id == study_id, TrialRow.number.not_in(keep))
            return list(session.scalars(select(TrialRow.id).where(*of_others)))

        def remove(session: Session, trial_id: int) -> None:
            study_or_raise(session, study_id)
            query = select(PredictionRow.run_id, PredictionRow.split).join(RunRow).where(RunRow.trial_id == trial_id)
            for key in session.execute(query).all():
                # One by one: together they may take more memory than there is.
                row = session.get_one(PredictionRow, tuple(key))
                prediction_blobs.remove_probabilities(row)
                session.flush()
                session.expunge(row)

        # Trial by trial, so that other drivers need not wait for all of it.
        for trial_id in self._database.read(others):
            self._database.write("run.probabilities", partial(remove, trial_id=trial_id))

    def repair_mirror(self, study_id: str) -> None:
        """Make the Optuna mirror say again what our tables say, unless other drivers are at it all the time.

        Args:
            study_id: The study's id.

        Raises:
            StudyExistsError: Somebody's own Optuna study has taken the name.
            StorageError: There is no such study, or the database refused.
        """

        def read(session: Session) -> StudyRecord:
            return read_study(session, study_or_raise(session, study_id, lock=False), details=False)

        def repair() -> dict[int, int]:
            return self._mirror.repair(lambda: self._database.read(read))

        with suppress(MirrorChangedError):
            self._link(study_id, self._database.retry_policy.retry(repair))

    def _end_run(self, step: str, run_id: str, attempt: int, end: Callable[[Session], tuple[RunRow, TrialRow]]) -> None:
        """End a run and mirror how its trial ended."""

        def ended(session: Session) -> tuple[RunRow, TrialRow] | None:
            run = run_or_raise(session, run_id)
            if run.attempt != attempt or not run.state.is_finished():
                return None
            return run, session.get_one(TrialRow, run.trial_id)

        run, trial = self._database.write(step, end, ended)
        if is_search_run(run) and trial.optuna_trial_id is not None:
            with suppress(*_MIRROR_OUTDATED):
                self._mirror.finish(trial.study_id, trial.optuna_trial_id, trial.state, trial.value)

    def _link(self, study_id: str, optuna_trial_ids: dict[int, int]) -> None:
        """Note where trials of a study, by their numbers, stand in the mirror."""

        def link(session: Session) -> None:
            for number, optuna_trial_id in optuna_trial_ids.items():
                of_trial = (TrialRow.study_id == study_id, TrialRow.number == number)
                session.execute(update(TrialRow).where(*of_trial).values(optuna_trial_id=optuna_trial_id))

        self._database.write("mirror.link", link)


def is_search_run(run: RunRow) -> bool:
    """Tell whether a run is the one that gives its trial state and value."""
    return run.seed_index == SEARCH_SEED_INDEX and run.fold == 0


def _waiting_run(session: Session, run_id: str, trial: TrialRow, phase: Phase, seed_index: int, fold: int) -> RunRow:
    run = RunRow(id=run_id, trial_id=trial.id, phase=phase)
    run.seed_index = seed_index
    run.fold = fold
    # The defaults of columns are filled in when the row is written, and the caller reads them at once.
    run.attempt = 0
    run.state = RunState.WAITING
    session.add(run)
    return run


def _set_columns(run: RunRow, result: RunResult) -> None:
    values = result.model_dump(mode="json", include=set(RESULT_COLUMNS))
    for field, column in RESULT_COLUMNS.items():
        setattr(run, column, values[field])
    for name, cost in result.costs.model_dump().items():
        setattr(run, name, cost)


def _replace_evaluations(session: Session, run: RunRow, result: RunResult) -> None:
    session.execute(delete(EvaluationTableRow).where(EvaluationTableRow.run_id == run.id))
    # The deletion must reach the database before rows of the same key do.
    session.flush()
    _insert_all(session, EvaluationTableRow, [_evaluation(run, row) for row in result.evaluations])


def _insert_details(session: Session, run: RunRow, result: RunResult) -> None:
    for detail in NUMBERED_DETAILS:
        numbered = []
        for position, row in enumerate(getattr(result, detail.field)):
            numbered.append({"run_id": run.id, "position": position, **row.model_dump()})
        _insert_all(session, detail.table, numbered)
    session.add_all(prediction_blobs.prediction_row(run.id, predictions) for predictions in result.predictions)
    if result.gate_values is not None:
        session.add(gate_values_row(run.id, result.gate_values))


def _evaluation(run: RunRow, row: EvaluationRow) -> dict[str, object]:
    return {"run_id": run.id, "attempt": run.attempt, **row.model_dump()}


def _insert_all(session: Session, table: type[Row], rows: list[dict[str, object]]) -> None:
    if rows:
        session.execute(insert(table), rows)


def _end(session: Session, run: RunRow, state: RunState, attempt: AttemptState) -> tuple[RunRow, TrialRow]:
    """End a run with its attempt, and its trial if this was its search run."""
    move_run(run, state)
    end_attempt(session, run, attempt, run.error)
    trial = session.get_one(TrialRow, run.trial_id)
    if is_search_run(run):
        trial.state = TrialState.COMPLETE if state == RunState.COMPLETE else TrialState.FAILED
        trial.value = run.tune
    return run, trial

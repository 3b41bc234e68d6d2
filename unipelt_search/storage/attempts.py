"""Attempts: who works on which run, and for how long, by the database's own clock.

    start ──> leased ──renew──> leased ──> finished or failed
                ├── expired, or its owner is provably dead ──> waiting again, with the next attempt's number
                └── failed in a way that is worth another attempt ──> waiting again

A lease that has expired is not lost yet: its attempt may write until somebody takes the run away.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from unipelt_search.errors import RunLostError, StorageError, StudyChangedError
from unipelt_search.records.history import EarlierAttempts, RunState, StudyState
from unipelt_search.records.notice import Notice
from unipelt_search.storage.connection import Database, database_now
from unipelt_search.storage.owners import is_dead
from unipelt_search.storage.studies import insert_notice, move_study, study_or_raise
from unipelt_search.storage.tables import (
    RUN_TRANSITIONS,
    AttemptRow,
    AttemptState,
    EvaluationTableRow,
    RunRow,
    TrialRow,
    next_state,
    storable,
)

LEASE_SECONDS = 60.0
"""How long a run stays with an owner that gives no sign of life; renewed four times as often."""
_OWNER_LENGTH = 255


class Attempts:
    """The attempts of one database. Every method is one transaction; any process may call any of them."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database

    def start(self, run_id: str, owner: str, lease_seconds: float = LEASE_SECONDS) -> int:
        """Start a waiting run.

        Args:
            run_id: The run's id.
            owner: Who trains it, 255 characters at most.
            lease_seconds: How long it stays with an owner that does not renew its leases.

        Returns:
            The attempt's number, which every later write of the run must bring.

        Raises:
            StudyChangedError: It is not waiting: another driver has started it.
            StorageError: There is no such run, or the database refused.
        """
        stored_owner = storable(owner)[:_OWNER_LENGTH]

        def start(session: Session) -> int:
            run = run_or_raise(session, run_id)
            if run.state != RunState.WAITING:
                raise StudyChangedError(
                    f"A run must be waiting to be started; another driver has started run {run_id}."
                )
            move_run(run, RunState.RUNNING)
            run.attempt += 1
            now = database_now(session)
            row = AttemptRow(run_id=run_id, number=run.attempt, owner=stored_owner, state=AttemptState.RUNNING)
            row.started = now
            row.lease_expires = now + timedelta(seconds=lease_seconds)
            if run.attempt > 1:  # it goes on where the one before has left it
                before = attempt_row(session, run, run.attempt - 1)
                row.checkpoint_path = before.checkpoint_path
                row.checkpoint_step = before.checkpoint_step
            session.add(row)
            return run.attempt

        def started(session: Session) -> int | None:
            run = run_or_raise(session, run_id)
            if run.state != RunState.RUNNING or attempt_row(session, run, run.attempt).owner != stored_owner:
                return None
            return run.attempt

        return self._database.write("run.start", start, started)

    def renew(self, owner: str, seconds: float = LEASE_SECONDS) -> int:
        """Extend the leases of every run that an owner still holds.

        Args:
            owner: What `start` was given.
            seconds: How long they last from now.

        Returns:
            How many runs it holds.

        Raises:
            StorageError: The database refused.
        """
        # Once: whoever renews does so again and again anyway.
        with self._database.session(write=True, step="run.renew") as session:
            mine = select(AttemptRow).where(AttemptRow.owner == owner, AttemptRow.state == AttemptState.RUNNING)
            # In the order in which the others lock: two that lock in different orders wait for each other.
            attempts = session.scalars(mine.order_by(AttemptRow.run_id).with_for_update()).all()
            for attempt in attempts:
                attempt.lease_expires = database_now(session) + timedelta(seconds=seconds)
            return len(attempts)

    def owners(self, study_id: str) -> frozenset[str]:
        """Tell who holds running runs of a study.

        Args:
            study_id: The study's id.

        Returns:
            Their names; some may be dead.

        Raises:
            StorageError: The database refused.
        """
        return self._database.read(
            lambda session: frozenset(attempt.owner for _, attempt in _held(session, study_id, lock=False))
        )

    def requeue_expired(self, study_id: str) -> int:
        """Let runs wait again whose lease has expired, or whose owner is provably dead.

        Args:
            study_id: The study's id.

        Returns:
            How many runs wait again.

        Raises:
            StorageError: There is no such study, or the database refused.
        """

        def find(session: Session, *, lock: bool = False) -> list[RunRow]:
            # While the database was away nobody could renew; they get the time of a lease to do so.
            lenient = self._database.retry_policy.was_away(LEASE_SECONDS)
            held = _held(session, study_id, lock=lock)
            return [run for run, attempt in held if _is_lost(session, attempt, lenient=lenient)]

        def release(session: Session) -> int:
            study_or_raise(session, study_id)
            lost = find(session, lock=True)
            for run in lost:
                _requeue(session, run, AttemptState.INTERRUPTED, None)
            return len(lost)

        # Looked for without a lock first: hardly ever is there anything to release.
        return self._database.write("run.release", release) if self._database.read(find) else 0

    def release_all(self, study_id: str, owner: str) -> int:
        """Let every run of an owner wait again; a running study that nobody else works on is stopped.

        Args:
            study_id: The study's id.
            owner: What `start` was given.

        Returns:
            How many runs wait again.

        Raises:
            StorageError: There is no such study, or the database refused.
        """

        def release(session: Session) -> int:
            study = study_or_raise(session, study_id)
            held = _held(session, study_id, lock=True)
            mine = [run for run, attempt in held if attempt.owner == owner]
            for run in mine:
                _requeue(session, run, AttemptState.INTERRUPTED, None)
            if study.state == StudyState.RUNNING and len(mine) == len(held):
                move_study(study, StudyState.STOPPED)
            return len(mine)

        return self._database.write("run.leave", release)

    def retry(self, study_id: str, run_id: str, attempt: int, error: str | None, notice: Notice) -> None:
        """Let a run wait again whose attempt has ended before its time, and say so in the report.

        Args:
            study_id: The study's id.
            run_id: The run's id.
            attempt: The number that `start` returned.
            error: What went wrong; None where the attempt has not failed, but was cut off.
            notice: For the report.

        Raises:
            RunLostError: The run is not running in this attempt.
            StorageError: There is no such run, or the database refused.
        """

        def retry(session: Session) -> None:
            insert_notice(session, study_id, notice)  # first, because it locks the study, as all do first
            run = running_or_raise(session, run_id, attempt)
            state = AttemptState.INTERRUPTED if error is None else AttemptState.FAILED
            _requeue(session, run, state, error and storable(error))

        def retried(session: Session) -> bool | None:
            run = run_or_raise(session, run_id)
            return True if run.attempt == attempt and run.state == RunState.WAITING else None

        self._database.write("run.retry", retry, retried)

    def earlier(self, run_id: str) -> EarlierAttempts:
        """Tell what the attempts of a run have left for the next one.

        Args:
            run_id: The run's id.

        Returns:
            How many failed, and the newest checkpoint.

        Raises:
            StorageError: The database refused.
        """
        of_run = AttemptRow.run_id == run_id
        failed = select(func.count()).where(of_run, AttemptRow.state == AttemptState.FAILED)
        newest_first = AttemptRow.number.desc()
        newest = select(AttemptRow.checkpoint_path).where(of_run).order_by(newest_first).limit(1)
        return self._database.read(
            lambda session: EarlierAttempts(failed=session.scalar(failed) or 0, checkpoint=session.scalar(newest))
        )

    def checkpoints(self, study_id: str) -> frozenset[str]:
        """List where the states of a study's unfinished runs were kept.

        Args:
            study_id: The study's id.

        Returns:
            The folders; they may be gone.

        Raises:
            StorageError: The database refused.
        """
        query = (
            select(AttemptRow.checkpoint_path)
            .join(RunRow, RunRow.id == AttemptRow.run_id)
            .join(TrialRow, TrialRow.id == RunRow.trial_id)
            .where(TrialRow.study_id == study_id)
            .where(RunRow.state.in_([RunState.WAITING, RunState.RUNNING]))
            .where(AttemptRow.checkpoint_path.is_not(None))
        )
        return self._database.read(lambda session: frozenset(map(str, session.scalars(query))))


def run_or_raise(session: Session, run_id: str) -> RunRow:
    """Find a run by its id, locked for a change.

    Args:
        session: An open transaction.
        run_id: The run's id.

    Returns:
        The run's row.

    Raises:
        StorageError: There is none.
    """
    run = session.scalar(select(RunRow).where(RunRow.id == run_id).with_for_update())
    if run is None:
        raise StorageError(f"The run must be in the database; there is none with the id {run_id}. Was it deleted?")
    return run


def running_or_raise(session: Session, run_id: str, attempt: int) -> RunRow:
    """Find a run that is running in this attempt, locked for a change.

    Args:
        session: An open transaction.
        run_id: The run's id.
        attempt: The number that `Attempts.start` returned.

    Returns:
        The run's row.

    Raises:
        RunLostError: The run is not running in this attempt.
        StorageError: There is no such run.
    """
    run = run_or_raise(session, run_id)
    if run.state != RunState.RUNNING or run.attempt != attempt:
        raise RunLostError(
            f"Only the latest attempt of a running run may write; got attempt {attempt} of run {run_id}, which is "
            f"{run.state} with attempt {run.attempt}. Discard what this attempt did."
        )
    return run


def end_attempt(session: Session, run: RunRow, state: AttemptState, error: str | None) -> None:
    """End the latest attempt of a run.

    Args:
        session: An open transaction.
        run: The locked run.
        state: How the attempt ended.
        error: What went wrong, if anything.
    """
    row = attempt_row(session, run, run.attempt)
    row.state = state
    row.error = error
    row.ended = database_now(session)


def attempt_row(session: Session, run: RunRow, number: int) -> AttemptRow:
    """Return one attempt of a run.

    Args:
        session: An open transaction.
        run: The run.
        number: The attempt's number, from 1.

    Returns:
        Its row.
    """
    query = select(AttemptRow).filter_by(run_id=run.id, number=number)
    return session.scalars(query).one()


def move_run(run: RunRow, state: RunState) -> None:
    """Change a run's state.

    Args:
        run: The locked run.
        state: The new state.

    Raises:
        StorageError: It may not follow the old one.
    """
    run.state = next_state(f"Run {run.id}", RUN_TRANSITIONS, run.state, state)


def _requeue(session: Session, run: RunRow, state: AttemptState, error: str | None) -> None:
    """End the attempt of a running run, which waits for another one; of its evaluations stay those it goes on from."""
    kept = attempt_row(session, run, run.attempt).checkpoint_step
    lost = delete(EvaluationTableRow).where(EvaluationTableRow.run_id == run.id)
    if kept is not None:
        lost = lost.where(EvaluationTableRow.step > kept)
    session.execute(lost)
    move_run(run, RunState.WAITING)
    end_attempt(session, run, state, error)


def _held(session: Session, study_id: str, *, lock: bool) -> list[tuple[RunRow, AttemptRow]]:
    """Return the running runs of a study, each with its latest attempt."""
    query = (
        select(RunRow, AttemptRow)
        .join(TrialRow, TrialRow.id == RunRow.trial_id)
        .join(AttemptRow, (AttemptRow.run_id == RunRow.id) & (AttemptRow.number == RunRow.attempt))
        .where(TrialRow.study_id == study_id, RunRow.state == RunState.RUNNING)
        .order_by(RunRow.id)
    )
    rows = session.execute(query.with_for_update(of=[RunRow, AttemptRow]) if lock else query)
    return [(run, attempt) for run, attempt in rows]


def _is_lost(session: Session, attempt: AttemptRow, *, lenient: bool) -> bool:
    expires = attempt.lease_expires
    expired = expires is None or expires < database_now(session)
    return (expired and not lenient) or is_dead(attempt.owner)

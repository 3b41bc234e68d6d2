"""Who works on what, and for how long: the leases of running runs, by the database's own clock.

    start_run ──> leased ──renew──> leased ──> finished or failed
                    ├── expired, or its owner is provably dead ──> waiting again, with the next attempt's number
                    └── failed in a way that is worth another attempt ──> waiting again

A lease that has expired is not lost yet: its attempt may write until somebody takes the run away.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from unipelt_search.records.history import EarlierAttempts, RunState, StudyState
from unipelt_search.records.notice import Notice
from unipelt_search.storage.database import Database, database_now
from unipelt_search.storage.owners import is_dead
from unipelt_search.storage.row_writer import (
    insert_notice,
    requeue,
    requeued,
    running_or_raise,
    storable,
    study_or_raise,
)
from unipelt_search.storage.tables import AttemptRow, AttemptState, RunRow, TrialRow
from unipelt_search.storage.transitions import STUDY_TRANSITIONS, next_state

LEASE_SECONDS = 60.0
"""How long a run stays with an owner that gives no sign of life; renewed four times as often."""


class Leases:
    """The leases of one database. Every method is one transaction; any process may call any of them."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database

    def renew(self, owner: str, seconds: float = LEASE_SECONDS) -> int:
        """Extend the leases of every run that an owner still holds.

        Args:
            owner: What `start_run` was given.
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
                requeue(session, run, AttemptState.INTERRUPTED, None)
            return len(lost)

        return self._database.write("run.release", release) if self._database.read(find) else 0

    def release_all(self, study_id: str, owner: str) -> int:
        """Let every run of an owner wait again; a running study that nobody else works on is stopped.

        Args:
            study_id: The study's id.
            owner: What `start_run` was given.

        Returns:
            How many runs wait again.

        Raises:
            StorageError: There is no such study, or the database refused.
        """

        def release_all(session: Session) -> int:
            study = study_or_raise(session, study_id)
            held = _held(session, study_id, lock=True)
            mine = [run for run, attempt in held if attempt.owner == owner]
            for run in mine:
                requeue(session, run, AttemptState.INTERRUPTED, None)
            if study.state == StudyState.RUNNING and len(mine) == len(held):
                study.state = next_state(f"Study {study.name!r}", STUDY_TRANSITIONS, study.state, StudyState.STOPPED)
            return len(mine)

        return self._database.write("run.leave", release_all)

    def retry(self, study_id: str, run_id: str, attempt: int, error: str | None, notice: Notice | str) -> None:
        """Let a run wait again whose attempt has ended before its time, and say so in the report.

        Args:
            study_id: The study's id.
            run_id: The run's id.
            attempt: The number that `start_run` returned.
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
            requeue(session, run, state, error and storable(error))

        self._database.write("run.retry", retry, lambda session: requeued(session, run_id, attempt))

    def earlier_attempts(self, run_id: str) -> EarlierAttempts:
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
        newest = select(AttemptRow.checkpoint_path).where(of_run).order_by(AttemptRow.number.desc()).limit(1)
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
            .where(TrialRow.study_id == study_id, RunRow.state.in_([RunState.WAITING, RunState.RUNNING]))
        )
        return self._database.read(
            lambda session: frozenset(path for path in session.scalars(query) if path is not None)
        )


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

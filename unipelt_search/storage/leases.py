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
from unipelt_search.storage.database import Database, database_now
from unipelt_search.storage.owners import is_dead
from unipelt_search.storage.row_writer import insert_notice, let_wait, running_or_raise, storable, study_or_raise
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
        with self._database.session() as session:
            return frozenset(attempt.owner for _, attempt in _held(session, study_id, lock=False))

    def release_dead(self, study_id: str) -> int:
        """Let runs wait again whose lease has expired, or whose owner is provably dead.

        Args:
            study_id: The study's id.

        Returns:
            How many runs wait again.

        Raises:
            StorageError: There is no such study, or the database refused.
        """
        with self._database.session() as session:
            if not any(_is_lost(session, attempt) for _, attempt in _held(session, study_id, lock=False)):
                return 0
        with self._database.session(write=True, step="run.release") as session:
            study_or_raise(session, study_id)
            lost = [held for held in _held(session, study_id, lock=True) if _is_lost(session, held[1])]
            for run, _ in lost:
                let_wait(session, run, AttemptState.INTERRUPTED, None)
            return len(lost)

    def leave(self, study_id: str, owner: str) -> int:
        """Let every run of an owner wait again; a running study that nobody else works on is stopped.

        Args:
            study_id: The study's id.
            owner: What `start_run` was given.

        Returns:
            How many runs wait again.

        Raises:
            StorageError: There is no such study, or the database refused.
        """
        with self._database.session(write=True, step="run.leave") as session:
            study = study_or_raise(session, study_id)
            held = _held(session, study_id, lock=True)
            mine = [run for run, attempt in held if attempt.owner == owner]
            for run in mine:
                let_wait(session, run, AttemptState.INTERRUPTED, None)
            if study.state == StudyState.RUNNING and len(mine) == len(held):
                study.state = next_state(f"Study {study.name!r}", STUDY_TRANSITIONS, study.state, StudyState.STOPPED)
            return len(mine)

    def retry(self, study_id: str, run_id: str, attempt: int, error: str, notice: str) -> None:
        """Let a run wait again whose attempt has failed, and say so in the report.

        Args:
            study_id: The study's id.
            run_id: The run's id.
            attempt: The number that `start_run` returned.
            error: What went wrong.
            notice: A sentence for the report.

        Raises:
            RunLostError: The run is not running in this attempt.
            StorageError: There is no such run, or the database refused.
        """
        with self._database.session(write=True, step="run.retry") as session:
            insert_notice(session, study_id, notice)  # first, because it locks the study, as all do first
            let_wait(session, running_or_raise(session, run_id, attempt), AttemptState.FAILED, storable(error))

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
        with self._database.session() as session:
            failed = session.scalar(select(func.count()).where(of_run, AttemptRow.state == AttemptState.FAILED)) or 0
            newest = select(AttemptRow.checkpoint_path).where(of_run).order_by(AttemptRow.number.desc()).limit(1)
            return EarlierAttempts(failed=failed, checkpoint=session.scalar(newest))

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
        with self._database.session() as session:
            return frozenset(path for path in session.scalars(query) if path is not None)


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


def _is_lost(session: Session, attempt: AttemptRow) -> bool:
    expires = attempt.lease_expires
    return expires is None or expires < database_now(session) or is_dead(attempt.owner)

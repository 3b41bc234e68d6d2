"""Studies as they are written: created, moved from state to state, noted upon, deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from math import isfinite
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from unipelt_search.errors import StorageError, StudyExistsError
from unipelt_search.records.history import EDITION, DroppedMethod, StudyState, TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.records.row_origins import RowOrigins
from unipelt_search.specs.study import BudgetSpec, StudySpec
from unipelt_search.specs.trial import PHASES, Phase
from unipelt_search.storage.connection import Database
from unipelt_search.storage.history_reader import HistoryReader, find_study_or_raise
from unipelt_search.storage.mirror import Mirror, MirrorChangedError
from unipelt_search.storage.origin_blobs import origin_row
from unipelt_search.storage.tables import (
    STUDY_TRANSITIONS,
    DroppedRow,
    NoticeRow,
    StudyRow,
    next_state,
    storable,
)


class Studies(HistoryReader):
    """The studies of one database; every method is one transaction and locks the study that it changes."""

    def __init__(self, database: Database, mirror: Mirror) -> None:
        """Take an open database and the mirror of its studies."""
        super().__init__(database)
        self._mirror = mirror

    def create(
        self,
        spec: StudySpec,
        task: TaskSummary,
        software: dict[str, str],
        command: str,
        origins: Iterable[RowOrigins] = (),
    ) -> str:
        """Create a study, running and in its screen phase.

        Args:
            spec: What was asked.
            task: What is kept of its task.
            software: Versions by package.
            command: The command line that asked.
            origins: Where the rows of its splits stand in the user's files, as far as that is known.

        Returns:
            The study's id.

        Raises:
            StudyExistsError: The name is taken, by a study or by somebody's Optuna study.
            StorageError: The database refused.
        """
        study_id = uuid4().hex
        known_origins = tuple(origins)

        def insert(session: Session) -> str:
            session.add(_study_row(study_id, spec, task, software, command))
            try:
                session.flush()
            except IntegrityError as error:
                raise StudyExistsError(
                    f"--name must be new; a study named {spec.name!r} is in {self._database.redacted} already. Choose "
                    f"another name, or delete it: unipelt-search delete {spec.name}."
                ) from error
            session.add_all(origin_row(study_id, of_split) for of_split in known_origins)
            return study_id

        def inserted(session: Session) -> str | None:
            return session.scalar(select(StudyRow.id).where(StudyRow.id == study_id))

        policy = self._database.retry_policy
        policy.retry(lambda: self._mirror.check_name(spec.name))
        self._database.write("study.create", insert, inserted)
        with suppress(MirrorChangedError):  # another driver was at it
            policy.retry(lambda: self._mirror.create(study_id, spec.name, task.direction))
        return study_id

    def delete(self, name: str) -> None:
        """Delete a study with everything below it, and its mirror.

        Args:
            name: The study's name.

        Raises:
            StudyNotFoundError: There is none of that name.
            StorageError: The database refused.
        """
        redacted = self._database.redacted
        study_id = self._database.read(lambda session: find_study_or_raise(session, name, redacted).id)
        # The mirror first: after a kill in between, the study is still there to be deleted again.
        self._database.retry_policy.retry(lambda: self._mirror.delete(study_id, name))
        this = delete(StudyRow).where(StudyRow.id == study_id)
        self._database.write("study.delete", lambda session: session.execute(this))

    def set_budget(self, study_id: str, budget: BudgetSpec) -> None:
        """Replace a study's budget.

        Args:
            study_id: The study's id.
            budget: The new budget.

        Raises:
            StorageError: There is no such study, or the database refused.
        """

        def replace(session: Session) -> None:
            study = study_or_raise(session, study_id)
            study.spec = study.spec | {"budget": budget.model_dump(mode="json")}

        self._database.write("study.budget", replace)

    def set_state(self, study_id: str, state: StudyState, phase: Phase | None = None) -> None:
        """Change a study's state, and its phase.

        Args:
            study_id: The study's id.
            state: The new state; the old one is allowed.
            phase: The new phase; None keeps it.

        Raises:
            StorageError: There is no such study, an ended study may only go on, or the database refused.
        """

        def change(session: Session) -> None:
            study = study_or_raise(session, study_id)
            move_study(study, state)
            study.phase = phase or study.phase

        self._database.write("study.state", change)

    def add_seconds(self, study_id: str, seconds: float) -> None:
        """Add to a study's wall-clock seconds.

        Args:
            study_id: The study's id.
            seconds: Seconds, 0 or more.

        Raises:
            StorageError: There is no such study, the number is not usable, or the database refused.
        """
        if not (isfinite(seconds) and seconds >= 0):
            raise StorageError(f"A study's seconds must be finite and not negative; got {seconds}.")

        def add(session: Session) -> None:
            study_or_raise(session, study_id).wall_seconds += seconds

        self._database.write("study.seconds", add)

    def add_notice(self, study_id: str, notice: Notice) -> None:
        """Add a notice for the report; the same notice twice is stored once.

        Args:
            study_id: The study's id.
            notice: The notice.

        Raises:
            StorageError: There is no such study, or the database refused.
        """
        self._database.write("study.notice", lambda session: insert_notice(session, study_id, notice))

    def add_dropped(self, study_id: str, dropped: DroppedMethod) -> None:
        """Note that a method gets no more trials; a second reason in the same phase replaces the first.

        Args:
            study_id: The study's id.
            dropped: The method, the phase and the reason.

        Raises:
            StorageError: There is no such study, or the database refused.
        """
        same = {"study_id": study_id, "method": dropped.method, "phase": dropped.phase}
        reason = _notice_columns(dropped.reason)

        def insert(session: Session) -> None:
            study_or_raise(session, study_id)
            row = session.scalar(select(DroppedRow).filter_by(**same))
            if row is None:
                session.add(DroppedRow(**same, **reason))
                return
            for name, value in reason.items():
                setattr(row, name, value)

        self._database.write("study.dropped", insert)


def study_or_raise(session: Session, study_id: str, *, lock: bool = True) -> StudyRow:
    """Find a study by its id, locked for a change; every transaction that locks a study does so first.

    Args:
        session: An open transaction.
        study_id: The study's id.
        lock: Whether others have to wait until the transaction ends.

    Returns:
        The study's row.

    Raises:
        StorageError: There is none.
    """
    query = select(StudyRow).where(StudyRow.id == study_id)
    study = session.scalar(query.with_for_update() if lock else query)
    if study is None:
        raise StorageError(f"The study must be in the database; there is none with the id {study_id}. Was it deleted?")
    return study


def move_study(study: StudyRow, state: StudyState) -> None:
    """Change a study's state.

    Args:
        study: The locked row.
        state: The new state.

    Raises:
        StorageError: It may not follow the old one.
    """
    study.state = next_state(f"Study {study.name!r}", STUDY_TRANSITIONS, study.state, state)


def insert_notice(session: Session, study_id: str, notice: Notice) -> None:
    """Add a notice to a study, unless it has it.

    Args:
        session: An open transaction.
        study_id: The study's id.
        notice: The notice.

    Raises:
        StorageError: There is no such study.
    """
    study_or_raise(session, study_id)
    columns = _notice_columns(notice)
    canonical = json.dumps(columns, sort_keys=True, separators=(",", ":"), allow_nan=False)
    same = {"study_id": study_id, "content_hash": sha256(canonical.encode()).hexdigest()}
    if session.scalar(select(NoticeRow).filter_by(**same)) is None:
        session.add(NoticeRow(**same, **columns))


def _study_row(study_id: str, spec: StudySpec, task: TaskSummary, software: dict[str, str], command: str) -> StudyRow:
    return StudyRow(
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


def _notice_columns(notice: Notice) -> dict[str, Any]:
    """Return the code, the severity and the values of a notice as every database takes them."""
    columns = notice.model_dump(mode="json")
    values = columns["values"]
    columns["values"] = {name: _storable_value(value) for name, value in values.items()}
    return columns


def _storable_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_storable_value(item) for item in value]
    return storable(value) if isinstance(value, str) else value

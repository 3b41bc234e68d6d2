"""The table of events: what the drivers of a study did, readable from anywhere while the study runs."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from unipelt_search.errors import StorageError
from unipelt_search.records.progress import StudyProgress
from unipelt_search.records.study_event import Happening, StudyEvent
from unipelt_search.storage.connection import Database, database_now
from unipelt_search.storage.owners import format_owner
from unipelt_search.storage.studies import study_or_raise
from unipelt_search.storage.tables import EventRow, storable

_LENGTH = 255
_COUNTS = ("phase", "trials_done", "trials_asked", "runs_done", "runs_asked", "seconds_left")


class EventReader:
    """Reads the events of one database."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database

    def after(self, study_id: str, last_id: int = 0, *, limit: int | None = None) -> list[StudyEvent]:
        """Read what has happened in a study since an event.

        Args:
            study_id: The study's id.
            last_id: The id of the last event that the caller knows; 0 for all.
            limit: How many at most; None for all.

        Returns:
            The events, oldest first.

        Raises:
            StorageError: The database refused.
        """
        query = select(EventRow).where(EventRow.study_id == study_id, EventRow.id > last_id)
        query = query.order_by(EventRow.id).limit(limit)
        return self._database.read(lambda session: list(map(_record, session.scalars(query))))


class EventTable(EventReader):
    """Writes the events of one database too."""

    def append(self, study_id: str, owner: str, progress: StudyProgress, happening: Happening) -> None:
        """Write an event down, once and without waiting: an event that cannot be written is left out.

        A driver never fails, and never waits, for an event; were it repeated while the database is away, the message
        that the database is away would wait for itself.

        Args:
            study_id: The study's id.
            owner: The driver, as `new_owner` names it.
            progress: How far the study is, and the event's line.
            happening: What the event is about.
        """
        with suppress(StorageError), self._database.session(write=True, step="event.append") as session:
            session.add(_row(session, study_id, owner, progress, happening))


def _row(session: Session, study_id: str, owner: str, progress: StudyProgress, happening: Happening) -> EventRow:
    # Drivers of one study wait for each other here, so that a greater id is never readable before a smaller one.
    study_or_raise(session, study_id)
    return EventRow(
        study_id=study_id,
        time=database_now(session),
        process=storable(format_owner(owner))[:_LENGTH],
        text=storable(progress.event),
        **{name: getattr(progress, name) for name in _COUNTS},
        **happening.model_dump(mode="json"),
    )


def _record(row: EventRow) -> StudyEvent:
    return StudyEvent.model_validate({name: getattr(row, name) for name in StudyEvent.model_fields})

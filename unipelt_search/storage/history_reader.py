"""Reading studies: rows of the study database become a `StudyRecord`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from unipelt_search.errors import StudyNotFoundError, did_you_mean
from unipelt_search.records.history import (
    DroppedMethod,
    RunRecord,
    RunState,
    StudyLine,
    StudyRecord,
    TaskSummary,
    TrialRecord,
)
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import Costs, RunResult
from unipelt_search.specs.parts import STORED
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.storage.connection import Database
from unipelt_search.storage.gate_blobs import read_gate_values
from unipelt_search.storage.origin_blobs import read_origins
from unipelt_search.storage.prediction_blobs import read_predictions
from unipelt_search.storage.tables import (
    EVALUATIONS,
    NUMBERED_DETAILS,
    RESULT_COLUMNS,
    DetailTable,
    DroppedRow,
    GateValuesRow,
    NoticeRow,
    PredictionRow,
    RowOriginRow,
    RunRow,
    StudyRow,
    TrialRow,
)

_Details = dict[str, dict[str, list[Any]]]
_DETAILS = (EVALUATIONS, *NUMBERED_DETAILS)
_NEWEST_FIRST = (StudyRow.created.desc(), StudyRow.name)
_MAX_NAMES = 20
"""Names of studies that a message lists."""


class HistoryReader:
    """Reads the studies of one database; every method sees one moment."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database

    def find(self, name: str) -> str | None:
        """Find a study by its name.

        Args:
            name: The study's name.

        Returns:
            Its id, or None.

        Raises:
            StorageError: The database refused.
        """
        query = select(StudyRow.id).where(StudyRow.name == name)
        return self._database.read(lambda session: session.scalar(query))

    def load(self, name: str, *, details: bool = True) -> StudyRecord:
        """Read a study whole.

        Args:
            name: The study's name.
            details: Read evaluations, gates, ablations, predictions and row origins too; without them those tuples
                are empty.

        Returns:
            The record.

        Raises:
            StudyNotFoundError: There is none of that name; the message lists those that there are.
            StorageError: The database refused.
        """

        def read(session: Session) -> StudyRecord:
            study = find_study_or_raise(session, name, self._database.redacted)
            return read_study(session, study, details=details)

        return self._database.read(read)

    def names(self) -> list[str]:
        """Read the names of all studies, from a database of any schema.

        Returns:
            The names, the newest study first.

        Raises:
            StorageError: The database refused.
        """
        return self._database.read(_read_names)

    def spec(self, name: str) -> StudySpec:
        """Read what a study asks, from a database of any schema.

        Args:
            name: The study's name.

        Returns:
            The specification.

        Raises:
            StudyNotFoundError: There is none of that name; the message lists those that there are.
            StorageError: The database refused.
        """

        def read(session: Session) -> StudySpec:
            found = session.scalar(select(StudyRow.spec).where(StudyRow.name == name))
            if found is None:
                raise _not_found(session, name, self._database.redacted)
            return StudySpec.model_validate(found, context=STORED)

        return self._database.read(read)

    def lines(self) -> list[StudyLine]:
        """Read one line per study, the newest first.

        Returns:
            The lines.

        Raises:
            StorageError: The database refused.
        """
        return self._database.read(_read_lines)


def find_study_or_raise(session: Session, name: str, redacted: str) -> StudyRow:
    """Find a study by its name.

    Args:
        session: An open transaction.
        name: The study's name.
        redacted: The database's URL, as it may be printed.

    Returns:
        Its row.

    Raises:
        StudyNotFoundError: There is none; the message lists those that there are.
    """
    row = session.scalar(select(StudyRow).where(StudyRow.name == name))
    if row is None:
        raise _not_found(session, name, redacted)
    return row


def _not_found(session: Session, name: str, redacted: str) -> StudyNotFoundError:
    names = _read_names(session)
    suggestion = did_you_mean(name, names)
    return StudyNotFoundError(
        f"The name must be of a study in {redacted}; got {name!r}, {_format_names(names)}.{suggestion}"
    )


def _read_names(session: Session) -> list[str]:
    query = select(StudyRow.name).order_by(*_NEWEST_FIRST)
    return list(session.scalars(query))


def _format_names(names: list[str]) -> str:
    if not names:
        return "it holds no studies"
    more = ", …" if len(names) > _MAX_NAMES else ""
    return f"found: {', '.join(names[:_MAX_NAMES])}{more}"


def _read_lines(session: Session) -> list[StudyLine]:
    trials = select(func.count()).where(TrialRow.study_id == StudyRow.id).scalar_subquery()
    rows = session.execute(select(StudyRow, trials).order_by(*_NEWEST_FIRST))
    return [_line(row, count) for row, count in rows]


def _line(study: StudyRow, trials: int) -> StudyLine:
    return StudyLine(
        name=study.name,
        state=study.state,
        phase=study.phase,
        created=study.created,
        backbone=study.spec["backbone"]["model"],
        task=study.task["name"],
        trials=trials,
    )


def read_study(session: Session, study: StudyRow, *, details: bool) -> StudyRecord:
    """Read a study whole.

    Args:
        session: An open transaction.
        study: The study's row.
        details: Read evaluations, gates, ablations, outcomes, predictions and row origins too; without them those are
            empty.

    Returns:
        The record; trials by number, runs by seed index and fold.
    """
    of_study = TrialRow.study_id == study.id
    found = _read_all_details(session, of_study) if details else {}
    runs: dict[int, list[RunRow]] = defaultdict(list)
    in_order = (RunRow.trial_id, RunRow.seed_index, RunRow.fold)
    query = select(RunRow).join(TrialRow).where(of_study)
    for run in session.scalars(query.order_by(*in_order)):
        runs[run.trial_id].append(run)
    trials = session.scalars(select(TrialRow).where(of_study).order_by(TrialRow.number))
    dropped = select(DroppedRow).where(DroppedRow.study_id == study.id).order_by(DroppedRow.id)
    notices = select(NoticeRow).where(NoticeRow.study_id == study.id).order_by(NoticeRow.id)
    origins = select(RowOriginRow).where(RowOriginRow.study_id == study.id).order_by(RowOriginRow.split)
    return StudyRecord(
        id=study.id,
        spec=StudySpec.model_validate(study.spec, context=STORED),
        task=TaskSummary.model_validate(study.task),
        state=study.state,
        phase=study.phase,
        created=study.created,
        software=study.software,
        command=study.command,
        wall_seconds=study.wall_seconds,
        trials=tuple(_trial_record(trial, runs[trial.id], found) for trial in trials),
        dropped=tuple(map(_dropped, session.scalars(dropped))),
        notices=tuple(map(_notice, session.scalars(notices))),
        edition=study.edition,
        origins=tuple(map(read_origins, session.scalars(origins))) if details else (),
    )


def run_record(run: RunRow, number: int, details: _Details | None = None) -> RunRecord:
    """Turn a run's row into its record.

    Args:
        run: The row.
        number: The trial's number.
        details: Evaluations, gates, ablation rows, outcomes and predictions by run id; None leaves them out.

    Returns:
        The record.
    """
    return RunRecord(
        id=run.id,
        trial=number,
        phase=run.phase,
        seed_index=run.seed_index,
        fold=run.fold,
        state=run.state,
        attempt=run.attempt,
        error=run.error,
        result=_result(run, details or {}) if run.state == RunState.COMPLETE else None,
    )


def _read_all_details(session: Session, of_study: ColumnElement[bool]) -> _Details:
    found = {detail.field: _read_details(session, of_study, detail) for detail in _DETAILS}
    found["gate_values"] = _read_gate_values(session, of_study)
    return {**found, "predictions": _read_predictions(session, of_study)}


def _dropped(row: DroppedRow) -> DroppedMethod:
    return DroppedMethod(method=row.method, phase=row.phase, reason=_notice(row))


def _notice(row: NoticeRow | DroppedRow) -> Notice:
    return Notice.model_validate({"code": row.code, "severity": row.severity, "values": row.values})


def _trial_record(trial: TrialRow, runs: Iterable[RunRow], details: _Details) -> TrialRecord:
    return TrialRecord(
        number=trial.number,
        method=trial.method,
        variant=trial.variant,
        spec=TrialSpec.model_validate(trial.spec, context=STORED),
        phase=trial.phase,
        state=trial.state,
        value=trial.value,
        origin=trial.origin,
        runs=tuple(run_record(run, trial.number, details) for run in runs),
    )


def _result(run: RunRow, details: _Details) -> RunResult:
    # Read as a mapping, so that a column that is unexpectedly NULL is refused by the record's own types.
    values: dict[str, Any] = {field: getattr(run, column) for field, column in RESULT_COLUMNS.items()}
    for name in (*(detail.field for detail in _DETAILS), "predictions"):
        of_runs = details.get(name, {})
        values[name] = tuple(of_runs.get(run.id, ()))
    values["gate_values"] = next(iter(details.get("gate_values", {}).get(run.id, ())), None)
    values["costs"] = {name: getattr(run, name) for name in Costs.model_fields}
    return RunResult.model_validate(values)


def _read_details(session: Session, of_study: ColumnElement[bool], detail: DetailTable) -> dict[str, list[Any]]:
    """Read the rows of a detail table by run id."""
    table = detail.table
    names = list(detail.record.model_fields)
    columns = [getattr(table, name) for name in names]
    # The second column of the key is the order within a run.
    order = table.__mapper__.primary_key
    query = select(table.run_id, *columns)
    query = query.join(RunRow, RunRow.id == table.run_id).join(TrialRow)
    found: dict[str, list[Any]] = defaultdict(list)
    for run_id, *values in session.execute(query.where(of_study).order_by(*order)):
        row = dict(zip(names, values, strict=True))
        found[run_id].append(detail.record.model_validate(row))
    return found


def _read_predictions(session: Session, of_study: ColumnElement[bool]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    query = select(PredictionRow).join(RunRow).join(TrialRow).where(of_study)
    for row in session.scalars(query.order_by(PredictionRow.split)):
        found[row.run_id].append(read_predictions(row))
    return found


def _read_gate_values(session: Session, of_study: ColumnElement[bool]) -> dict[str, list[Any]]:
    query = select(GateValuesRow).join(RunRow).join(TrialRow).where(of_study)
    return {row.run_id: [read_gate_values(row)] for row in session.scalars(query)}

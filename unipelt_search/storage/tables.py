"""The tables of a study database, all named ``ups_…``, and which state may follow which.

Optuna's own tables may stand beside them.

    study ─┬─ trial ─ run ─┬─ attempt      one start of a run by one owner
           │               ├─ evaluation   the curve on the tune rows
           │               ├─ gate         gate statistics
           │               ├─ gate_values  a confirmed run's gates, one by one
           │               ├─ ablation     the score with a submodule removed
           │               ├─ outcome      true labels against predictions, counted
           │               └─ prediction   what was predicted for every row
           ├─ row_origin   where rows stand in the user's files
           ├─ event        what its drivers did, in order
           ├─ dropped      methods that got no more trials
           └─ notice       findings for the report

Deleting a study deletes everything below it. Times are UTC, numbers are finite or NULL. Every change of these
tables is one more module in ``migrations/versions``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar, get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import LONGBLOB, LONGTEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from unipelt_search.errors import StorageError
from unipelt_search.frozen import Frozen
from unipelt_search.records.history import RunState, StudyState, TrialState
from unipelt_search.records.results import AblationRow, EvaluationRow, GateRow, OutcomeRow, RunResult
from unipelt_search.specs.trial import Phase

PREFIX = "ups_"
# Optuna's migrations own the name `alembic_version` in the same database.
VERSION_TABLE = "ups_alembic_version"


class AttemptState(StrEnum):
    """Where one start of a run stands."""

    RUNNING = "running"
    """Its owner works on it, or died while doing so."""
    COMPLETE = "complete"
    """The run's result is this attempt's."""
    FAILED = "failed"
    """It ended with an error, which is the run's unless another attempt followed."""
    INTERRUPTED = "interrupted"
    """It was taken away from its owner; whatever the owner still writes is refused."""


RUN_TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.WAITING: frozenset({RunState.RUNNING}),
    # Back to waiting: its owner was interrupted, or its attempt failed and is worth another one.
    RunState.RUNNING: frozenset({RunState.COMPLETE, RunState.FAILED, RunState.WAITING}),
    RunState.COMPLETE: frozenset(),
    RunState.FAILED: frozenset(),
}
# A study may stay as it is, because its phase changes without its state; every ended one may go on.
STUDY_TRANSITIONS: dict[StudyState, frozenset[StudyState]] = {
    StudyState.RUNNING: frozenset(StudyState),
    StudyState.COMPLETE: frozenset({StudyState.COMPLETE, StudyState.RUNNING}),
    StudyState.STOPPED: frozenset({StudyState.STOPPED, StudyState.RUNNING}),
    StudyState.FAILED: frozenset({StudyState.FAILED, StudyState.RUNNING}),
}

_State = TypeVar("_State", bound=StrEnum)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware UTC in Python, UTC without a zone in the database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into the naive UTC that is stored."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn the stored naive UTC into an aware moment."""
        return None if value is None else value.replace(tzinfo=UTC)


def _checked(name: str, states: type[StrEnum]) -> Enum:
    return Enum(
        states, name=name, native_enum=False, create_constraint=True, validate_strings=True, length=16,
        values_callable=lambda members: [member.value for member in members],
    )  # fmt: skip


_PHASE = Enum(
    *get_args(Phase), name="phase", native_enum=False, create_constraint=True, validate_strings=True, length=16
)
# MySQL's TEXT ends at 64 kB, and a traceback or a list of labels may be longer.
_LONG_TEXT = Text().with_variant(LONGTEXT(), "mysql")
_NULLABLE_JSON = JSON(none_as_null=True)
_BLOB = LargeBinary().with_variant(LONGBLOB(), "mysql")
# SQLite counts up a column of this type alone by itself.
_EVENT_ID = BigInteger().with_variant(Integer(), "sqlite")


class Row(DeclarativeBase):
    """The parent of every table."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    # MySQL's FLOAT has seven digits only.
    type_annotation_map = {
        float: Double(),
        str: _LONG_TEXT,
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
    }


def _parent(column: str, *, primary_key: bool = False, index: bool = False) -> Mapped[Any]:
    return mapped_column(ForeignKey(column, ondelete="CASCADE"), primary_key=primary_key, index=index)


class StudyRow(Row):
    """One question. Its id is ours, because SQLite gives a deleted row's number to the next row."""

    __tablename__ = "ups_study"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    spec: Mapped[dict[str, Any]]
    question_hash: Mapped[str] = mapped_column(String(16), index=True)
    task: Mapped[dict[str, Any]]
    software: Mapped[dict[str, Any]]
    command: Mapped[str]
    state: Mapped[StudyState] = mapped_column(_checked("state", StudyState))
    phase: Mapped[Phase] = mapped_column(_PHASE)
    created: Mapped[datetime]
    wall_seconds: Mapped[float]
    edition: Mapped[int] = mapped_column(server_default="1")
    """Which defaults the study began with; no part of its question."""


class TrialRow(Row):
    """One configuration tried in a study."""

    __tablename__ = "ups_trial"
    __table_args__ = (UniqueConstraint("study_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = _parent("ups_study.id")
    number: Mapped[int]
    """Dense within the study, from 0."""
    method: Mapped[str] = mapped_column(String(64))
    variant: Mapped[str | None] = mapped_column(String(128))
    spec: Mapped[dict[str, Any]]
    spec_hash: Mapped[str] = mapped_column(String(16), index=True)
    phase: Mapped[Phase] = mapped_column(_PHASE)
    """The furthest phase that one of its runs reached."""
    state: Mapped[TrialState] = mapped_column(_checked("state", TrialState))
    value: Mapped[float | None]
    origin: Mapped[str] = mapped_column(String(32))
    created: Mapped[datetime]
    optuna_trial_id: Mapped[int | None]
    """Where it stands in the mirror; may be rebuilt at any time."""


class RunRow(Row):
    """One training of a trial's configuration, with its scores and costs once it is complete."""

    __tablename__ = "ups_run"
    __table_args__ = (UniqueConstraint("trial_id", "seed_index", "fold"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    trial_id: Mapped[int] = _parent("ups_trial.id")
    phase: Mapped[Phase] = mapped_column(_PHASE)
    seed_index: Mapped[int]
    fold: Mapped[int] = mapped_column(default=0)
    state: Mapped[RunState] = mapped_column(_checked("state", RunState), index=True)
    attempt: Mapped[int] = mapped_column(default=0)
    """The number of its latest attempt, the only one that may write; 0 before the first."""
    error: Mapped[str | None]
    tune: Mapped[float | None]
    select_scores: Mapped[dict[str, Any] | None] = mapped_column(_NULLABLE_JSON)
    test_scores: Mapped[dict[str, Any] | None] = mapped_column(_NULLABLE_JSON)
    best_step: Mapped[int | None]
    steps: Mapped[int | None]
    checkpoint: Mapped[str | None]
    trained_parameters: Mapped[int | None] = mapped_column(BigInteger)
    stored_parameters: Mapped[int | None] = mapped_column(BigInteger)
    head_parameters: Mapped[int | None] = mapped_column(BigInteger)
    train_seconds: Mapped[float | None]
    predict_ms_per_example: Mapped[float | None]
    peak_memory_mb: Mapped[float | None]
    examples_trained: Mapped[int | None] = mapped_column(BigInteger)
    padding_share: Mapped[float | None]
    prunable: Mapped[list[Any] | None] = mapped_column(_NULLABLE_JSON)
    """(submodule, layer) pairs that the trained model can do without."""


class AttemptRow(Row):
    """One start of a run by one owner."""

    __tablename__ = "ups_attempt"
    __table_args__ = (UniqueConstraint("run_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = _parent("ups_run.id")
    number: Mapped[int]
    """Counted from 1 within the run."""
    owner: Mapped[str] = mapped_column(String(255))
    state: Mapped[AttemptState] = mapped_column(_checked("state", AttemptState))
    lease_expires: Mapped[datetime | None]
    started: Mapped[datetime]
    ended: Mapped[datetime | None]
    error: Mapped[str | None]
    checkpoint_path: Mapped[str | None]
    """The newest state of the run that was kept, by this attempt or one before it."""
    checkpoint_step: Mapped[int | None]
    """Optimizer steps done there."""


class EvaluationTableRow(Row):
    """One evaluation on the tune rows while a run trains."""

    __tablename__ = "ups_evaluation"

    run_id: Mapped[str] = _parent("ups_run.id", primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempt: Mapped[int]
    epoch: Mapped[float]
    train_loss: Mapped[float | None]
    value: Mapped[float]
    seconds: Mapped[float]


class GateTableRow(Row):
    """Statistics of one gate over examples."""

    __tablename__ = "ups_gate"

    run_id: Mapped[str] = _parent("ups_run.id", primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Its index in the run's result."""
    epoch: Mapped[float]
    stack: Mapped[str] = mapped_column(String(16))
    layer: Mapped[int]
    gate: Mapped[str] = mapped_column(String(64))
    split: Mapped[str] = mapped_column(String(16))
    label: Mapped[str | None]
    n: Mapped[int]
    mean: Mapped[float]
    sd: Mapped[float]
    q05: Mapped[float]
    q25: Mapped[float]
    q50: Mapped[float]
    q75: Mapped[float]
    q95: Mapped[float]
    share_active: Mapped[float]
    contribution: Mapped[float | None]
    initial_mean: Mapped[float]
    null_mean: Mapped[float | None]


class GateValuesRow(Row):
    """A confirmed run's gates on its select rows, one by one."""

    __tablename__ = "ups_gate_values"

    run_id: Mapped[str] = _parent("ups_run.id", primary_key=True)
    content: Mapped[bytes] = mapped_column(_BLOB)
    """NumPy's `.npz` with the arrays `values` (gates × rows, float16), `stack`, `layer` and `gate` (an entry per gate),
    and `row`."""
    sha256: Mapped[str] = mapped_column(String(64))


class AblationTableRow(Row):
    """The metric on select rows with one submodule removed."""

    __tablename__ = "ups_ablation"

    run_id: Mapped[str] = _parent("ups_run.id", primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    submodule: Mapped[str] = mapped_column(String(64))
    layer: Mapped[int | None]
    value: Mapped[float]
    drop: Mapped[float]
    error: Mapped[float | None]


class OutcomeTableRow(Row):
    """How many rows of a split have this true label and were given this prediction."""

    __tablename__ = "ups_outcome"

    run_id: Mapped[str] = _parent("ups_run.id", primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    split: Mapped[str] = mapped_column(String(16))
    label: Mapped[str | None]
    predicted: Mapped[str | None]
    n: Mapped[int]


class PredictionRow(Row):
    """What a confirmed run predicted for every row of a split."""

    __tablename__ = "ups_prediction"

    run_id: Mapped[str] = _parent("ups_run.id", primary_key=True)
    split: Mapped[str] = mapped_column(String(16), primary_key=True)
    content: Mapped[bytes] = mapped_column(_BLOB)
    """A Parquet file with the columns `label` and `predicted`, with folds `row`, and where they were kept
    `probability`, a list per row."""
    sha256: Mapped[str] = mapped_column(String(64))


class RowOriginRow(Row):
    """Where the rows of a split stand in the user's files."""

    __tablename__ = "ups_row_origin"

    study_id: Mapped[str] = _parent("ups_study.id", primary_key=True)
    split: Mapped[str] = mapped_column(String(16), primary_key=True)
    content: Mapped[bytes] = mapped_column(_BLOB)
    """A Parquet file with the columns `file`, `unit` and `number`."""
    sha256: Mapped[str] = mapped_column(String(64))


class DroppedRow(Row):
    """A method that got no more trials; the notice says why."""

    __tablename__ = "ups_dropped"
    __table_args__ = (UniqueConstraint("study_id", "method", "phase"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = _parent("ups_study.id")
    method: Mapped[str] = mapped_column(String(64))
    phase: Mapped[Phase] = mapped_column(_PHASE)
    code: Mapped[str] = mapped_column(String(64))
    severity: Mapped[str] = mapped_column(String(16))
    values: Mapped[dict[str, Any]]


class NoticeRow(Row):
    """A finding for the report. MySQL cannot make JSON unique, so its hash is."""

    __tablename__ = "ups_notice"
    __table_args__ = (UniqueConstraint("study_id", "content_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[str] = _parent("ups_study.id")
    code: Mapped[str] = mapped_column(String(64))
    severity: Mapped[str] = mapped_column(String(16))
    values: Mapped[dict[str, Any]]
    content_hash: Mapped[str] = mapped_column(String(64))


class EventRow(Row):
    """One thing that a driver did. Of one study, a greater id was committed later."""

    __tablename__ = "ups_event"
    # SQLite would give the number of a deleted row to the next one.
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(_EVENT_ID, primary_key=True)
    study_id: Mapped[str] = _parent("ups_study.id", index=True)
    time: Mapped[datetime]
    """By the database's clock."""
    process: Mapped[str] = mapped_column(String(255))
    """The driver, as `format_owner` names it."""
    kind: Mapped[str] = mapped_column(String(32))
    phase: Mapped[str] = mapped_column(String(16))
    trial: Mapped[int | None]
    """The trial's number; its row may be gone."""
    run_id: Mapped[str | None] = mapped_column(String(32))
    step: Mapped[int | None]
    value: Mapped[float | None]
    train_loss: Mapped[float | None]
    trials_done: Mapped[int]
    trials_asked: Mapped[int]
    runs_done: Mapped[int]
    runs_asked: Mapped[int]
    seconds_left: Mapped[float | None]
    """An estimate; NULL before the first run has finished."""
    text: Mapped[str]


@dataclass(frozen=True)
class DetailTable:
    """Rows of a run's result: the result's field, their table, and their record, whose fields name the columns."""

    field: str
    table: type[EvaluationTableRow | GateTableRow | AblationTableRow | OutcomeTableRow]
    record: type[Frozen]


EVALUATIONS = DetailTable("evaluations", EvaluationTableRow, EvaluationRow)
"""Rows that are there while the run trains, by step."""
NUMBERED_DETAILS = (
    DetailTable("gates", GateTableRow, GateRow),
    DetailTable("ablation", AblationTableRow, AblationRow),
    DetailTable("outcomes", OutcomeTableRow, OutcomeRow),
)
"""Rows that come with the result, by position."""
_BLOBS = {"gate_values", "predictions"}
_ELSEWHERE = {EVALUATIONS.field, *(detail.field for detail in NUMBERED_DETAILS), *_BLOBS, "costs"}
_RENAMED = {"select": "select_scores", "test": "test_scores"}  # SQL keeps `select` for itself
RESULT_COLUMNS = {field: _RENAMED.get(field, field) for field in RunResult.model_fields if field not in _ELSEWHERE}
"""The columns of `RunRow` by the fields of a result. Its costs have columns of their own names."""


def next_state(what: str, table: dict[_State, frozenset[_State]], now: _State, then: _State) -> _State:
    """Check a change of state.

    Args:
        what: Whose state it is, for the message.
        table: The states that may follow each state.
        now: The state in the database.
        then: The state that is asked for.

    Returns:
        The state that was asked for.

    Raises:
        StorageError: It may not follow.
    """
    if then not in table[now]:
        allowed = f"may become {' or '.join(sorted(table[now]))}" if table[now] else "is final"
        raise StorageError(f"{what} is {now}, which {allowed}; got {then}.")
    return then


def storable(text: str) -> str:
    """Return a text that every database takes: PostgreSQL no NUL, none of them half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")

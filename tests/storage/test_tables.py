from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from unipelt_search.errors import StorageError
from unipelt_search.records.history import RunState, StudyState
from unipelt_search.records.results import AblationRow, Costs, EvaluationRow, GateRow, OutcomeRow, RunResult
from unipelt_search.storage.store import StudyStore
from unipelt_search.storage.tables import (
    EVALUATIONS,
    NUMBERED_DETAILS,
    PREFIX,
    RESULT_COLUMNS,
    RUN_TRANSITIONS,
    STUDY_TRANSITIONS,
    VERSION_TABLE,
    AblationTableRow,
    EvaluationTableRow,
    GateTableRow,
    OutcomeTableRow,
    Row,
    RunRow,
    next_state,
    storable,
)


@pytest.fixture
def migrated(tmp_path: Path) -> Engine:
    StudyStore.open(f"sqlite:///{tmp_path}/migrated.db").close()
    return create_engine(f"sqlite:///{tmp_path}/migrated.db")


def describe(engine: Engine) -> dict[str, Any]:
    """Everything of our tables that reflection tells, constraint names included."""
    inspector = inspect(engine)
    ours = [name for name in inspector.get_table_names() if name.startswith(PREFIX) and name != VERSION_TABLE]
    return {
        name: {
            "columns": [{**column, "type": str(column["type"])} for column in inspector.get_columns(name)],
            "key": inspector.get_pk_constraint(name),
            "parents": inspector.get_foreign_keys(name),
            "unique": sorted(inspector.get_unique_constraints(name), key=str),
            "checks": sorted(inspector.get_check_constraints(name), key=str),
            "indices": sorted(inspector.get_indexes(name), key=str),
        }
        for name in ours
    }


def test_the_migrations_make_the_tables_of_the_code(migrated: Engine, tmp_path: Path) -> None:
    direct = create_engine(f"sqlite:///{tmp_path}/direct.db")
    Row.metadata.create_all(direct)
    made = describe(migrated)
    assert set(made) == set(Row.metadata.tables)
    assert made == describe(direct)
    direct.dispose()
    migrated.dispose()


def test_alembic_finds_nothing_to_change_beside_optunas_tables(migrated: Engine) -> None:
    with migrated.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "include_name": lambda name, kind, _: kind != "table" or name.startswith(PREFIX),
            },
        )
        assert compare_metadata(context, Row.metadata) == []
    migrated.dispose()


def test_a_state_that_is_none_is_refused_by_the_database(migrated: Engine) -> None:
    values = "'a', 'a', '{}', 'a', '{}', '{}', '', 'odd', 'screen', '2024-01-01 00:00:00', 0.0, 1"
    with migrated.begin() as connection, pytest.raises(IntegrityError, match="ck_ups_study_state"):
        connection.execute(text(f"INSERT INTO ups_study VALUES ({values})"))
    migrated.dispose()


def test_every_field_of_a_result_has_its_column() -> None:
    for table, record in (
        (GateTableRow, GateRow),
        (EvaluationTableRow, EvaluationRow),
        (AblationTableRow, AblationRow),
        (OutcomeTableRow, OutcomeRow),
        (RunRow, Costs),
    ):
        assert set(record.model_fields) <= set(table.__table__.columns.keys())


def test_long_text_and_double_precision_on_the_other_databases() -> None:
    run = Row.metadata.tables["ups_run"]
    on_mysql = str(CreateTable(run).compile(dialect=mysql.dialect()))
    assert "error LONGTEXT" in on_mysql
    assert "tune DOUBLE" in on_mysql
    on_postgresql = str(CreateTable(run).compile(dialect=postgresql.dialect()))
    assert "error TEXT" in on_postgresql
    assert "tune DOUBLE PRECISION" in on_postgresql
    names = [name for table in Row.metadata.tables.values() for name in _names(table)]
    assert max(map(len, names)) <= 63, "PostgreSQL cuts longer names"


def _names(table: Any) -> list[str]:
    return [str(item.name) for item in (*table.constraints, *table.indexes)]


@pytest.mark.parametrize(
    ("given", "stored"),
    [("größer 🎉", "größer 🎉"), ("a\x00b", "a\\x00b"), ("caf\udce9", "caf\\udce9")],
)
def test_every_text_can_be_stored_by_every_database(given: str, stored: str) -> None:
    assert storable(given) == stored


def test_every_state_has_its_line() -> None:
    assert set(RUN_TRANSITIONS) == set(RunState)
    assert set(STUDY_TRANSITIONS) == set(StudyState)


def test_nothing_follows_a_finished_run() -> None:
    assert {state for state, then in RUN_TRANSITIONS.items() if not then} == {
        state for state in RunState if state.is_finished()
    }


def test_an_ended_study_can_only_go_on() -> None:
    for state in set(StudyState) - {StudyState.RUNNING}:
        assert STUDY_TRANSITIONS[state] == {state, StudyState.RUNNING}


def test_a_change_is_returned_or_refused_with_what_would_be_allowed() -> None:
    assert next_state("Run x", RUN_TRANSITIONS, RunState.RUNNING, RunState.FAILED) == RunState.FAILED
    with pytest.raises(StorageError, match=r"^Run x is waiting, which may become running; got complete\.$"):
        next_state("Run x", RUN_TRANSITIONS, RunState.WAITING, RunState.COMPLETE)
    with pytest.raises(StorageError, match=r"^Run x is failed, which is final; got running\.$"):
        next_state("Run x", RUN_TRANSITIONS, RunState.FAILED, RunState.RUNNING)


def test_everything_that_a_run_measured_has_its_column_or_table() -> None:
    details = (EVALUATIONS, *NUMBERED_DETAILS)
    stored = {*RESULT_COLUMNS, *(detail.field for detail in details), "predictions", "gate_values", "costs"}
    assert stored == set(RunResult.model_fields)
    assert {*RESULT_COLUMNS.values(), *Costs.model_fields} <= set(RunRow.__table__.columns.keys())
    for detail in details:
        assert set(detail.record.model_fields) <= set(detail.table.__table__.columns.keys())

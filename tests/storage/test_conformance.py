"""What every database must do alike; SQLite and a PostgreSQL that the tests start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from faults.invariants import check_complete, check_mirror
from faults.simulated_study import simulate
from sqlalchemy import update

from unipelt_search.errors import RunLostError, StorageError, StudyChangedError, StudyExistsError, StudyNotFoundError
from unipelt_search.records.history import EDITION, DroppedMethod, RunState, StudyState, TaskSummary, TrialState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import RunResult
from unipelt_search.records.row_origins import RowOrigins, RowSource
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.storage.connection import database_now
from unipelt_search.storage.owners import new_owner
from unipelt_search.storage.store import StudyStore
from unipelt_search.storage.tables import PREFIX, VERSION_TABLE, AttemptRow, Row

ODD = "größer 🎉 a\x00b caf\udce9 '; DROP TABLE ups_study; --"
ORIGINS = (
    RowOrigins(
        split="select",
        sources=(RowSource(name="größer 🎉.csv", unit="line"), RowSource(name="b.parquet", unit="row")),
        source_of=(0, 1, 1, 0, 0),
        numbers=(2, 1, 9, 2**40, 7),
    ),
    RowOrigins(split="test", sources=(RowSource(name="test", unit="row"),), source_of=(0,), numbers=(1,)),
)
SHOWN = "größer 🎉 a\\x00b caf\\udce9 '; DROP TABLE ups_study; --"


@pytest.fixture
def any_store(database_url: str) -> Iterator[StudyStore]:
    opened = StudyStore.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def study(any_store: StudyStore, study_spec: Callable[..., StudySpec], task: TaskSummary) -> str:
    return any_store.studies.create(study_spec("first"), task, {"torch": "2.13.0"}, ODD, ORIGINS)


def test_a_study_comes_back_as_it_was_written(
    any_store: StudyStore,
    study: str,
    study_spec: Callable[..., StudySpec],
    task: TaskSummary,
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    run = any_store.runs.add_trial(study, trial_spec("unipelt_apl"), "screen", "published", number=0)
    attempt = any_store.attempts.start(run.id, "me")
    for row in run_result().evaluations[:2]:
        any_store.runs.record_evaluation(run.id, attempt, row)
        any_store.runs.record_evaluation(run.id, attempt, row)
    any_store.runs.finish(run.id, attempt, run_result(2 / 3))
    failed = any_store.runs.add(study, 0, "confirm", 1)
    any_store.runs.fail(failed.id, any_store.attempts.start(failed.id, "me"), ODD + "x" * 100_000)
    odd = Notice(code="odd", severity="warning", values={"text": ODD, "list": (ODD, 1, None), "rate": 0.1})
    any_store.studies.add_notice(study, odd)
    any_store.studies.add_notice(study, odd)
    any_store.studies.add_dropped(study, DroppedMethod(method="head", phase="tune", reason=odd))
    any_store.studies.add_seconds(study, 0.1)
    any_store.studies.set_state(study, StudyState.RUNNING, "confirm")
    record = any_store.studies.load("first")
    assert (record.spec, record.task, record.command) == (study_spec("first"), task, SHOWN)
    assert record.origins == ORIGINS
    assert any_store.studies.load("first", details=False).origins == ()
    assert record.created.tzinfo is not None
    assert (record.phase, record.wall_seconds, record.edition) == ("confirm", 0.1, EDITION)
    shown = Notice(code="odd", severity="warning", values={"text": SHOWN, "list": (SHOWN, 1, None), "rate": 0.1})
    assert (record.notices, [drop.reason for drop in record.dropped]) == ((shown,), [shown])
    (trial,) = record.trials
    assert (trial.spec, trial.state, trial.value) == (trial_spec("unipelt_apl"), TrialState.COMPLETE, 2 / 3)
    assert [run.result for run in trial.runs] == [run_result(2 / 3), None]
    assert (trial.runs[1].error or "") == SHOWN + "x" * 100_000
    assert [line.name for line in any_store.studies.lines()] == ["first"]


def test_a_simulated_study_has_the_same_leaderboard_on_every_database(database_url: str, tmp_path: Path) -> None:
    boards = []
    for name, url in (("any", database_url), ("sqlite", f"sqlite:///{tmp_path}/other.db")):
        simulate(url, tmp_path / f"{name}.acknowledged", step_seconds=0.0, trials=4, seeds=1, workers=1)
        store = StudyStore.open(url)
        boards.append(check_complete(store, tmp_path / f"{name}.acknowledged"))
        check_mirror(store)
        store.close()
    assert boards[0] == boards[1]


def test_names_are_unique_and_deleting_takes_everything(
    any_store: StudyStore,
    study: str,
    study_spec: Callable[..., StudySpec],
    task: TaskSummary,
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    with pytest.raises(StudyExistsError, match="--name must be new"):
        any_store.studies.create(study_spec("first"), task, {}, "")
    run = any_store.runs.add_trial(study, trial_spec(), "screen", "published")
    any_store.runs.finish(run.id, any_store.attempts.start(run.id, "me"), run_result())
    any_store.studies.delete("first")
    with any_store._database.session() as session:
        counts = {name: session.query(table).count() for name, table in Row.metadata.tables.items()}
    assert set(counts.values()) == {0}
    with pytest.raises(StudyNotFoundError):
        any_store.studies.load("first")
    with pytest.raises(StorageError, match="none with the id"):
        any_store.runs.add_trial(study, trial_spec(), "screen", "published")


def test_leases_end_by_the_databases_clock(
    any_store: StudyStore, study: str, trial_spec: Callable[..., TrialSpec], run_result: Callable[..., RunResult]
) -> None:
    silent, mine = (any_store.runs.add_trial(study, trial_spec(), "screen", "published").id for _ in range(2))
    with any_store._database.session() as session:
        assert abs(database_now(session) - datetime.now(UTC)) < timedelta(minutes=5)
    any_store.attempts.start(silent, "silent")
    with any_store._database.session(write=True) as session:
        session.execute(update(AttemptRow).values(lease_expires=database_now(session) - timedelta(seconds=1)))
    owner = new_owner()
    any_store.attempts.start(mine, owner)
    assert any_store.attempts.renew(owner) == 1
    assert any_store.attempts.requeue_expired(study) == 1
    assert any_store.attempts.owners(study) == {owner}
    for late in (
        lambda: any_store.runs.finish(silent, 1, run_result()),
        lambda: any_store.runs.fail(silent, 1, "x"),
        lambda: any_store.runs.record_evaluation(silent, 1, run_result().evaluations[0]),
    ):
        with pytest.raises(RunLostError):
            late()
    assert any_store.attempts.start(silent, "next") == 2
    assert any_store.attempts.release_all(study, owner) == 1
    assert any_store.studies.load("first").state is StudyState.RUNNING
    assert any_store.attempts.release_all(study, "next") == 1
    assert any_store.studies.load("first").state is StudyState.STOPPED


def test_of_drivers_that_claim_at_once_one_gets_each_run(
    any_store: StudyStore, study: str, database_url: str, trial_spec: Callable[..., TrialSpec]
) -> None:
    drivers, rounds = 3, 5
    barrier = Barrier(drivers)

    def claim(driver: int) -> list[tuple[str, int]]:
        store = StudyStore.open(database_url)
        claimed = []
        for number in range(rounds):
            barrier.wait()
            try:
                run_id = store.runs.add_trial(study, trial_spec(), "tune", "tpe", number=number).id
            except StudyChangedError:
                run_id = store.studies.load("first", details=False).trials[number].runs[0].id
            barrier.wait()
            try:
                claimed.append((run_id, store.attempts.start(run_id, f"driver {driver}")))
            except StudyChangedError:
                continue
        store.close()
        return claimed

    with ThreadPoolExecutor(drivers) as pool:
        claims = Counter(claim for claims in pool.map(claim, range(drivers)) for claim in claims)
    assert set(claims.values()) == {1}
    trials = any_store.studies.load("first").trials
    assert [trial.number for trial in trials] == list(range(rounds))
    assert sorted(claims) == sorted((trial.runs[0].id, 1) for trial in trials)
    assert {trial.runs[0].state for trial in trials} == {RunState.RUNNING}


def test_processes_that_open_an_empty_database_at_once_make_its_tables_once(database_url: str) -> None:
    openers = 4
    barrier = Barrier(openers)

    def open_and_close(_: int) -> int:
        barrier.wait()
        store = StudyStore.open(database_url)
        try:
            return len(store.studies.lines())
        finally:
            store.close()

    with ThreadPoolExecutor(openers) as pool:
        assert list(pool.map(open_and_close, range(openers))) == [0] * openers


def test_alembic_finds_nothing_to_change(any_store: StudyStore) -> None:
    with any_store._database.session() as session:
        context = MigrationContext.configure(
            session.connection(),
            opts={
                "version_table": VERSION_TABLE,
                "include_name": lambda name, kind, _: kind != "table" or name.startswith(PREFIX),
            },
        )
        assert compare_metadata(context, Row.metadata) == []

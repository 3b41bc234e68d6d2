from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from unipelt_search.errors import RunLostError, StorageError, StudyChangedError
from unipelt_search.records.history import EarlierAttempts, RunState, StudyState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import RunResult
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.storage.connection import database_now
from unipelt_search.storage.owners import new_owner
from unipelt_search.storage.store import StudyStore
from unipelt_search.storage.tables import AttemptRow, EvaluationTableRow


@pytest.fixture
def study(create: Callable[..., str]) -> str:
    return create()


@pytest.fixture
def waiting(store: StudyStore, study: str, trial_spec: Callable[..., TrialSpec]) -> list[str]:
    return [store.runs.add_trial(study, trial_spec(), "screen", "published").id for _ in range(3)]


def leases(store: StudyStore) -> dict[str, datetime | None]:
    with store._database.session() as session:
        rows = session.scalars(select(AttemptRow)).all()
    return {row.owner: row.lease_expires for row in rows}


def set_leases(store: StudyStore, moment: datetime | None) -> None:
    with store._database.session(write=True) as session:
        session.execute(update(AttemptRow).values(lease_expires=moment))


def states(store: StudyStore) -> list[RunState]:
    return [trial.runs[0].state for trial in store.studies.load("first").trials]


def test_a_lease_ends_by_the_databases_clock_and_is_renewed_by_its_owner_only(
    store: StudyStore, waiting: list[str]
) -> None:
    with store._database.session() as session:
        began = database_now(session)
    assert abs(began - datetime.now(UTC)) < timedelta(minutes=5)
    store.attempts.start(waiting[0], "me", 100.0)
    store.attempts.start(waiting[1], "you", 100.0)
    before = leases(store)
    assert timedelta(seconds=99) < (before["me"] or began) - began < timedelta(seconds=160)
    assert store.attempts.renew("me", 10_000.0) == 1
    after = leases(store)
    assert (after["me"] or began) - began > timedelta(seconds=9_999)
    assert after["you"] == before["you"]
    assert store.attempts.renew("nobody") == 0


@pytest.mark.parametrize("expires", [None, datetime(2000, 1, 1, tzinfo=UTC)])
def test_only_runs_whose_lease_is_over_are_released(
    store: StudyStore, study: str, waiting: list[str], expires: datetime | None
) -> None:
    store.attempts.start(waiting[0], "silent")
    set_leases(store, expires)
    store.attempts.start(waiting[1], "me")
    assert store.attempts.requeue_expired(study) == 1
    assert states(store) == [RunState.WAITING, RunState.RUNNING, RunState.WAITING]
    assert store.attempts.owners(study) == {"me"}
    assert store.attempts.requeue_expired(study) == 0


def test_a_run_of_a_process_that_is_gone_is_released_at_once(store: StudyStore, study: str, waiting: list[str]) -> None:
    host, place, pid, started, word = new_owner().split("|")
    store.attempts.start(waiting[0], "|".join([host, place, pid, f"{int(started) - 1}", word]))
    store.attempts.start(waiting[1], new_owner())
    assert store.attempts.requeue_expired(study) == 1
    assert states(store) == [RunState.WAITING, RunState.RUNNING, RunState.WAITING]


def test_a_taken_run_refuses_its_old_attempt_and_its_old_owner_renews_nothing(
    store: StudyStore, study: str, waiting: list[str], run_result: Callable[..., RunResult]
) -> None:
    attempt = store.attempts.start(waiting[0], "slow")
    set_leases(store, datetime(2000, 1, 1, tzinfo=UTC))
    store.attempts.requeue_expired(study)
    assert store.attempts.renew("slow") == 0
    assert store.attempts.start(waiting[0], "quick") == attempt + 1
    for late in (
        lambda: store.runs.record_evaluation(waiting[0], attempt, run_result().evaluations[0]),
        lambda: store.runs.finish(waiting[0], attempt, run_result()),
        lambda: store.runs.fail(waiting[0], attempt, "x"),
    ):
        with pytest.raises(RunLostError, match="Discard what this attempt did"):
            late()
    with pytest.raises(StudyChangedError, match="another driver has started"):
        store.attempts.start(waiting[0], "slow")
    store.runs.finish(waiting[0], attempt + 1, run_result())
    with pytest.raises(StudyChangedError, match="another driver has started"):
        store.attempts.start(waiting[0], "slow")


def test_leaving_releases_ones_own_runs_and_stops_a_study_that_nobody_works_on(
    store: StudyStore, study: str, waiting: list[str]
) -> None:
    store.attempts.start(waiting[0], "me")
    store.attempts.start(waiting[1], "you")
    assert store.attempts.release_all(study, "me") == 1
    assert states(store) == [RunState.WAITING, RunState.RUNNING, RunState.WAITING]
    assert store.studies.load("first").state is StudyState.RUNNING
    assert store.attempts.release_all(study, "you") == 1
    assert store.studies.load("first").state is StudyState.STOPPED
    assert store.attempts.release_all(study, "you") == 0
    with pytest.raises(StorageError, match="none with the id gone"):
        store.attempts.release_all("gone", "me")


def test_a_study_that_was_completed_meanwhile_stays_complete(store: StudyStore, study: str) -> None:
    store.studies.set_state(study, StudyState.COMPLETE)
    assert store.attempts.release_all(study, "me") == 0
    assert store.studies.load("first").state is StudyState.COMPLETE


def test_a_trial_gets_the_number_that_was_expected_or_none(
    store: StudyStore, study: str, waiting: list[str], trial_spec: Callable[..., TrialSpec]
) -> None:
    with pytest.raises(StudyChangedError, match=r"must have the number 2; another driver has added 3"):
        store.runs.add_trial(study, trial_spec(), "tune", "tpe", number=2)
    assert store.runs.add_trial(study, trial_spec(), "tune", "tpe", number=3).trial == 3
    store.runs.add(study, 0, "confirm", 1)
    with pytest.raises(StudyChangedError, match="has one of index 1"):
        store.runs.add(study, 0, "confirm", 1)


def attempts(store: StudyStore, run_id: str) -> list[tuple[object, ...]]:
    with store._database.session() as session:
        rows = session.scalars(select(AttemptRow).filter_by(run_id=run_id).order_by(AttemptRow.number)).all()
        return [(row.state, row.error, row.checkpoint_path, row.checkpoint_step) for row in rows]


def evaluated(store: StudyStore, run_id: str) -> list[int]:
    with store._database.session() as session:
        return sorted(session.scalars(select(EvaluationTableRow.step).filter_by(run_id=run_id)))


def test_an_attempt_goes_on_from_the_checkpoint_of_the_one_before_and_keeps_the_evaluations_up_to_it(
    store: StudyStore, study: str, waiting: list[str], run_result: Callable[..., RunResult]
) -> None:
    run, (first, second, third) = waiting[0], run_result().evaluations
    attempt = store.attempts.start(run, "me")
    store.runs.record_evaluation(run, attempt, first, "/kept/1")
    store.runs.record_evaluation(run, attempt, second, "/kept/2")
    store.runs.record_evaluation(run, attempt, third)  # its state could not be kept
    store.attempts.release_all(study, "me")
    assert evaluated(store, run) == [first.step, second.step]
    store.attempts.start(run, "you")
    store.attempts.release_all(study, "you")
    assert evaluated(store, run) == [first.step, second.step]
    assert attempts(store, run) == [("interrupted", None, "/kept/2", second.step)] * 2
    assert store.attempts.earlier(run) == EarlierAttempts(failed=0, checkpoint="/kept/2")
    assert store.attempts.checkpoints(study) == {"/kept/2"}
    store.runs.finish(run, store.attempts.start(run, "me"), run_result())
    assert evaluated(store, run) == [first.step, second.step, third.step]
    assert store.attempts.checkpoints(study) == frozenset()


def test_without_a_checkpoint_an_interrupted_run_keeps_no_evaluation(
    store: StudyStore, study: str, waiting: list[str], run_result: Callable[..., RunResult]
) -> None:
    attempt = store.attempts.start(waiting[0], "me")
    for row in run_result().evaluations:
        store.runs.record_evaluation(waiting[0], attempt, row)
    store.attempts.release_all(study, "me")
    assert evaluated(store, waiting[0]) == []


def test_a_failed_attempt_that_is_worth_another_one_leaves_the_run_waiting(
    store: StudyStore, study: str, waiting: list[str], run_result: Callable[..., RunResult]
) -> None:
    run = waiting[0]
    attempt = store.attempts.start(run, "me")
    store.runs.record_evaluation(run, attempt, run_result().evaluations[1], "/kept/2")
    store.attempts.retry(study, run, attempt, "no memory\x00", Notice(code="again"))
    assert states(store)[0] is RunState.WAITING
    assert attempts(store, run) == [("failed", "no memory\\x00", "/kept/2", 80)]
    assert store.attempts.earlier(run) == EarlierAttempts(failed=1, checkpoint="/kept/2")
    with pytest.raises(RunLostError):
        store.attempts.retry(study, run, attempt, "no memory", Notice(code="and_again"))
    assert store.studies.load("first").notices == (Notice(code="again"),)
    store.runs.finish(run, store.attempts.start(run, "me"), run_result())
    assert store.studies.load("first").trials[0].runs[0].error is None

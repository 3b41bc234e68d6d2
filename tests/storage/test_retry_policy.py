from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable

import psycopg
import pymysql
import pytest
from faults.postgresql import Server
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, PendingRollbackError

from unipelt_search.errors import StorageError, TransientError
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.specs.study import StudySpec
from unipelt_search.storage.retry_policy import RetryPolicy, is_transient
from unipelt_search.storage.store import StudyStore


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (OperationalError("SELECT 1", {}, psycopg.errors.AdminShutdown("terminating connection")), True),
        (OperationalError("SELECT 1", {}, psycopg.errors.CannotConnectNow("is starting up")), True),
        (OperationalError("SELECT 1", {}, psycopg.errors.TooManyConnections("sorry")), True),
        (OperationalError("UPDATE x", {}, psycopg.errors.DeadlockDetected("deadlock")), True),
        (OperationalError(None, None, psycopg.OperationalError("connection refused")), True),
        (OperationalError("SELECT 1", {}, psycopg.OperationalError("?"), connection_invalidated=True), True),
        (OperationalError("UPDATE x", {}, psycopg.errors.DiskFull("no space")), False),
        (OperationalError("SELECT 1", {}, psycopg.errors.QueryCanceled("timeout")), False),
        (IntegrityError("INSERT x", {}, psycopg.errors.UniqueViolation("twice")), False),
        (OperationalError("SELECT 1", {}, pymysql.err.OperationalError(2013, "Lost connection")), True),
        (OperationalError("UPDATE x", {}, pymysql.err.OperationalError(1213, "Deadlock found")), True),
        (OperationalError("SELECT 1", {}, pymysql.err.OperationalError(1054, "Unknown column")), False),
        (InterfaceError("SELECT 1", {}, pymysql.err.InterfaceError(0, ""), connection_invalidated=True), True),
        (PendingRollbackError("Can't reconnect until invalid transaction is rolled back."), True),
        (OperationalError(None, None, sqlite3.OperationalError("unable to open database file")), False),
        (OperationalError("BEGIN", {}, sqlite3.OperationalError("database is locked")), False),
        (ValueError("no answer of a database"), False),
    ],
)
def test_what_may_be_asked_again(error: DBAPIError, transient: bool) -> None:
    assert is_transient(error) is transient


def failing(times: int) -> Callable[[bool], list[bool]]:
    """Return work that fails so many times, and then answers what it was called with."""
    calls: list[bool] = []

    def work(again: bool) -> list[bool]:
        calls.append(again)
        if len(calls) <= times:
            raise TransientError("away")
        return calls

    return work


def test_work_is_done_again_until_the_database_answers() -> None:
    assert RetryPolicy("somewhere").run(failing(3)) == [False, True, True, True]


def test_another_error_is_not_waited_out() -> None:
    with pytest.raises(StorageError, match="full"):
        RetryPolicy("somewhere").retry(lambda: (_ for _ in ()).throw(StorageError("full")))


def test_patience_that_has_ended_stays_so() -> None:
    retry_policy = RetryPolicy("somewhere", seconds=0.1)
    with pytest.raises(TransientError, match="away It was waited for 0 s"):
        retry_policy.run(failing(100))
    began = time.monotonic()
    with pytest.raises(TransientError, match="away$"):
        retry_policy.run(failing(100))  # what lets go of everything on the way out must not wait again
    assert retry_policy.run(failing(0)) == [False]
    with pytest.raises(TransientError, match="away$"):
        retry_policy.run(failing(1))
    assert time.monotonic() - began < 1


def test_a_long_wait_is_told_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipelt_search.storage.retry_policy._QUIET_SECONDS", 0.0)
    retry_policy, notified = RetryPolicy("sql://here"), []
    retry_policy.notify = notified.append
    retry_policy.run(failing(3))
    assert notified == [
        "Waiting for the study database, for 10 min at most. away",
        "The study database sql://here is back",
    ]


def test_whoever_waits_can_be_told_to_give_up() -> None:
    retry_policy = RetryPolicy("somewhere")
    threading.Timer(0.2, retry_policy.stop_waiting).start()
    began = time.monotonic()
    with pytest.raises(TransientError):
        retry_policy.run(failing(10**6))
    assert time.monotonic() - began < 30


def test_a_store_waits_for_a_server_that_is_started_again(
    own_postgresql: Server, study_spec: Callable[..., StudySpec], task: TaskSummary
) -> None:
    with own_postgresql.database() as url:
        store = StudyStore.open(url)
        study = store.studies.create(study_spec("first"), task, {}, "")
        own_postgresql.stop()
        starter = threading.Timer(0.5, own_postgresql.start)
        starter.start()
        store.studies.add_notice(study, Notice(code="after_restart"))
        assert store.studies.load("first").notices == (Notice(code="after_restart"),)
        starter.join()
        store.close()


def test_after_an_outage_others_get_the_time_to_renew(
    own_postgresql: Server, study_spec: Callable[..., StudySpec], task: TaskSummary, trial_spec: Callable
) -> None:
    with own_postgresql.database() as url:
        store = StudyStore.open(url)
        study = store.studies.create(study_spec("first"), task, {}, "")
        run = store.runs.add_trial(study, trial_spec(), "screen", "published")
        store.attempts.start(run.id, "another machine", lease_seconds=0.01)
        own_postgresql.stop()
        store.retry_policy.stop_waiting()
        with pytest.raises(TransientError, match="must be readable and writable"):
            store.studies.find("first")
        own_postgresql.start()
        assert store.attempts.requeue_expired(study) == 0
        store.close()
        later = StudyStore.open(url)  # a driver that has not seen it
        assert later.attempts.requeue_expired(study) == 1
        later.close()


def test_opening_does_not_wait(own_postgresql: Server) -> None:
    with own_postgresql.database() as url:
        own_postgresql.stop()
        try:
            with pytest.raises(StorageError, match="must be readable and writable; it responded"):
                StudyStore.open(url)
        finally:
            own_postgresql.start()

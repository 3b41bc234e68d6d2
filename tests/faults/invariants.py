"""What must hold of a simulated study after any fault, read from the database and the acknowledgements alone."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import optuna
from faults.simulated_study import FAILS, METHODS, NAME, answered_by, kept_folder
from sqlalchemy import make_url

from unipelt_search.records.history import RunRecord, RunState, StudyRecord, StudyState
from unipelt_search.records.results import RunResult
from unipelt_search.storage.store import StudyStore


def check_acknowledged(record: StudyRecord, acknowledged: Path) -> None:
    """No finished run is lost or changed, none finished twice or by an attempt that lost it, and numbers are dense."""
    runs = {run.id: run for trial in record.trials for run in trial.runs}
    lines = acknowledged.read_text(encoding="utf-8").split("\n") if acknowledged.exists() else []
    done = [line.split() for line in lines if line.startswith(("done ", "failed "))]
    times = Counter(run_id for _, run_id, *_ in done)
    assert {run_id: count for run_id, count in times.items() if count > 1} == {}, "a run was done twice"
    for how, run_id, attempt, value, _ in done:
        run, stays = runs[run_id], (RunState.COMPLETE, float(value)) if how == "done" else (RunState.FAILED, None)
        found = (run.state, run.result.tune if run.result else None)
        assert (found, run.attempt) == (stays, int(attempt)), "a finished run was lost or changed"
    stale = [run.id for run in runs.values() if run.result and answered_by(run.result) != run.attempt]
    assert not stale, "an answer was accepted from an attempt that had lost its run"
    claims = [tuple(line.split()[1:3]) for line in lines if line.startswith("began ")]
    assert len(claims) == len(set(claims)), "an attempt was handed out twice"
    assert [trial.number for trial in record.trials] == list(range(len(record.trials)))
    assert len(record.trials) <= record.spec.budget.trials
    for trial in record.trials:
        indices = [run.seed_index for run in trial.runs]
        assert indices == list(range(len(indices)))


def check_no_step_twice(acknowledged: Path) -> None:
    """What a run had kept before its driver was killed is not done again."""
    lines = acknowledged.read_text(encoding="utf-8").splitlines() if acknowledged.exists() else []
    steps = Counter((run_id, what) for what, run_id, *_ in map(str.split, lines) if what.startswith("step-"))
    assert {step: count for step, count in steps.items() if count > 1} == {}, "a kept step was done twice"


def check_complete(store: StudyStore, acknowledged: Path) -> str:
    """Check everything of a study that has ended; returns the hash of its leaderboard and of all that it rests on."""
    record = store.studies.load(NAME)
    assert record.state is StudyState.COMPLETE
    check_acknowledged(record, acknowledged)
    runs = [run for trial in record.trials for run in trial.runs]
    assert len(runs) == record.spec.budget.trials + len(METHODS) * record.spec.budget.seeds
    failed = [(trial.method, run.seed_index) for trial in record.trials for run in trial.runs if run.error]
    assert failed == [FAILS]
    assert sum(run.state is RunState.COMPLETE for run in runs) == len(runs) - 1
    assert store.attempts.owners(record.id) == frozenset()
    assert not (kept_folder(acknowledged) / "running").exists(), "a finished run has left its state"
    rows = [
        (trial.number, trial.method, trial.spec.content_hash(), trial.phase, trial.state, trial.value,
         [(run.seed_index, _whoever_answered(run)) for run in trial.runs])
        for trial in record.trials
    ]  # fmt: skip
    return hashlib.sha256(repr((rows, record.dropped, record.notices)).encode()).hexdigest()


def _whoever_answered(run: RunRecord) -> RunResult | None:
    """Return a run's answer as if its first attempt had given it."""
    if run.result is None:
        return None
    costs = run.result.costs.model_copy(update={"examples_trained": 1})
    return run.result.model_copy(update={"costs": costs})


def check_file(url: str) -> None:
    """SQLite finds its file whole; others look after themselves."""
    if not url.startswith("sqlite"):
        return
    with closing(sqlite3.connect(make_url(url).database or "")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def check_mirror(store: StudyStore) -> None:
    """Optuna's study says what our tables say."""
    record = store.studies.load(NAME, details=False)
    mirror = optuna.load_study(study_name=NAME, storage=store._mirror._storage)
    found = [(trial.state.name, trial.value, trial.params["method"]) for trial in mirror.trials]
    assert found == [("COMPLETE", trial.value, trial.method) for trial in record.trials]

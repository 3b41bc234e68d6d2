from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text

from unipelt_search.errors import StorageError, StudyNotFoundError
from unipelt_search.records.history import DroppedMethod, RunState, StudyState, TaskSummary, TrialState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import RunResult
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.storage.store import StudyStore

OUR_TABLES = (
    "study", "trial", "run", "attempt", "evaluation", "gate", "gate_values", "ablation", "outcome", "dropped", "notice",
    "prediction",
)  # fmt: skip


def count_rows(url: str) -> dict[str, int]:
    engine = create_engine(url)
    with engine.connect() as connection:
        counts = {name: connection.scalar(text(f"SELECT count(*) FROM ups_{name}")) for name in OUR_TABLES}
    engine.dispose()
    return counts


def test_a_study_comes_back_as_it_was_created(
    store: StudyStore, study_spec: Callable[..., StudySpec], task: TaskSummary
) -> None:
    before = datetime.now(UTC)
    study = store.studies.create(study_spec(), task, {"torch": "2.13.0"}, "unipelt-search run --name first")
    record = store.studies.load("first")
    assert (record.id, record.spec, record.task) == (study, study_spec(), task)
    assert record.software == {"torch": "2.13.0"}
    assert record.command == "unipelt-search run --name first"
    assert (record.state, record.phase, record.wall_seconds) == (StudyState.RUNNING, "screen", 0.0)
    assert (record.trials, record.dropped, record.notices) == ((), (), ())
    assert record.created.utcoffset() == timedelta(0)
    assert before <= record.created <= datetime.now(UTC)
    assert store.studies.find("first") == study
    assert store.studies.find("second") is None


def test_a_result_comes_back_equal_after_the_store_was_closed(
    store: StudyStore,
    url: str,
    create: Callable[..., str],
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    study = create()
    search = store.runs.add_trial(study, trial_spec("unipelt_apl"), "screen", "published")
    store.runs.finish(search.id, store.attempts.start(search.id, "me"), run_result(0.75, confirmed=False))
    confirm = store.runs.add(study, 0, "confirm", 1)
    attempt = store.attempts.start(confirm.id, "me")
    for row in run_result().evaluations[:2]:
        store.runs.record_evaluation(confirm.id, attempt, row)
        store.runs.record_evaluation(confirm.id, attempt, row)
    store.runs.finish(confirm.id, attempt, run_result())
    store.close()

    again = StudyStore.open(url, create=False)
    trial = again.studies.load("first").trials[0]
    assert (trial.spec, trial.method, trial.origin) == (trial_spec("unipelt_apl"), "unipelt_apl", "published")
    assert (trial.state, trial.value, trial.phase) == (TrialState.COMPLETE, 0.75, "confirm")
    assert [run.result for run in trial.runs] == [run_result(0.75, confirmed=False), run_result()]
    assert [(run.phase, run.seed_index, run.attempt) for run in trial.runs] == [("screen", 0, 1), ("confirm", 1, 1)]
    fast = again.studies.load("first", details=False).trials[0].runs[1].result
    details = {"evaluations": (), "gates": (), "gate_values": None, "ablation": (), "outcomes": (), "predictions": ()}
    assert fast == run_result().model_copy(update=details)
    again.close()


def test_trial_numbers_are_dense_within_each_study(
    store: StudyStore, create: Callable[..., str], trial_spec: Callable[..., TrialSpec]
) -> None:
    first, second = create("first"), create("second")
    numbers = [
        store.runs.add_trial(study, trial_spec(learning_rate=10.0**-at), "screen", "published").trial
        for at, study in enumerate([first, second, first, first, second], start=1)
    ]
    assert numbers == [0, 0, 1, 2, 1]
    assert [trial.number for trial in store.studies.load("first").trials] == [0, 1, 2]
    learning_rates = [trial.spec.training.learning_rate for trial in store.studies.load("first").trials]
    assert learning_rates == pytest.approx([1e-1, 1e-3, 1e-4])


def test_only_allowed_changes_of_a_run_are_made(
    store: StudyStore,
    create: Callable[..., str],
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    run = store.runs.add_trial(create(), trial_spec(), "tune", "tpe")
    with pytest.raises(StorageError, match="running run may write"):
        store.runs.finish(run.id, 0, run_result())
    assert store.attempts.start(run.id, "me") == 1
    with pytest.raises(StorageError, match="another driver has started run"):
        store.attempts.start(run.id, "you")
    with pytest.raises(StorageError, match="attempt 2 of run"):
        store.runs.fail(run.id, 2, "out of memory")
    store.runs.finish(run.id, 1, run_result())
    for late in (
        lambda: store.runs.finish(run.id, 1, run_result(0.1)),
        lambda: store.runs.fail(run.id, 1, "late"),
        lambda: store.runs.record_evaluation(run.id, 1, run_result().evaluations[0]),
        lambda: store.attempts.start(run.id, "me"),
    ):
        with pytest.raises(StorageError):
            late()
    with pytest.raises(StorageError, match="none with the id nobody"):
        store.attempts.start("nobody", "me")
    trial = store.studies.load("first").trials[0]
    assert (trial.value, trial.runs[0].result, trial.runs[0].error) == (0.75, run_result(), None)


def test_released_runs_wait_again_and_refuse_their_old_attempt(
    store: StudyStore,
    create: Callable[..., str],
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
    url: str,
) -> None:
    study, other = create("first"), create("other")
    done, dead, waiting = (store.runs.add_trial(study, trial_spec(), "screen", "published") for _ in range(3))
    elsewhere = store.runs.add_trial(other, trial_spec(), "screen", "published")
    store.runs.finish(done.id, store.attempts.start(done.id, "me"), run_result())
    attempt = store.attempts.start(dead.id, "me")
    store.attempts.start(elsewhere.id, "me")
    store.runs.record_evaluation(dead.id, attempt, run_result().evaluations[0])
    assert count_rows(url)["evaluation"] == 4

    assert store.attempts.release_all(study, "me") == 1
    assert store.attempts.release_all(study, "me") == 0
    assert count_rows(url)["evaluation"] == 3
    states = [trial.runs[0].state for trial in store.studies.load("first").trials]
    assert states == [RunState.COMPLETE, RunState.WAITING, RunState.WAITING]
    assert store.studies.load("other").trials[0].runs[0].state == RunState.RUNNING
    with pytest.raises(StorageError, match="Discard what this attempt did"):
        store.runs.finish(dead.id, attempt, run_result())
    assert store.attempts.start(dead.id, "you") == 2
    with pytest.raises(StorageError, match="attempt 1 of run .* running with attempt 2"):
        store.runs.finish(dead.id, attempt, run_result())
    store.runs.finish(dead.id, 2, run_result(0.5))
    assert store.studies.load("first").trials[1].value == 0.5
    engine = create_engine(url)
    with engine.connect() as connection:
        attempts = connection.execute(
            text("SELECT number, owner, state, ended IS NULL FROM ups_attempt WHERE run_id = :run ORDER BY number"),
            {"run": dead.id},
        ).all()
    engine.dispose()
    assert [tuple(row) for row in attempts] == [(1, "me", "interrupted", 0), (2, "you", "complete", 0)]


def test_deleting_leaves_nothing_of_the_study_and_the_other_untouched(
    store: StudyStore,
    url: str,
    create: Callable[..., str],
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    for name in ("first", "second"):
        study = create(name)
        run = store.runs.add_trial(study, trial_spec(), "screen", "published")
        store.runs.finish(run.id, store.attempts.start(run.id, "me"), run_result())
        store.studies.add_notice(study, Notice(code="x"))
        store.studies.add_dropped(study, DroppedMethod(method="head", phase="tune", reason=Notice(code="x")))
    before, kept = count_rows(url), store.studies.load("second")
    store.studies.delete("first")
    assert count_rows(url) == {name: count // 2 for name, count in before.items()}
    assert store.studies.load("second") == kept
    assert [line.name for line in store.studies.lines()] == ["second"]
    with pytest.raises(StudyNotFoundError):
        store.studies.delete("first")
    assert store.studies.load(kept.spec.name).id != create("first")


_WRITER = """
import sys
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.storage.store import StudyStore
store = StudyStore.open(sys.argv[1])
study = store.studies.find("first")
spec = TrialSpec(method="lora", training=TrainingSpec(learning_rate=1e-3, steps=9), lora=LoraSpec())
for _ in range(10):
    run = store.runs.add_trial(study, spec, "tune", "tpe")
    store.runs.fail(run.id, store.attempts.start(run.id, sys.argv[2]), "x")
"""


def test_two_processes_write_at_once_without_losing_a_trial(
    store: StudyStore, url: str, create: Callable[..., str]
) -> None:
    study = create()
    command = [sys.executable, "-c", _WRITER, url]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in "ab"]
    errors = [writer.communicate(timeout=50)[1] for writer in writers]
    assert errors == [b"", b""]
    trials = store.studies.load("first").trials
    assert [trial.number for trial in trials] == list(range(20))
    assert {trial.state for trial in trials} == {TrialState.FAILED}
    assert store.attempts.owners(study) == frozenset()


def test_reading_a_study_loads_neither_torch_nor_transformers_nor_ray() -> None:
    code = (
        "import sys, unipelt_search.storage.store\n"
        "print({'torch', 'transformers', 'ray'} & set(sys.modules), 'optuna' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split("\n")[0] == "set() True"


def test_a_trials_variant_is_kept(
    store: StudyStore, create: Callable[..., str], trial_spec: Callable[..., TrialSpec]
) -> None:
    study = create()
    store.runs.add_trial(study, trial_spec("lora"), "screen", "given", variant="mine")
    store.runs.add_trial(study, trial_spec("lora"), "screen", "published")
    trials = store.studies.load("first").trials
    assert [(trial.name, trial.variant, trial.origin) for trial in trials] == [
        ("mine", "mine", "given"), ("lora", None, "published"),
    ]  # fmt: skip

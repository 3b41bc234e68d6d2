"""The driver over a real database, with made-up answers instead of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from unipelt_search.errors import NoUsableTrialError
from unipelt_search.records.history import RunState, StudyState
from unipelt_search.records.results import EvaluationRow
from unipelt_search.search.driver import EQUAL_FAILURES, FINISHED, Driver
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.variants import Variant
from unipelt_search.storage.store import StudyStore

pytestmark = pytest.mark.usefixtures("all_plausible")


class Time:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    return StudyStore.open(f"sqlite:///{tmp_path}/studies.db")


@pytest.fixture
def create(store: StudyStore, spec, task):
    def make(**budget) -> str:
        return store.create_study(spec(**budget), task, {}, "")

    return make


def work(driver: Driver, result, *, clock: Time | None = None, fail=lambda assignment: None, limit: int = 1000):
    """Execute what is assigned, one run after another."""
    done = []
    while len(done) < limit and (assignment := driver.next_run()) is not FINISHED:
        assert assignment is not None
        done.append(assignment)
        if clock:
            clock.now += 10.0
        if message := fail(assignment):
            driver.on_error(assignment.run_id, assignment.attempt, message)
            continue
        row = EvaluationRow(step=5, epoch=1.0, train_loss=0.5, value=0.5, seconds=10.0)
        driver.on_evaluation(assignment.run_id, assignment.attempt, row)
        driver.on_result(assignment.run_id, assignment.attempt, result(0.5, confirm=assignment.run.confirm))
    return done


def test_a_study_runs_to_its_end(store, create, result, tmp_path: Path) -> None:
    create(trials=4, seeds=2)
    clock, shown = Time(), []
    driver = Driver(store, "toy", workers=1, watch=shown.append, checkpoints=tmp_path / "weights", now=clock)
    done = work(driver, result, clock=clock)
    driver.conclude()

    assert len(done) == 4 + 3 * 2
    record = store.load("toy")
    assert record.state is StudyState.COMPLETE
    assert record.phase == "confirm"
    assert record.wall_seconds == 100.0
    assert record.trials == tuple(sorted(record.trials, key=lambda trial: trial.number))
    confirm = done[4:]
    assert [assignment.run.ablation for assignment in confirm] == [True] * 3 + [False] * 3
    assert all(assignment.run.confirm for assignment in confirm)
    assert [assignment.run.seeds for assignment in (done[0], done[3])] == [run_seeds(0, 0)] * 2
    assert confirm[-1].run.seeds == run_seeds(0, 2)
    assert confirm[0].checkpoint == tmp_path / "weights" / f"trial-{confirm[0].label.split()[1]}"
    assert [assignment.checkpoint for assignment in done[:4] + confirm[3:]] == [None] * 7
    assert shown[0].event == "trial 0 head (screen) began"
    assert shown[1].event == "trial 0 head (screen): 0.500 at step 5"
    assert shown[1].running == ("trial 0 head (screen)",)
    assert shown[2].event == "trial 0 head (screen) scored 0.500"
    assert (shown[-1].event, shown[-1].runs_done, shown[-1].seconds_elapsed) == ("The study is complete", 10, 100.0)


def test_no_more_runs_are_started_than_there_are_workers(store, create, result) -> None:
    create(trials=3, seeds=1)
    driver = Driver(store, "toy", workers=2)
    first, second = driver.next_run(), driver.next_run()
    assert driver.next_run() is None
    driver.on_result(first.run_id, first.attempt, result(0.5))
    third = driver.next_run()
    assert [run.run.trial.method for run in (first, second, third)] == ["head", "lora", "unipelt_apl"]
    driver.on_result(second.run_id, second.attempt, result(0.5))
    assert driver.next_run() is None  # confirm waits for the last screen run


def test_a_killed_driver_is_taken_over(store, create, result) -> None:
    create(trials=3, seeds=1)
    dead = Driver(store, "toy", workers=2)
    work(dead, result, limit=1)
    lost = dead.next_run()
    driver = Driver(store, "toy", workers=1)
    again = driver.next_run()
    assert (again.run_id, again.attempt, again.run) == (lost.run_id, lost.attempt + 1, lost.run)
    driver.on_result(again.run_id, again.attempt, result(0.5))
    work(driver, result)
    driver.conclude()
    record = store.load("toy")
    assert record.state is StudyState.COMPLETE
    assert len(record.trials) == 3


def test_interrupting_releases_the_runs(store, create, result) -> None:
    create(trials=3, seeds=1)
    driver = Driver(store, "toy", workers=2)
    driver.next_run()
    driver.interrupt()
    record = store.load("toy")
    assert record.state is StudyState.STOPPED
    assert record.trials[0].runs[0].state is RunState.WAITING


def test_failures_are_kept_and_the_study_goes_on(store, create, result) -> None:
    create(trials=3, seeds=1)
    driver = Driver(store, "toy", workers=1)
    done = work(driver, result, fail=lambda run: "loss is nan" if run.run.trial.method == "lora" else None)
    driver.conclude()
    record = store.load("toy")
    assert record.state is StudyState.COMPLETE
    assert record.trials[1].runs[0].error == "loss is nan"
    assert len(done) == 3 + 2


def test_equal_failures_in_a_row_stop_the_study(store, create, result) -> None:
    create(trials=9, seeds=1)
    driver = Driver(store, "toy", workers=1)
    done = work(driver, result, fail=lambda run: "no memory")
    assert len(done) == EQUAL_FAILURES
    with pytest.raises(NoUsableTrialError, match="none of study 'toy' did. The first cause: no memory"):
        driver.conclude()
    assert store.load("toy").state is StudyState.FAILED


def test_equal_failures_after_a_success_leave_a_stopped_study(store, create, result) -> None:
    create(trials=9, seeds=1)
    driver = Driver(store, "toy", workers=1)
    work(driver, result, limit=1)
    work(driver, result, fail=lambda run: "no memory")
    driver.conclude()
    record = store.load("toy")
    assert record.state is StudyState.STOPPED
    assert record.notices == ("The study was stopped after 5 runs in a row failed alike: no memory",)


def test_different_failures_do_not_stop_the_study(store, create, result) -> None:
    create(trials=9, seeds=1)
    driver = Driver(store, "toy", workers=1)
    done = work(driver, result, fail=lambda run: f"loss is nan in {run.label}")
    assert len(done) == 9


def test_the_start_of_a_cold_worker_is_no_part_of_a_runs_time(store, create, result) -> None:
    create(trials=9, seeds=1)
    clock, shown = Time(), []
    driver = Driver(store, "toy", workers=1, watch=shown.append, now=clock)
    run = driver.next_run()
    clock.now = 50.0
    row = EvaluationRow(step=5, epoch=1.0, train_loss=0.5, value=0.5, seconds=4.0)
    driver.on_evaluation(run.run_id, run.attempt, row)
    clock.now = 51.0
    driver.on_result(run.run_id, run.attempt, result(0.5))
    assert shown[-1].seconds_left == 5.0 * (shown[-1].runs_asked - 1)


def test_the_time_limit_is_noticed(store, create, result) -> None:
    create(trials=9, seeds=5, time_seconds=75.0)
    clock = Time()
    driver = Driver(store, "toy", workers=1, now=clock)
    work(driver, result, clock=clock)
    driver.conclude()
    record = store.load("toy")
    assert record.state is StudyState.COMPLETE
    assert record.wall_seconds <= 75.0
    assert len(record.notices) == 3


def test_a_study_gives_the_same_trials_twice(tmp_path: Path, spec, task, result) -> None:
    trials = []
    for name in ("one", "two"):
        store = StudyStore.open(f"sqlite:///{tmp_path}/{name}.db")
        store.create_study(spec(trials=6, seeds=1), task, {}, "")
        work(Driver(store, "toy", workers=1), result)
        trials.append([(trial.spec, trial.phase, trial.origin) for trial in store.load("toy").trials])
    assert trials[0] == trials[1]


def test_a_study_with_a_variant_stores_and_confirms_it(store: StudyStore, create, result) -> None:
    own = Variant.model_validate({"name": "mine", "method": "lora", "lora": {"rank": 3}})
    create(trials=4, seeds=1, configurations=(own,))
    driver = Driver(store, "toy", workers=1)
    labels = [assignment.label for assignment in work(driver, result)]
    assert labels[3] == "trial 3 mine (screen)"
    assert "trial 3 mine (confirm, seed 1)" in labels
    trial = store.load("toy").trials[3]
    assert (trial.variant, trial.method, trial.spec.lora.rank, trial.origin) == ("mine", "lora", 3, "given")

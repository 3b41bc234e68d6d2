"""The driver over a real database, with made-up results instead of training."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update

from unipelt_search.errors import NoUsableTrialError
from unipelt_search.execution.driver import EQUAL_FAILURES, FINISHED, Driver, DriverSettings, Watch
from unipelt_search.execution.run_messages import RunAssignment
from unipelt_search.records.history import RunState, StudyState
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow, Predictions
from unipelt_search.records.study_event import EventKind
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import MachineSpec
from unipelt_search.specs.variants import Variant
from unipelt_search.storage.store import StudyStore
from unipelt_search.storage.tables import AttemptRow

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
        return store.studies.create(spec(**budget), task, {}, "")

    return make


def make_driver(store: StudyStore, *, workers: int = 1, watch: Watch | None = None, **settings: Any) -> Driver:
    return Driver(store, "toy", workers=workers, watch=watch, settings=DriverSettings(**settings))


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


def expire_leases(store: StudyStore) -> None:
    """Let every lease be over, as if all drivers had been silent for long."""
    with store._database.session(write=True) as session:
        session.execute(update(AttemptRow).values(lease_expires=datetime(2000, 1, 1, tzinfo=UTC)))


def test_a_study_runs_to_its_end(store, create, result, tmp_path: Path) -> None:
    create(trials=4, seeds=2)
    clock, shown = Time(), []
    driver = make_driver(store, workers=1, watch=shown.append, checkpoints=tmp_path / "weights", now=clock)
    done = work(driver, result, clock=clock)
    driver.conclude()

    assert len(done) == 4 + 3 * 2
    record = store.studies.load("toy")
    assert record.state is StudyState.COMPLETE
    assert record.phase == "confirm"
    assert record.wall_seconds == 100.0
    assert record.trials == tuple(sorted(record.trials, key=lambda trial: trial.number))
    confirm = done[4:]
    gated = [assignment.run.trial.gate is not None for assignment in confirm]
    assert any(gated)
    assert not all(gated)
    assert [assignment.run.ablation for assignment in confirm] == gated[:3] + [False] * 3
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


def test_with_redraw_every_confirm_run_has_rows_of_its_own(store, spec, task, result) -> None:
    asked = spec(trials=3, seeds=3)
    resamples = asked.task.model_copy(update={"train_size": 5, "redraw": True})
    store.studies.create(asked.model_copy(update={"task": resamples}), task, {}, "")
    done = work(make_driver(store, workers=1), result)
    assert [assignment.run.draw for assignment in done] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_no_more_runs_are_started_than_there_are_workers(store, create, result) -> None:
    create(trials=3, seeds=1)
    driver = make_driver(store, workers=2)
    first, second = driver.next_run(), driver.next_run()
    assert driver.next_run() is None
    driver.on_result(first.run_id, first.attempt, result(0.5))
    third = driver.next_run()
    assert [run.run.trial.method for run in (first, second, third)] == ["head", "lora", "unipelt_apl"]
    driver.on_result(second.run_id, second.attempt, result(0.5))
    assert driver.next_run() is None  # confirm waits for the last screen run


def test_a_killed_driver_is_taken_over(store, create, result) -> None:
    create(trials=3, seeds=1)
    dead = make_driver(store, workers=2)
    work(dead, result, limit=1)
    lost = dead.next_run()
    expire_leases(store)
    driver = make_driver(store, workers=1)
    again = driver.next_run()
    assert (again.run_id, again.attempt, again.run) == (lost.run_id, lost.attempt + 1, lost.run)
    driver.on_result(again.run_id, again.attempt, result(0.5))
    work(driver, result)
    driver.conclude()
    record = store.studies.load("toy")
    assert record.state is StudyState.COMPLETE
    assert len(record.trials) == 3


def test_interrupting_releases_the_runs(store, create, result) -> None:
    create(trials=3, seeds=1)
    driver = make_driver(store, workers=2)
    driver.next_run()
    driver.interrupt()
    record = store.studies.load("toy")
    assert record.state is StudyState.STOPPED
    assert record.trials[0].runs[0].state is RunState.WAITING


def test_failures_are_kept_and_the_study_goes_on(store, create, result) -> None:
    create(trials=3, seeds=1)
    driver = make_driver(store, workers=1)
    done = work(driver, result, fail=lambda run: "loss is nan" if run.run.trial.method == "lora" else None)
    driver.conclude()
    record = store.studies.load("toy")
    assert record.state is StudyState.COMPLETE
    assert record.trials[1].runs[0].error == "loss is nan"
    assert len(done) == 3 + 2


def test_equal_failures_in_a_row_stop_the_study(store, create, result) -> None:
    create(trials=9, seeds=1)
    driver = make_driver(store, workers=1)
    done = work(driver, result, fail=lambda run: "no memory")
    assert len(done) == EQUAL_FAILURES
    with pytest.raises(NoUsableTrialError, match="none of study 'toy' did. The first cause: no memory"):
        driver.conclude()
    assert store.studies.load("toy").state is StudyState.FAILED


def test_equal_failures_after_a_success_leave_a_stopped_study(store, create, result) -> None:
    create(trials=9, seeds=1)
    driver = make_driver(store, workers=1)
    work(driver, result, limit=1)
    work(driver, result, fail=lambda run: "no memory")
    driver.conclude()
    record = store.studies.load("toy")
    assert record.state is StudyState.STOPPED
    (notice,) = record.notices
    assert (notice.code, notice.values) == ("study_stopped", {"failures": 5, "cause": "no memory"})


def test_different_failures_do_not_stop_the_study(store, create, result) -> None:
    create(trials=9, seeds=1)
    driver = make_driver(store, workers=1)
    done = work(driver, result, fail=lambda run: f"loss is nan in {run.label}")
    assert len(done) == 9


def test_the_start_of_a_cold_worker_is_no_part_of_a_runs_time(store, create, result) -> None:
    create(trials=9, seeds=1)
    clock, shown = Time(), []
    driver = make_driver(store, workers=1, watch=shown.append, now=clock)
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
    driver = make_driver(store, workers=1, now=clock)
    work(driver, result, clock=clock)
    driver.conclude()
    record = store.studies.load("toy")
    assert record.state is StudyState.COMPLETE
    assert record.wall_seconds <= 75.0
    assert len(record.notices) == 3


def test_a_study_gives_the_same_trials_twice(tmp_path: Path, spec, task, result) -> None:
    trials = []
    for name in ("one", "two"):
        store = StudyStore.open(f"sqlite:///{tmp_path}/{name}.db")
        store.studies.create(spec(trials=6, seeds=1), task, {}, "")
        work(make_driver(store, workers=1), result)
        trials.append([(trial.spec, trial.phase, trial.origin) for trial in store.studies.load("toy").trials])
    assert trials[0] == trials[1]


def test_a_study_with_a_variant_stores_and_confirms_it(store: StudyStore, create, result) -> None:
    own = Variant.model_validate({"name": "mine", "method": "lora", "lora": {"rank": 3}})
    create(trials=4, seeds=1, configurations=(own,))
    driver = make_driver(store, workers=1)
    labels = [assignment.label for assignment in work(driver, result)]
    assert labels[3] == "trial 3 mine (screen)"
    assert "trial 3 mine (confirm, seed 1)" in labels
    trial = store.studies.load("toy").trials[3]
    assert (trial.variant, trial.method, trial.spec.lora.rank, trial.origin) == ("mine", "lora", 3, "given")


def test_two_drivers_share_a_study_and_do_no_run_twice(store, create, result) -> None:
    create(trials=6, seeds=2)
    clock = Time()
    drivers = [make_driver(store, workers=1, now=clock) for _ in range(2)]
    done: list[str] = []
    open_runs = {}
    while len(done) < 6 + 3 * 2:
        clock.now += 2.0
        for driver in drivers:
            if (run := open_runs.pop(driver, None)) is not None:
                driver.on_result(run.run_id, run.attempt, result(0.5, confirm=run.run.confirm))
                done.append(run.run_id)
            run = driver.next_run()
            if run is not None and run is not FINISHED:
                open_runs[driver] = run
    clock.now += 2.0
    assert [driver.next_run() for driver in drivers] == [FINISHED, FINISHED]
    for driver in drivers:
        driver.conclude()
    record = store.studies.load("toy")
    assert record.state is StudyState.COMPLETE
    assert [trial.number for trial in record.trials] == list(range(6))
    runs = [run for trial in record.trials for run in trial.runs]
    assert sorted(done) == sorted(run.id for run in runs)
    assert {run.attempt for run in runs} == {1}
    # Each counts its share of the time; they learn of each other a look late.
    assert clock.now <= record.wall_seconds < 1.5 * clock.now


def test_a_driver_that_decided_from_old_rows_decides_again(store, create, result) -> None:
    create(trials=3, seeds=1)
    slow, fast = (make_driver(store, workers=1, now=Time()) for _ in range(2))
    work(fast, result, limit=2)
    assert slow.next_run().label == "trial 2 unipelt_apl (screen)"


def test_a_driver_that_was_held_up_drops_its_late_results(store, create, result) -> None:
    create(trials=3, seeds=1)
    shown = []
    slow = make_driver(store, workers=1, watch=shown.append, now=Time())
    late = slow.next_run()
    expire_leases(store)
    other = make_driver(store, workers=1, now=Time())
    taken = other.next_run()
    assert (taken.run_id, taken.attempt) == (late.run_id, 2)
    row = EvaluationRow(step=5, epoch=1.0, train_loss=0.5, value=0.9, seconds=1.0)
    slow.on_evaluation(late.run_id, 1, row)
    assert "trial 0 head (screen) was taken over by another driver" in shown[-1].event
    slow.on_evaluation(late.run_id, 1, row)
    slow.on_result(late.run_id, 1, result(0.9))
    slow.on_error(late.run_id, 1, "no memory")
    other.on_result(taken.run_id, 2, result(0.5))
    assert store.studies.load("toy").trials[0].value == 0.5


@pytest.mark.parametrize("answer", ["result", "error"])
def test_a_late_end_of_a_lost_run_is_dropped(store, create, result, answer: str) -> None:
    create(trials=3, seeds=1)
    slow = make_driver(store, workers=1)
    late = slow.next_run()
    expire_leases(store)
    other = make_driver(store, workers=1)
    if answer == "result":
        slow.on_result(late.run_id, 1, result(0.9))
    else:
        slow.on_error(late.run_id, 1, "no memory")
    assert other.record.trials[0].runs[0].state is RunState.WAITING
    assert slow.next_run().run_id == late.run_id, "it goes on with what is free"


def test_an_expired_lease_that_nobody_took_is_still_good(store, create, result) -> None:
    create(trials=3, seeds=1)
    slow = make_driver(store, workers=1)
    run = slow.next_run()
    expire_leases(store)
    slow.on_result(run.run_id, run.attempt, result(0.9))
    assert store.studies.load("toy").trials[0].value == 0.9


def test_inside_its_block_a_driver_renews_its_leases_and_names_the_others(store, create) -> None:
    study = create(trials=3, seeds=1)
    other = make_driver(store, workers=1)
    other.next_run()
    shown = []
    with make_driver(store, workers=1, watch=shown.append, lease_seconds=0.04) as driver:
        assert shown[0].event.startswith("Sharing the study with process ")
        driver.next_run()
        renewed = threading.Event()
        renew = store.attempts.renew
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(store.attempts, "renew", lambda *given: (renew(*given), renewed.set()))
            assert renewed.wait(20)
        driver.interrupt()
    assert len(store.attempts.owners(study)) == 1
    assert store.studies.load("toy").state is StudyState.RUNNING, "the other driver goes on"


def test_an_error_lets_the_runs_wait_for_the_next_driver(store, create) -> None:
    create(trials=3, seeds=1)
    with pytest.raises(KeyError), make_driver(store, workers=1) as driver:
        driver.next_run()
        raise KeyError
    record = store.studies.load("toy")
    assert record.trials[0].runs[0].state is RunState.WAITING
    assert record.state is StudyState.STOPPED


def test_the_study_that_another_driver_ended_is_ended_again(store, create, result) -> None:
    create(trials=3, seeds=1)
    late = make_driver(store, workers=1)
    run = late.next_run()
    store.studies.set_state(late.record.id, StudyState.STOPPED)
    late.on_result(run.run_id, run.attempt, result(0.5))
    work(late, result)
    late.conclude()
    assert store.studies.load("toy").state is StudyState.COMPLETE


def test_a_trial_decided_from_old_rows_is_refused_even_when_the_phase_changes(store, create, result) -> None:
    create(trials=4, seeds=1)
    fast = make_driver(store, workers=1, now=Time())
    work(fast, result, limit=3)
    slow = make_driver(store, workers=1, now=Time())
    assert fast.next_run().label.endswith("(tune)")
    assert slow.next_run() is None, "the last trial is the other driver's"
    assert len(store.studies.load("toy").trials) == 4


def test_runs_that_are_rescheduled_wait_and_are_done_again(store: StudyStore, create, result) -> None:
    create(trials=3, seeds=1)
    driver = make_driver(store, workers=2)
    lost = [driver.next_run(), driver.next_run()]
    driver.reschedule(1, Notice(code="fewer_workers", values={"workers": 1}))
    record = store.studies.load("toy")
    assert record.state is StudyState.RUNNING
    assert [trial.runs[0].state for trial in record.trials] == [RunState.WAITING] * 2
    assert record.notices == (Notice(code="fewer_workers", values={"workers": 1}),)
    again = driver.next_run()
    assert (again.run_id, again.attempt) == (lost[0].run_id, 2)
    assert driver.next_run() is None, "there is one worker left"
    driver.on_result(again.run_id, again.attempt, result(0.5))
    work(driver, result)
    assert all(run.state is RunState.COMPLETE for trial in store.studies.load("toy").trials for run in trial.runs)


ROW = EvaluationRow(step=5, epoch=1.0, train_loss=0.5, value=0.5, seconds=10.0)


def keep(assignment: RunAssignment, step: int = 5) -> Path:
    """Write down a state, as a worker does."""
    folder = assignment.progress / f"{assignment.attempt:04d}-{step:09d}"
    folder.mkdir(parents=True)
    return folder


def test_a_run_goes_on_from_where_its_newest_state_is_wherever_the_study_writes_now(store, create, tmp_path) -> None:
    create(trials=3, seeds=1)
    first = make_driver(store, workers=1, checkpoints=tmp_path / "a")
    run = first.next_run()
    assert run.progress == tmp_path / "a" / "running" / run.run_id
    kept = keep(run)
    first.on_evaluation(run.run_id, run.attempt, ROW, checkpoint=str(kept))
    first.interrupt()
    for attempt in (2, 3):  # the second attempt ends before it has written anything
        driver = make_driver(store, workers=1, checkpoints=tmp_path / "b")
        again = driver.next_run()
        assert (again.run_id, again.attempt, again.progress) == (run.run_id, attempt, kept.parent)
        driver.interrupt()
    assert make_driver(store, workers=1).next_run().progress is None


def test_a_finished_or_failed_run_leaves_no_state(store, create, result, tmp_path) -> None:
    create(trials=3, seeds=1)
    driver = make_driver(store, workers=2, checkpoints=tmp_path)
    done, failed = driver.next_run(), driver.next_run()
    keep(done)
    keep(failed)
    driver.on_result(done.run_id, done.attempt, result(0.5))
    assert not done.progress.exists()
    driver.on_error(failed.run_id, failed.attempt, "the loss is no number")
    assert not (tmp_path / "running").exists()


def test_states_that_a_dead_driver_left_of_finished_runs_are_removed(store, create, result, tmp_path) -> None:
    create(trials=3, seeds=1)
    first = make_driver(store, workers=2, checkpoints=tmp_path)
    done, under_way = first.next_run(), first.next_run()
    first.on_result(done.run_id, done.attempt, result(0.5))
    keep(done)
    keep(under_way)
    expire_leases(store)
    driver = make_driver(store, workers=1, checkpoints=tmp_path)
    assert (done.progress.exists(), under_way.progress.exists()) == (False, True)
    keep(done)  # by a worker that was held up
    work(driver, result)
    driver.conclude()
    assert not (tmp_path / "running").exists()


def test_a_run_that_another_driver_has_taken_keeps_its_state(store, create, tmp_path) -> None:
    create(trials=3, seeds=1)
    slow = make_driver(store, workers=1, checkpoints=tmp_path)
    run = slow.next_run()
    kept = keep(run)
    slow.on_evaluation(run.run_id, run.attempt, ROW, checkpoint=str(kept))
    expire_leases(store)
    other = make_driver(store, workers=1, checkpoints=tmp_path)
    assert other.next_run().progress == kept.parent
    slow.on_error(run.run_id, run.attempt, "no memory", out_of_memory=True)
    assert kept.exists()


def test_the_first_state_that_cannot_be_kept_becomes_a_notice(store, create, tmp_path) -> None:
    create(trials=3, seeds=1)
    shown = []
    driver = make_driver(store, workers=1, watch=shown.append, checkpoints=tmp_path)
    run = driver.next_run()
    problems = [Notice(code="checkpoint_not_written", values={"megabytes": size}) for size in (12.0, 12.1)]
    for step, problem in zip((5, 6), problems, strict=True):
        driver.on_evaluation(run.run_id, run.attempt, ROW.model_copy(update={"step": step}), problem=problem)
    assert store.studies.load("toy").notices == (problems[0],)
    assert [progress.event for progress in shown].count("checkpoint_not_written") == 1


def test_a_run_without_memory_is_done_again_once_with_half_of_the_rows(store, create, result, tmp_path) -> None:
    create(trials=3, seeds=1)
    shown = []
    driver = make_driver(store, workers=1, watch=shown.append, checkpoints=tmp_path)
    run = driver.next_run()
    kept = keep(run)
    driver.on_evaluation(run.run_id, run.attempt, ROW, checkpoint=str(kept))
    driver.on_error(run.run_id, run.attempt, "CUDA out of memory", out_of_memory=True)
    again = driver.next_run()
    assert shown[-1].event == "trial 0 head (screen) goes on"
    assert (again.run_id, again.attempt, again.micro_batch, again.progress) == (run.run_id, 2, 8, kept.parent)
    values = {"run": "trial 0 head (screen)", "cause": "CUDA out of memory"}
    assert store.studies.load("toy").notices == (Notice(code="run_again_halved", values=values),)
    assert "run_again_halved" in {progress.event for progress in shown}
    driver.on_result(again.run_id, again.attempt, result(0.5))
    assert store.studies.load("toy").trials[0].value == 0.5


def test_a_run_whose_machine_was_lost_goes_on_elsewhere_as_it_was(store, create, result, tmp_path) -> None:
    create(trials=3, seeds=1)
    driver = make_driver(store, workers=1, checkpoints=tmp_path)
    run = driver.next_run()
    for attempt in (1, 2):
        driver.on_error(run.run_id, attempt, "The machine was lost.", machine_lost=True)
        again = driver.next_run()
        assert (again.run_id, again.attempt, again.micro_batch) == (run.run_id, attempt + 1, None)
    driver.on_result(again.run_id, again.attempt, result(0.5))
    assert store.studies.load("toy").trials[0].value == 0.5
    assert store.studies.load("toy").notices == (
        Notice(code="run_again_elsewhere", values={"run": "trial 0 head (screen)", "cause": "The machine was lost."}),
    )


def test_a_second_time_out_of_memory_fails_the_run_even_under_another_driver(store, create, tmp_path) -> None:
    create(trials=3, seeds=1)
    first = make_driver(store, workers=1)
    run = first.next_run()
    first.on_error(run.run_id, run.attempt, "CUDA out of memory", out_of_memory=True)
    first.next_run()
    first.interrupt()
    driver = make_driver(store, workers=1)
    again = driver.next_run()
    assert (again.attempt, again.micro_batch) == (3, 8)
    driver.on_error(again.run_id, again.attempt, "CUDA out of memory, again", out_of_memory=True)
    failed = store.studies.load("toy").trials[0].runs[0]
    assert (failed.state, failed.error) == (RunState.FAILED, "CUDA out of memory, again")


def test_a_run_that_hangs_fails_and_the_study_goes_on(store, create, result, tmp_path) -> None:
    create(trials=3, seeds=1)
    clock, machine = Time(), MachineSpec(silence_seconds=20.0)
    driver = make_driver(store, workers=2, checkpoints=tmp_path, machine=machine, now=clock)
    hangs, works = driver.next_run(), driver.next_run()
    for run in (hangs, works):
        driver.on_evaluation(run.run_id, run.attempt, ROW, checkpoint=str(keep(run)))
    clock.now = 15.0
    driver.on_evaluation(works.run_id, works.attempt, ROW.model_copy(update={"step": 6}))
    assert driver.fail_overdue() == []
    clock.now = 25.0
    assert driver.fail_overdue() == [hangs]
    assert driver.fail_overdue() == []
    failed = store.studies.load("toy").trials[0].runs[0]
    assert failed.state is RunState.FAILED
    assert failed.error.startswith("timeout: ")
    assert not hangs.progress.exists()
    driver.on_result(hangs.run_id, hangs.attempt, result(0.9))
    assert store.studies.load("toy").trials[0].value is None, "a late result is dropped"
    driver.on_result(works.run_id, works.attempt, result(0.5))
    work(driver, result)
    driver.conclude()
    assert store.studies.load("toy").state is StudyState.COMPLETE


def test_with_folds_every_confirm_run_has_a_fold_and_seeds_of_its_own(store, spec, task, result, tmp_path) -> None:
    asked = spec(trials=3, seeds=2)
    store.studies.create(asked, task.model_copy(update={"folds": 5}), {}, "")
    driver = make_driver(store, workers=1, checkpoints=tmp_path)
    done = work(driver, result, limit=3 + 17)
    again = make_driver(store, workers=1, checkpoints=tmp_path)  # goes on with the third of the second repeat
    done += work(again, result)
    again.conclude()
    assert [assignment.run.draw for assignment in done] == [0] * 3 + list(range(1, 6)) * 3 + list(range(6, 11)) * 3
    assert len({assignment.run.seeds for assignment in done}) == 11
    assert done[3].run.seeds == run_seeds(0, 1, 1)
    assert done[4].label.endswith("(confirm, seed 1, fold 2)")
    assert [a.checkpoint is not None for a in done[3:18]] == [True, *[False] * 4] * 3
    record = store.studies.load("toy")
    gated = [a.checkpoint is not None and a.run.trial.gate is not None for a in done]
    assert [a.run.ablation for a in done] == gated
    assert sum(gated) == 1
    runs = [(run.seed_index, run.fold) for run in record.trials[0].runs]
    assert runs == [(0, 0), *((repeat, fold) for repeat in (1, 2) for fold in range(1, 6))]


def test_what_a_driver_does_is_in_the_table_of_events(store, create, result) -> None:
    study = create(trials=3, seeds=1)
    driver = make_driver(store)
    work(driver, result, limit=1)
    failed = driver.next_run()
    driver.on_error(failed.run_id, failed.attempt, "the loss is no number")
    driver.notify("Something to know")
    work(driver, result)
    driver.conclude()
    events = store.events.after(study)
    assert [(event.kind, event.trial, event.step, event.value) for event in events[:5]] == [
        (EventKind.RUN_BEGAN, 0, None, None),
        (EventKind.EVALUATION, 0, 5, 0.5),
        (EventKind.RUN_ENDED, 0, 10, 0.5),
        (EventKind.RUN_BEGAN, 1, None, None),
        (EventKind.RUN_ENDED, 1, None, None),
    ]
    assert (events[5].kind, events[5].text) == (EventKind.MESSAGE, "Something to know")
    assert (events[-1].kind, events[-1].text) == (EventKind.STUDY_ENDED, "The study is complete")
    assert events[-1].runs_done == events[-1].runs_asked


def test_a_driver_tells_when_the_store_waits_for_its_database(store, create) -> None:
    create(trials=3, seeds=1)
    shown = []
    make_driver(store, watch=shown.append)
    store.retry_policy.notify("The study database is back")
    assert shown[-1].event == "The study database is back"


SCORES = {"head": 0.4, "lora": 0.8, "unipelt_apl": 0.7, "bitfit": 0.9}


def work_with_probabilities(driver: Driver, result) -> None:
    """Give every confirm run predictions with probabilities, and its method's score."""
    shares = np.full((100, 3), 1 / 3, dtype="<f4").tobytes()
    while (assignment := driver.next_run()) is not FINISHED:
        assert assignment is not None
        found = result(SCORES[assignment.run.trial.method], confirm=assignment.run.confirm)
        if assignment.run.confirm:
            right = round(100 * SCORES[assignment.run.trial.method])
            labels, predicted = (0,) * 100, (0,) * right + (1,) * (100 - right)
            parts = [
                Predictions(split=split, labels=labels, predicted=predicted, probabilities=shares)
                for split in ("select", "test")
            ]
            found = found.model_copy(update={"predictions": tuple(parts)})
        driver.on_result(assignment.run_id, assignment.attempt, found)


def methods_with_probabilities(store: StudyStore) -> list[str]:
    found = []
    for trial in store.studies.load("toy").trials:
        parts = [part for run in trial.runs if run.result for part in run.result.predictions]
        kept = {part.probabilities is not None for part in parts}
        assert len(kept) < 2, "of all runs of a method or of none"
        found += [trial.method] * (True in kept)
    return sorted(found)


@pytest.mark.parametrize(("most_bytes", "kept"), [(19_200, 4), (19_199, 3)])
def test_of_too_many_probabilities_those_of_the_best_methods_stay(
    store, create, result, most_bytes: int, kept: int
) -> None:
    # Four methods, two seeds, 200 rows, three labels, four bytes.
    create(trials=4, seeds=2, methods=tuple(SCORES))
    driver = make_driver(store, most_probability_bytes=most_bytes)
    with driver:
        work_with_probabilities(driver, result)
        assert methods_with_probabilities(store) == sorted(SCORES), "before the end nobody knows which are best"
        driver.conclude()
    assert methods_with_probabilities(store) == (sorted(SCORES) if kept == 4 else ["bitfit", "lora", "unipelt_apl"])
    before = store.studies.load("toy")
    assert all(run.result.predictions for trial in before.trials for run in trial.runs if run.seed_index and run.result)
    # Another driver of the study, or one that goes on after a kill, comes to the same.
    with make_driver(store, most_probability_bytes=most_bytes) as other:
        assert other.next_run() is FINISHED
        other.conclude()
    assert [trial.runs for trial in store.studies.load("toy").trials] == [trial.runs for trial in before.trials]


def test_probabilities_that_the_metric_needs_stay(store, create, result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipelt_search.execution.driver.needs_probabilities", lambda record: True)
    create(trials=4, seeds=2, methods=tuple(SCORES))
    with make_driver(store, most_probability_bytes=0) as driver:
        work_with_probabilities(driver, result)
        driver.conclude()
    assert methods_with_probabilities(store) == sorted(SCORES)

"""A whole study without training: the real driver and database, and runs that only sleep.

    PYTHONPATH=.:tests python -m faults.simulated_study sqlite:////tmp/s.db /tmp/acknowledged

It loads neither torch nor pandas nor Ray, so that a crash test takes about a second. Whatever the driver has
acknowledged is written to a file of its own, which outlives a kill and is compared with the database afterwards.
The state of a run is an empty folder per step; a run goes on after the last one.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from made_results import make_costs, make_gate_row, make_run_result

from unipelt_search import failpoints
from unipelt_search.errors import NoUsableTrialError, StudyExistsError, UnipeltError
from unipelt_search.execution.checkpoint_folders import remove_finished
from unipelt_search.execution.driver import FINISHED, Driver, DriverSettings
from unipelt_search.execution.run_messages import RunAssignment
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.records.history import DroppedMethod, StudyState, TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.storage.owners import new_owner
from unipelt_search.storage.store import StudyStore

NAME = "simulated"
METHODS = ("head", "lora", "bitfit")
ABSENT = "prefix"
LEFT_OUT = Notice(code="left_out", values={"method": ABSENT})
TRIALS, SEEDS = 7, 2
FAILS = ("bitfit", 1)
"""The method and the confirm seed of the one run that always fails."""
HUNGRY = ("lora", 1)
"""The method and the confirm seed of the one run that runs out of memory when it takes whole batches."""
STEPS = 2
STEP_SECONDS = 0.02
FAILED = 7
"""Exit code of a study that ended with an error of ours; any other error is a bug."""

_TASK = TaskSummary(
    name="simulated",
    kind="classification",
    labels=("a", "b"),
    rows={"train": 320, "validation": 200, "test": 100, "tune": 100, "select": 100},
    metric="accuracy",
    direction="maximize",
    hidden_size=384,
    fingerprint="0" * 16,
    majority={"select": {"accuracy": 0.3}, "test": {"accuracy": 0.3}},
)


def study_spec(seed: int, trials: int, seeds: int, name: str) -> StudySpec:
    """Ask for a small study; its last method cannot be attached."""
    return StudySpec(
        name=name,
        task=TaskSpec(data="simulated.csv", text=("text",), label="label"),
        backbone=BackboneSpec(model="simulated"),
        space=SpaceSpec(methods=(*METHODS, ABSENT), steps=10),
        budget=BudgetSpec(trials=trials, seeds=seeds),
        seed=seed,
    )


def simulate(
    url: str,
    acknowledged: Path,
    *,
    seed: int = 0,
    trials: int = TRIALS,
    seeds: int = SEEDS,
    faults: str = "",
    workers: int = 1,
    step_seconds: float = STEP_SECONDS,
    lease_seconds: float = 60.0,
    interrupt_after: int | None = None,
    name: str = NAME,
) -> None:
    """Start the study or go on with it, as the interface does; exits with 3 or `FAILED` after an error of ours.

    Args:
        url: The study database.
        acknowledged: The file of what the driver has acknowledged.
        seed: The study's seed.
        trials: The study's trials.
        seeds: The study's confirm seeds.
        faults: What to inject, as in ``UNIPELT_FAILPOINTS``.
        workers: Runs at a time.
        step_seconds: How long a step takes.
        lease_seconds: How long a run stays with a silent driver.
        interrupt_after: Interrupt, as Ctrl-C does, when so many runs were started.
        name: The study's name.
    """
    failpoints.arm(faults)
    spec = study_spec(seed, trials, seeds, name)
    try:
        store = StudyStore.open(url)
        study = store.studies.find(name)
        if study is None:
            try:
                study = store.studies.create(spec, _TASK, {}, "")
            except StudyExistsError:
                study = store.studies.load(name, details=False).id  # another driver was first
        elif (found := store.studies.load(name, details=False)).state is StudyState.COMPLETE:
            remove_finished(kept_folder(acknowledged), found)
            return
        store.studies.set_budget(study, spec.budget)
        store.studies.set_state(study, StudyState.RUNNING)
        store.studies.add_dropped(study, DroppedMethod(method=ABSENT, phase="screen", reason=LEFT_OUT))
        store.studies.add_notice(study, LEFT_OUT)
        kept = kept_folder(acknowledged)
        # Every study has more than it may keep, so that the step which sees to that is one of those that may fail.
        settings = DriverSettings(checkpoints=kept, lease_seconds=lease_seconds, most_probability_bytes=0)
        with Driver(store, name, workers=workers, settings=settings) as driver:
            if _work(driver, acknowledged, workers, step_seconds, interrupt_after):
                driver.conclude()
            else:
                driver.interrupt()
        store.close()
    except UnipeltError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, NoUsableTrialError) else FAILED)
    finally:
        failpoints.arm("")


def kept_folder(acknowledged: Path) -> Path:
    """Return where the runs of a study keep their states."""
    return acknowledged.with_name(f"kept-{acknowledged.name}")


def delete(url: str, *, faults: str = "") -> None:
    """Delete the study, as `unipelt-search delete` does; exits with `FAILED` after an error of ours."""
    failpoints.arm(faults)
    try:
        StudyStore.open(url).studies.delete(NAME)
    except UnipeltError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(FAILED)
    finally:
        failpoints.arm("")


def write_trials(url: str, told: Path, count: int) -> None:
    """Add, start and finish trials without a driver; the study is made where there is none."""
    store = StudyStore.open(url)
    study = store.studies.find(NAME) or store.studies.create(study_spec(0, TRIALS, SEEDS, NAME), _TASK, {}, "")
    lora = TrialSpec(method="lora", training=TrainingSpec(learning_rate=1e-3, steps=9), lora=LoraSpec())
    for _ in range(count):
        began = time.monotonic()
        run = store.runs.add_trial(study, lora, "tune", "tpe")
        attempt = store.attempts.start(run.id, new_owner())
        store.runs.finish(run.id, attempt, make_result(RunSpec(trial=lora, seeds=run_seeds(0, 0)), attempt))
        with told.open("a", encoding="utf-8") as lines:
            lines.write(f"{run.id} {time.monotonic() - began:.3f}\n")
    store.close()


def _work(driver: Driver, acknowledged: Path, workers: int, step_seconds: float, interrupt_after: int | None) -> bool:
    """Execute what is assigned; tells whether nothing is left."""
    busy: dict[str, tuple[RunAssignment, int]] = {}
    started, finished = 0, False
    while busy or not finished:
        while len(busy) < workers:
            assignment = driver.next_run()
            finished = assignment is FINISHED
            if not isinstance(assignment, RunAssignment):
                break
            if started == interrupt_after:
                return False
            started += 1
            busy[assignment.run_id] = (assignment, _steps_kept(assignment))
            _tell(acknowledged, "began", assignment)
        time.sleep(step_seconds)
        for run_id, (assignment, step) in list(busy.items()):
            if step < STEPS:
                busy[run_id] = (assignment, step + 1)
                kept = _keep(assignment, step)
                _tell(acknowledged, f"step-{step}", assignment)
                driver.on_evaluation(
                    run_id, assignment.attempt, _evaluation(assignment.run, step), checkpoint=str(kept)
                )
                continue
            del busy[run_id]
            _end(driver, assignment, acknowledged)
    return True


def _steps_kept(assignment: RunAssignment) -> int:
    """Return how many steps of a run its attempts so far have kept."""
    folder = assignment.progress
    return len({path.name.partition("-")[2] for path in folder.iterdir()}) if folder and folder.is_dir() else 0


def _keep(assignment: RunAssignment, step: int) -> Path:
    assert assignment.progress is not None
    folder = assignment.progress / f"{assignment.attempt:04d}-{step:09d}"
    with suppress(FileNotFoundError):  # another driver has finished the run and removes it; real states may fail too
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _end(driver: Driver, assignment: RunAssignment, acknowledged: Path) -> None:
    run, seed = assignment.run, driver.record.spec.seed
    fails, hungry = (
        run.confirm and run.trial.method == method and run.seeds == run_seeds(seed, index)
        for method, index in (FAILS, HUNGRY)
    )
    if hungry and assignment.micro_batch is None:
        driver.on_error(assignment.run_id, assignment.attempt, "No memory.", out_of_memory=True)
        return
    if fails:
        driver.on_error(assignment.run_id, assignment.attempt, "The loss is no number.")
    else:
        driver.on_result(assignment.run_id, assignment.attempt, make_result(run, assignment.attempt))
    # A driver that has lost the run drops the answer, which then was not acknowledged.
    stored = {run.id: run for trial in driver.record.trials for run in trial.runs}[assignment.run_id]
    if stored.state.is_finished() and stored.attempt == assignment.attempt:
        _tell(acknowledged, "failed" if fails else "done", assignment)


def _tell(file: Path, what: str, assignment: RunAssignment) -> None:
    line = f"{what} {assignment.run_id} {assignment.attempt} {score(assignment.run)!r} {os.getpid()}\n"
    with file.open("a", encoding="utf-8") as lines:
        lines.write(line)


def score(run: RunSpec) -> float:
    """Return the made-up score of a run: a function of its configuration and seeds alone."""
    digest = hashlib.sha256(f"{run.trial.content_hash()} {run.seeds.init}".encode()).digest()
    return 0.5 + int.from_bytes(digest[:4], "big") / 2**33


def make_result(run: RunSpec, attempt: int) -> RunResult:
    """Return the made-up result of a run; `answered_by` reads from it whose it is."""
    value = score(run)
    scores = {"accuracy": value} if run.confirm else None
    return make_run_result(
        value,
        scores,
        costs=make_costs(examples_trained=attempt, padding_share=0.0),
        best_step=STEPS,
        steps=STEPS,
        evaluations=tuple(_evaluation(run, step) for step in range(STEPS)),
        gates=(make_gate_row(mean=value),),
    )


def answered_by(result: RunResult) -> int:
    """Return the attempt that a made-up answer is of."""
    return result.costs.examples_trained


def _evaluation(run: RunSpec, step: int) -> EvaluationRow:
    return EvaluationRow(step=step, epoch=float(step), train_loss=None, value=score(run), seconds=0.01 * step)


if __name__ == "__main__":
    simulate(sys.argv[1], Path(sys.argv[2]))

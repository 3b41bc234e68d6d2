"""What the next attempt of a run has to do, by the study and the attempts before it."""

from __future__ import annotations

from unipelt_search.execution.checkpoint_folders import run_folder
from unipelt_search.execution.run_messages import RunAssignment
from unipelt_search.methods.catalogue import find_method
from unipelt_search.records.history import EarlierAttempts, RunRecord, StudyRecord, TrialRecord
from unipelt_search.remote_paths import StoragePath
from unipelt_search.search.asked_ablation import asked_ablation
from unipelt_search.specs.seeds import run_number, run_seeds
from unipelt_search.specs.trial import RunSpec
from unipelt_search.specs.variants import PRUNED


def make_assignment(
    study: StudyRecord, run: RunRecord, attempt: int, earlier: EarlierAttempts, checkpoints: StoragePath | None
) -> RunAssignment:
    """Say what a run's attempt has to do.

    Args:
        study: The study.
        run: The run.
        attempt: The attempt's number.
        earlier: What the attempts before it have left.
        checkpoints: The study's folder for checkpoints, if any.

    Returns:
        The assignment.
    """
    trial = study.trials[run.trial]
    task = study.spec.task
    space = study.spec.space
    number = run_number(run.seed_index, run.fold, study.task.folds)
    # What is measured once per method is measured on its first confirm run.
    first = number == 1
    gated = first and find_method(trial.method).gated
    ablation = asked_ablation(trial.method, space, study.edition)
    return RunAssignment(
        run_id=run.id,
        attempt=attempt,
        run=RunSpec(
            trial=trial.spec,
            seeds=run_seeds(study.spec.seed, run.seed_index, run.fold),
            confirm=run.phase == "confirm",
            draw=number if task.redraw or study.task.folds else 0,
            gate_null=gated and space.gate_null,
            prune=gated and space.prune_gates and trial.origin != PRUNED,
            ablation=first and ablation.submodules > 0,
            ablation_layers=ablation.single_layers,
        ),
        label=_label(trial, run),
        # Absolute: Tune moves a worker's working directory.
        checkpoint=(checkpoints / f"trial-{trial.number}").resolve() if checkpoints and first else None,
        progress=run_folder(checkpoints, run.id, earlier.checkpoint) if checkpoints else None,
        micro_batch=_micro_batch(trial.spec.training.batch_size, earlier.failed),
    )


def _micro_batch(batch_size: int, failed: int) -> int | None:
    """Halve the rows of a training pass for each attempt that has failed, rounded up; None is the whole batch."""
    return -(-batch_size // 2**failed) if failed else None


def _label(trial: TrialRecord, run: RunRecord) -> str:
    seed = f", seed {run.seed_index}" if run.phase == "confirm" else ""
    fold = f", fold {run.fold}" if run.fold else ""
    return f"trial {trial.number} {trial.name} ({run.phase}{seed}{fold})"

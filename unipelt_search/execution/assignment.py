"""What a worker is asked to do: one attempt of one run."""

from __future__ import annotations

from dataclasses import dataclass

from unipelt_search.execution.checkpoint_folders import run_folder
from unipelt_search.methods.catalogue import find_method
from unipelt_search.records.history import EarlierAttempts, RunRecord, StudyRecord, TrialRecord
from unipelt_search.remote_paths import StoragePath
from unipelt_search.specs.seeds import run_number, run_seeds
from unipelt_search.specs.trial import RunSpec
from unipelt_search.specs.variants import PRUNED


@dataclass(frozen=True)
class Assignment:
    """One attempt of one run, for a worker."""

    run_id: str
    attempt: int
    run: RunSpec
    label: str
    """For the progress line, for example ``trial 4 lora (tune)``."""
    checkpoint: StoragePath | None
    """Where the run's weights are to be written, if anywhere."""
    progress: StoragePath | None = None
    """The run's folder for its state at every evaluation, from which it goes on; None keeps none."""
    micro_batch: int | None = None
    """Rows of a training pass at most; None is the whole batch of a step."""


def make_assignment(
    study: StudyRecord, run: RunRecord, attempt: int, earlier: EarlierAttempts, checkpoints: StoragePath | None
) -> Assignment:
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
    trial, task, space = study.trials[run.trial], study.spec.task, study.spec.space
    number = run_number(run.seed_index, run.fold, study.task.folds)
    first = number == 1
    gated = first and find_method(trial.method).gated
    return Assignment(
        run_id=run.id,
        attempt=attempt,
        run=RunSpec(
            trial=trial.spec,
            seeds=run_seeds(study.spec.seed, run.seed_index, run.fold),
            confirm=run.phase == "confirm",
            draw=number if task.redraw or study.task.folds else 0,
            gate_null=gated and space.gate_null,
            prune=gated and space.prune_gates and trial.origin != PRUNED,
            ablation=first,
        ),
        label=_label(trial, run),
        checkpoint=checkpoints / f"trial-{trial.number}" if checkpoints and first else None,
        progress=run_folder(checkpoints, run.id, earlier.checkpoint) if checkpoints else None,
        micro_batch=-(-trial.spec.training.batch_size // 2**earlier.failed) if earlier.failed else None,
    )


def _label(trial: TrialRecord, run: RunRecord) -> str:
    seed = f", seed {run.seed_index}" if run.phase == "confirm" else ""
    fold = f", fold {run.fold}" if run.fold else ""
    return f"trial {trial.number} {trial.name} ({run.phase}{seed}{fold})"

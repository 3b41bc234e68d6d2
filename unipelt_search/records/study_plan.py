"""What a study would do, as `--dry-run` tells it."""

from __future__ import annotations

from unipelt_search.frozen import Frozen
from unipelt_search.records.finding import Finding
from unipelt_search.records.history import DroppedMethod, TaskSummary
from unipelt_search.records.notice import Notice


class PlannedMethod(Frozen):
    """One method of a planned study with its published settings, or one configuration of the user's."""

    method: str
    variant: str | None = None
    """The name of a configuration that the user gave."""
    screen_trials: int
    trained_parameters: int
    stored_parameters: int
    run_seconds: float
    """Estimated seconds of a screen or tune run."""
    confirm_seconds: float
    """Estimated seconds of all its confirm runs together."""


class PlannedExport(Frozen):
    """Which forms of `export` can hold a method's model exactly, and why not the others."""

    method: str
    variant: str | None = None
    """The name of a configuration that the user gave."""
    merged: str | None = None
    """The library that alone loads what `--merged` writes; None where it can write nothing."""
    merged_obstacle: str | None = None
    """Why it cannot."""
    peft: bool = False
    """Whether `--peft` can write a folder."""
    peft_obstacle: str | None = None
    """Why it cannot."""


class StudyPlan(Frozen):
    """A study that was checked whole and not started."""

    study: str
    task: TaskSummary
    data: tuple[Notice, ...] = ()
    """How the data was read and split, in reading order: the task's notices of severity `fact`."""
    backbone: str
    device: str
    workers: int
    """Runs at a time."""
    steps: int
    """Optimizer steps of a run at most."""
    batch_size: int
    methods: tuple[PlannedMethod, ...]
    tune_trials: int
    """Trials beyond the screen phase; they go to the methods that can still win."""
    confirm_runs: int
    runs: int
    """Runs of all phases."""
    seconds: float
    """Estimated wall-clock seconds, early stopping left out."""
    checkpoint_bytes: int = 0
    """What the checkpoints of the runs that train take on the disk at most, at a time."""
    exports: tuple[PlannedExport, ...] = ()
    """One entry per method and per configuration of the user's; that of a configuration with its own settings."""
    left_out: tuple[DroppedMethod, ...]
    notices: tuple[Notice, ...]
    findings: tuple[Finding, ...] = ()
    """What is odd in single rows, and where."""

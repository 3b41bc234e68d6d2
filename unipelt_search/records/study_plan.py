"""What a study would do, as `--dry-run` tells it."""

from __future__ import annotations

from typing import Literal

from unipelt_search.frozen import Frozen
from unipelt_search.records.finding import Finding
from unipelt_search.records.history import DroppedMethod, TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.specs.trial import Phase


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
    steps: int = 0
    """Optimizer steps of one of its runs at most."""
    confirm_runs: int = 0


class PlannedPhase(Frozen):
    """One phase of a planned study, all methods together; early stopping is left out."""

    phase: Phase
    trials: int
    """Configurations tried; in `confirm` those that are confirmed."""
    runs: int
    steps: int
    """Optimizer steps of all its runs at most."""
    trained_rows: int
    """Rows that these steps train on, a row as often as it is seen."""
    scored_rows: int
    """Rows that are scored, at evaluations and at the end of runs, a row as often as it is."""
    seconds: float
    """Estimated wall-clock seconds, with so many runs at a time as there are workers."""


class StudyProposal(Frozen):
    """A study like the one that was asked for that its time limit allows, or the limit that this study needs."""

    purpose: Literal["fits", "least", "complete"]
    """`fits`: the best that the limit allows. `least`: the least that is a comparison, where nothing fits. `complete`:
    all that was asked for, with the time that it takes."""
    methods: tuple[str, ...]
    """Methods that are tuned and compared, without the user's own configurations."""
    trials: int
    seeds: int
    steps: int
    """Optimizer steps of a run at most."""
    time_seconds: float
    """The time limit."""
    seconds: float
    """Estimated wall-clock seconds with all of that."""
    detectable: float | None = None
    """As in the plan."""
    options: tuple[str, ...]
    """What is to be said otherwise on the command line, word by word."""


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
    start_seconds: float = 0.0
    """Those of them that pass before the first run trains: reading, loading, timing, and the start of the workers."""
    phases: tuple[PlannedPhase, ...] = ()
    """Screen, tune and confirm; a phase without runs too."""
    detectable: float | None = None
    """About the smallest true difference in accuracy between two methods that such a study detects with a power of
    80 %; None for numbers, and where there will be no interval."""
    time_seconds: float | None = None
    """The time limit."""
    proposals: tuple[StudyProposal, ...] = ()
    """What to ask instead, where the time limit does not allow all of the study."""
    checkpoint_bytes: int = 0
    """What the checkpoints of the runs that train take on the disk at most, at a time."""
    exports: tuple[PlannedExport, ...] = ()
    """One entry per method and per configuration of the user's; that of a configuration with its own settings."""
    left_out: tuple[DroppedMethod, ...]
    notices: tuple[Notice, ...]
    findings: tuple[Finding, ...] = ()
    """What is odd in single rows, and where."""

"""What the database knows of a study: the record that verdict and reporting read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from operator import not_

from pydantic import Field

from unipelt_search.errors import MachineError
from unipelt_search.frozen import Frozen
from unipelt_search.kinds.label_kind import Label, Metric, Target, find_kind
from unipelt_search.methods.basis import Basis
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import RunResult
from unipelt_search.records.row_origins import RowOrigins
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import Phase, TrialSpec

EDITION = 3
"""The edition of a new study: counted up whenever a default changes that decides a score, as published settings, the
rule for splits or the evaluation schedule do. A study keeps the edition that it began with. Since 2 the published
settings of adapters are the published ones: their input, their activation, how they begin, and a size that grows with
the backbone. Since 3 all rows of a validation split that the user brought decide, and labels are read in any of their
usual forms."""


class StudyState(StrEnum):
    """Where a study stands."""

    RUNNING = "running"
    """A driver works on it, or died while doing so."""
    COMPLETE = "complete"
    """Everything that was asked for is done."""
    STOPPED = "stopped"
    """Interrupted; `resume` goes on."""
    FAILED = "failed"
    """No usable trial."""


class RunState(StrEnum):
    """Where a run stands."""

    WAITING = "waiting"
    """To be started, or to be started again after an interruption."""
    RUNNING = "running"
    """A worker trains it."""
    COMPLETE = "complete"
    """Its result is stored."""
    FAILED = "failed"
    """It ended with an error, or its loss was no finite number."""

    def is_finished(self) -> bool:
        """Tell whether the state is final."""
        return self in {RunState.COMPLETE, RunState.FAILED}


class TrialState(StrEnum):
    """Where a trial stands, by its screen or tune run."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    STOPPED = "stopped"
    """Stopped early by the search."""


class MethodSize(Frozen):
    """What a method stores on the study's backbone."""

    method: str
    stored: int
    """Numbers that its published settings store, the head included."""
    sizes: dict[str, int]
    """Its published sizes by name, for example `lora.rank`."""
    per_unit: dict[str, int]
    """Numbers that one more of each size adds."""
    shared_gates: int | None
    """What is added, usually less than 0, where all layers share their gates; None without gates."""


def _is_none(value: object) -> bool:
    return value is None


class TaskSummary(Frozen):
    """What a study keeps of its task: no text."""

    name: str
    kind: str
    """What a label is: the name of a kind in `kinds/`, with `pair_` before it where rows have two texts."""
    labels: tuple[str, ...]
    """In the order of their numbers; none for regression."""
    rows: dict[str, int]
    """Rows of `train`, `validation`, `test`, `tune` and `select`. Tune and select rows are the two parts of validation,
    or where `validation_decides` tune rows are taken from train; with folds `tune` is all of validation, and `select`
    train and validation together."""
    metric: str
    direction: str
    """`maximize` or `minimize`."""
    fingerprint: str
    """Content hash of every row that is used, split by split."""
    majority: dict[str, dict[str, float]]
    """Every metric of the constant prediction, on `select` and `test`."""
    majority_answer: Label | None = None
    """What it is; None in studies of older versions."""
    # What follows is left out where it says nothing, so that studies without it are stored as they always were.
    majority_probabilities: tuple[float, ...] | None = Field(default=None, exclude_if=_is_none)
    """The share of every class or label among the training rows; None for numbers and in studies of older versions."""
    positive: str | None = Field(default=None, exclude_if=_is_none)
    """The positive one of two labels where the user named it; None is the one that the kind's rule chooses."""
    metric_package: str = Field(default="", exclude_if=not_)
    """The package that brings the metric; empty for our own."""
    notices: tuple[Notice, ...] = ()
    sizes: tuple[MethodSize, ...] = ()
    """Of every method, where the study limits them."""
    truncated_share: float | None = None
    """Share of all rows that were longer than the limit of tokens and were cut; None where nobody counted."""
    unknown_share: float | None = None
    """Share of all tokens that the backbone's tokenizer does not know; None where nobody counted."""
    folds: int = 0
    """Folds of train and validation that decide, in place of select rows; 0 where there are none."""
    # Left out where it does not hold, as in studies of editions 1 and 2, which shared the validation rows out.
    validation_decides: bool = Field(default=False, exclude_if=not_)
    """Whether all rows of the user's validation split decide, and the tune rows are training rows."""
    # Left out where nothing is known, as in studies of edition 1, whose settings did not depend on the backbone.
    hidden_size: int | None = Field(default=None, exclude_if=_is_none)
    """Features of a token in the backbone; published sizes and ranges are shares of it."""
    block_output: bool = Field(default=True, exclude_if=bool)
    """Whether an adapter can read what its block would hand on without it."""
    # Left out where it is empty: studies without plug-ins are stored as they always were.
    plugins: dict[str, str] = Field(default={}, exclude_if=not_)
    """The package of each submodule that a plug-in brings, by the submodule's name."""

    @property
    def target(self) -> Target:
        """What is predicted, as statistics of predictions need it: nothing is fitted to training rows."""
        target = find_kind(self.kind).of_labels(self.labels)
        if self.positive is None:
            return target
        return replace(target, positive=self.labels.index(self.positive))

    @property
    def metric_packages(self) -> tuple[str, ...]:
        """The packages, at most one, that runs need beside ours and those of the methods."""
        return (self.metric_package,) if self.metric_package else ()

    def find_metric(self) -> Metric:
        """Return the study's metric.

        Raises:
            MachineError: It is that of a package that is not installed, or another package has taken its name.
        """
        source = f"the package {self.metric_package!r}" if self.metric_package else "unipelt-search"
        try:
            metric = self.target.metric(self.metric)
        except ValueError as error:
            raise MachineError(
                f"The metric {self.metric!r} must be installed; this machine has none of that name, which is of "
                f"{source}. Install it."
            ) from error
        if metric.package != self.metric_package:
            raise MachineError(
                f"The metric {self.metric!r} must be that of {source}; this machine has that of "
                f"{metric.package or 'unipelt-search'!r}. Install the one in place of the other."
            )
        return metric


class RunRecord(Frozen):
    """One training of a trial's configuration."""

    id: str
    trial: int
    """The trial's number."""
    phase: Phase
    seed_index: int
    fold: int = 0
    """The fold that a confirm run is scored on, counted from 1; 0 where folds do not decide."""
    state: RunState
    attempt: int = 0
    """How often it was started."""
    error: str | None = None
    result: RunResult | None = None


class EarlierAttempts(Frozen):
    """What the attempts of a run have left for the next one."""

    failed: int
    """How many failed, each because memory ran out."""
    checkpoint: str | None
    """Folder of the newest state that was kept; it may be gone."""


class TrialRecord(Frozen):
    """One configuration tried in a study."""

    number: int
    method: str
    variant: str | None = None
    """The name of a configuration that the user gave."""
    spec: TrialSpec
    phase: Phase
    """The furthest phase that one of its runs reached."""
    state: TrialState
    value: float | None
    """The tune score of its screen or tune run."""
    origin: str
    """`published` settings, `given` by the user, or proposed by `tpe`."""
    runs: tuple[RunRecord, ...]

    @property
    def name(self) -> str:
        """What it competes as: its variant, else its method."""
        return self.variant or self.method


class DroppedMethod(Frozen):
    """A method that got no more trials, and why."""

    method: str
    phase: Phase
    reason: Notice


class StudyLine(Frozen):
    """A study as one line of a list."""

    name: str
    state: StudyState
    phase: Phase
    created: datetime
    backbone: str
    """The checkpoint, as the user named it."""
    task: str
    """The task's name."""
    trials: int
    """Trials begun so far."""


class StudyRecord(Frozen):
    """A study as the database has it."""

    id: str
    spec: StudySpec
    task: TaskSummary
    state: StudyState
    phase: Phase
    created: datetime
    software: dict[str, str]
    command: str
    wall_seconds: float
    trials: tuple[TrialRecord, ...]
    dropped: tuple[DroppedMethod, ...]
    notices: tuple[Notice, ...]
    edition: int = 1
    """Which defaults the study began with; 1 in studies that were made before editions were counted."""
    origins: tuple[RowOrigins, ...] = ()
    """Of select and test; empty in studies of older versions, and where nobody knows."""

    @property
    def basis(self) -> Basis:
        """What its published settings and searched ranges depend on."""
        return Basis(edition=self.edition, hidden_size=self.task.hidden_size, block_output=self.task.block_output)

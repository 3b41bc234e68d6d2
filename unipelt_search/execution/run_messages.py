"""What a worker is asked and what it says, as frozen values, and the one place that turns them into transport and back.

    driver ──RunAssignment──> executor ──> worker
    driver <──Evaluated, Finished, Failed── executor <── worker
    driver <──WorkerLost, OutOfMemory────── executor

Every attempt that was submitted ends with exactly one of `Finished`, `Failed` and `WorkerLost`; `OutOfMemory` ends all
attempts of the executor at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, PlainSerializer, PlainValidator, TypeAdapter

from unipelt_search.frozen import Frozen
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.remote_paths import StoragePath, to_storage_path
from unipelt_search.specs.trial import RunSpec


def _to_folder(value: str | StoragePath) -> StoragePath:
    return to_storage_path(value) if isinstance(value, str) else value


Folder = Annotated[StoragePath, PlainValidator(_to_folder), PlainSerializer(str, return_type=str)]
"""A folder on this machine or at a URL; text where it travels. Absolute, because a worker has a working directory of
its own."""
AttemptKey = tuple[str, int]
"""A run's id and the number of its attempt: a late message of an earlier attempt is told from one of the next."""


class _OfAttempt(Frozen):
    """What belongs to one attempt of one run."""

    run_id: str
    attempt: int

    @property
    def key(self) -> AttemptKey:
        """The run and its attempt."""
        return self.run_id, self.attempt


class RunAssignment(_OfAttempt):
    """One attempt of one run, for a worker."""

    run: RunSpec
    label: str
    """For the progress line, for example ``trial 4 lora (tune)``."""
    checkpoint: Folder | None
    """Where the run's weights are to be written, if anywhere."""
    progress: Folder | None = None
    """The run's folder for its state at every evaluation, from which it goes on; None keeps none."""
    micro_batch: int | None = None
    """Rows of a training pass at most; None is the whole batch of a step."""


class Evaluated(_OfAttempt):
    """A run has been evaluated and goes on."""

    kind: Literal["evaluated"] = "evaluated"
    row: EvaluationRow
    checkpoint: str | None = None
    """Where the run's state was kept after it, if anywhere."""
    problem: Notice | None = None
    """Why the state could not be kept."""


class Finished(_OfAttempt):
    """A run has ended well."""

    kind: Literal["finished"] = "finished"
    result: RunResult


class Failed(_OfAttempt):
    """A run has failed; its worker can train the next one."""

    kind: Literal["failed"] = "failed"
    message: str
    """The cause, one line."""
    out_of_memory: bool


class WorkerLost(_OfAttempt):
    """The worker of a run is gone without a last word."""

    cause: Literal["error", "process", "machine"]
    """`error`: it raised outside of a run's training, as while it loaded the backbone; `process`: it was killed;
    `machine`: its whole machine is gone."""
    message: str = ""
    """With `error`, what it raised, one line."""


class OutOfMemory(Frozen):
    """All workers are gone, because their machine ran out of memory; the executor trains nothing until it is restarted.

    Which run took the memory is not known.
    """


RunEvent = Evaluated | Finished | Failed
ExecutorEvent = RunEvent | WorkerLost | OutOfMemory

_EVENTS: TypeAdapter[RunEvent] = TypeAdapter(Annotated[RunEvent, Field(discriminator="kind")])
_ASSIGNMENT: Final = "assignment"
_EVENT: Final = "event"


# JSON and not pickled objects: a worker of another version refuses what it does not know instead of reading half of it,
# and Tune copies and merges the mappings that it carries.


def encode_assignment(assignment: RunAssignment) -> dict[str, str]:
    """Return an assignment as a mapping with one text, which any transport takes."""
    return {_ASSIGNMENT: assignment.model_dump_json()}


def decode_assignment(config: Mapping[str, Any]) -> RunAssignment:
    """Return the assignment that `encode_assignment` made a mapping of; other keys may stand beside it."""
    return RunAssignment.model_validate_json(config[_ASSIGNMENT])


def encode_event(event: RunEvent) -> dict[str, str]:
    """Return what a worker says as a mapping with one text, which any transport takes."""
    return {_EVENT: event.model_dump_json()}


def decode_event(result: Mapping[str, Any]) -> RunEvent:
    """Return the event that `encode_event` made a mapping of; other keys may stand beside it."""
    return _EVENTS.validate_json(result[_EVENT])

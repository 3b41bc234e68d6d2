"""One thing that happened in a study, as a driver writes it down for whoever watches, on this machine or another."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from unipelt_search.frozen import Frozen
from unipelt_search.specs.trial import Phase


class EventKind(StrEnum):
    """What an event tells."""

    STUDY_BEGAN = "study_began"
    """A driver began to work on the study, or went on with it."""
    RUN_BEGAN = "run_began"
    """A run was started, or goes on from its kept state."""
    EVALUATION = "evaluation"
    """A running run was scored on the tune rows."""
    RUN_ENDED = "run_ended"
    """A run has its result, failed, or is done again."""
    MESSAGE = "message"
    """Anything else that a user should see."""
    STUDY_ENDED = "study_ended"
    """The driver has set the state in which the study ends."""


class Happening(Frozen):
    """What an event is about; a field is None where it does not apply."""

    kind: EventKind = EventKind.MESSAGE
    trial: int | None = None
    """The trial's number."""
    run_id: str | None = None
    step: int | None = None
    """Optimizer steps done."""
    value: float | None = None
    """The score on the tune rows, of a finished confirm run that on the select rows."""
    train_loss: float | None = None
    """Mean since the evaluation before."""


class StudyEvent(Happening):
    """An event as it is stored: what happened, when, who did it, and how far the study was."""

    id: int
    """Grows within a study in the order in which events can be read."""
    time: datetime
    """By the database's clock."""
    process: str
    """The driver, for example ``process 4242 on host``."""
    phase: Phase
    trials_done: int
    trials_asked: int
    runs_done: int
    runs_asked: int
    seconds_left: float | None = None
    """An estimate; None before the first run has finished."""
    text: str
    """One line without a training text."""

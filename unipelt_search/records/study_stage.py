"""What a study does before its first run, as whoever asked for it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from unipelt_search.frozen import Frozen
from unipelt_search.records.finding import Finding
from unipelt_search.records.notice import Notice
from unipelt_search.records.study_plan import StudyPlan

StageName = Literal["request", "read", "check", "load", "attach", "encode", "time", "plan", "workers"]


class StudyStage(Frozen):
    """One stage that has just begun; `plan` is what the stages before it have come to."""

    name: StageName
    """`request`: the request is looked at. `read`, `check`: the data. `load`: the model. `attach`: every method on it.
    `encode`: the rows become tokens. `time`: a few steps of a method. `plan`: nothing begins. `workers`: they start."""
    subject: str = ""
    """The data, the model, the study or the method; empty where it is about none."""
    number: int = 0
    """Which one, counted from 1, or how many rows or workers; 0 where nothing is counted."""
    of: int = 0
    """How many there are."""
    data: tuple[Notice, ...] = ()
    """With `load`: how the data was read and split."""
    findings: tuple[Finding, ...] = ()
    """With `load`: what is odd in single rows, and where."""
    plan: StudyPlan | None = None
    """With `plan`: what will run."""


OnStage = Callable[[StudyStage], None]


def unheard(stage: StudyStage) -> None:
    """Tell nobody of a stage."""

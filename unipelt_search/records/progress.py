"""How far a study is, as the driver tells whoever watches."""

from __future__ import annotations

from unipelt_search.frozen import Frozen
from unipelt_search.specs.trial import Phase


class BestTrial(Frozen):
    """A method's or variant's best trial so far."""

    method: str
    variant: str | None = None
    """The name of a configuration that the user gave."""
    trial: int
    phase: Phase
    runs: int
    """Finished confirm runs; 0 before the confirm phase."""
    score: float
    """Mean on the select rows where confirmed, else the tune score."""


class StudyProgress(Frozen):
    """One snapshot of a running study."""

    study: str
    metric: str
    phase: Phase
    trials_done: int
    trials_asked: int
    runs_done: int
    runs_asked: int
    """Runs of all phases as planned now."""
    running: tuple[str, ...]
    """What each busy worker does, for example ``trial 4 lora (tune)``."""
    standings: tuple[BestTrial, ...]
    """Best first, confirmed methods before the others."""
    seconds_elapsed: float
    seconds_left: float | None
    """An estimate; None before the first run has finished."""
    event: str
    """What has just happened, one line without a training text."""

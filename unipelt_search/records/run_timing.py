"""How long a run would take, measured on a few of its steps; `training` measures, `search` forecasts from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunTiming:
    """What a few steps of a run took and what it trains."""

    step_seconds: float
    """Seconds of one optimizer step."""
    row_seconds: float
    """Seconds to score one tune row."""
    trained_parameters: int
    stored_parameters: int
    start_seconds: float = 0.0
    """Seconds to attach a run's modules before its first step."""

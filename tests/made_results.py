"""Results of runs that never ran: one typed builder for each record; a test names only what it is about."""

from __future__ import annotations

from typing import Any

from unipelt_search.records.results import Costs, GateRow, RunResult


def make_costs(stored: int = 100, **changes: Any) -> Costs:
    """Build the costs of a run.

    Args:
        stored: Numbers that are trained and stored.
        changes: Other fields.

    Returns:
        The costs; one example takes no measured time, as in the search.
    """
    fields: dict[str, Any] = {
        "trained_parameters": stored,
        "stored_parameters": stored,
        "head_parameters": 10,
        "train_seconds": 1.0,
        "predict_ms_per_example": None,
        "peak_memory_mb": 1.0,
        "examples_trained": 160,
        "padding_share": 0.1,
    }
    return Costs(**{**fields, **changes})


def make_gate_row(**changes: Any) -> GateRow:
    """Build the statistics of one gate over all rows of a split; ``changes`` are its fields."""
    fields: dict[str, Any] = {
        "epoch": 1.0,
        "stack": "encoder",
        "layer": 0,
        "gate": "adapter",
        "split": "tune",
        "label": None,
        "n": 100,
        "mean": 0.5,
        "sd": 0.1,
        "q05": 0.1,
        "q25": 0.2,
        "q50": 0.3,
        "q75": 0.4,
        "q95": 0.9,
        "share_active": 0.2,
        "contribution": None,
        "initial_mean": 0.5,
    }
    return GateRow(**{**fields, **changes})


def make_run_result(
    tune: float,
    scores: dict[str, float] | None = None,
    *,
    costs: Costs | None = None,
    **changes: Any,
) -> RunResult:
    """Build a run's result.

    Args:
        tune: The score on the tune rows.
        scores: Every metric on select and test rows; None for a run of the search.
        costs: What it cost.
        changes: Other fields.

    Returns:
        The result, without details unless ``changes`` has them.
    """
    fields: dict[str, Any] = {
        "tune": tune,
        "select": scores,
        "test": scores,
        "best_step": 10,
        "steps": 10,
        "evaluations": (),
        "gates": (),
        "ablation": (),
        "costs": costs or make_costs(),
    }
    return RunResult(**{**fields, **changes})

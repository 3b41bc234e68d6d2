from __future__ import annotations

from types import SimpleNamespace

import pytest

import unipelt_search
from unipelt_search.errors import StudyNotFoundError
from unipelt_search.records.report import StudyReport

SCORE = {"mean": 0.8, "sd": 0.01, "low": 0.78, "high": 0.82}
GATE = {
    "trial": 5, "method": "unipelt_apl", "runs": 2, "stack": "encoder", "gate": "lora_query", "split": "select",
    "n": 50, "sd": 0.1, "q05": 0.3, "q25": 0.4, "q50": 0.5, "q75": 0.6, "q95": 0.7, "share_active": 0.5,
    "contribution": 0.2, "initial_mean": 0.5,
}  # fmt: skip
NO_COST = {
    "trained_parameters": None, "stored_parameters": None, "train_seconds": None, "predict_ms_per_example": None,
    "peak_memory_mb": None,
}  # fmt: skip
REPORT = {
    "schema": 1,
    "study": {"name": "here", "status": "complete", "phase": "confirm", "backbone": "minilm", "seed": 0,
              "created": "2026-01-02T03:04:05+00:00", "software": {}, "command": "unipelt-search demo"},
    "task": {"name": "reviews", "kind": "classification", "labels": ["no", "yes"], "metric": "accuracy",
             "rows": {"train": 100, "validation": 40, "test": 40}, "direction": "maximize", "fingerprint": "0" * 16},
    "verdict": {"method": "unipelt_apl", "trial": 5, "ties": [], "cheapest_tie": "unipelt_apl",
                "sentence": "unipelt_apl is best.", "decided_on": "select"},
    "leaderboard": [
        {"method": "unipelt_apl", "trial": 5, "phase": "confirm", "runs": 2, "config": {"lora.rank": 8},
         "validation": SCORE, "test": SCORE, "difference_to_best": None, "trained_parameters": 1000,
         "stored_parameters": 900, "train_seconds": 3.5, "predict_ms_per_example": 1.5, "peak_memory_mb": 700.0},
        {"method": "majority", "trial": None, "phase": None, "runs": 0, "config": {},
         "validation": {"mean": 0.5, "sd": None, "low": None, "high": None}, "test": None, "difference_to_best": None,
         **NO_COST},
    ],
    "upper_bound": {"of": None, "validation": None, "test": None},
    "gates": [
        {**GATE, "epoch": 3.0, "layer": 0, "label": None, "mean": 0.61},
        {**GATE, "epoch": 3.0, "layer": 1, "label": None, "mean": 0.41},
    ],
    "ablation": [], "curves": [], "dropped": [], "notices": [],
    "trials": {"complete": 6, "stopped": 0, "failed": 0},
    "cost": {"wall_seconds": 60.0, "train_seconds": 50.0, "examples_trained": 1000},
}  # fmt: skip


@pytest.fixture
def stored_report(monkeypatch: pytest.MonkeyPatch) -> StudyReport:
    """Return the report of the one study that the commands can open, `here`."""
    report = StudyReport.model_validate(REPORT)

    def open_study(name: str, *, storage: str | None = None) -> SimpleNamespace:
        if name != "here":
            raise StudyNotFoundError(f"No study is named {name!r}.")
        return SimpleNamespace(report=report)

    monkeypatch.setattr(unipelt_search, "api", SimpleNamespace(open_study=open_study), raising=False)
    return report

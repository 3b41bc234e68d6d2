"""Find the parameter-efficient tuning method for a labelled text dataset.

How the data flows, one frozen type per arrow; calls go down the layers, results come back::

    study.yaml ─StudySpec→ tasks ─Task→ search ─TrialSpec→ training (pelt) ─RunResult→ storage
    storage ─StudyRecord→ verdict ─Verdict→ reporting ─StudyReport→ cli

The public names are loaded when they are first used, so that opening a report never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unipelt_search.api import (
        delete_study,
        examine_model,
        export_model,
        find_columns,
        list_studies,
        load_model,
        open_study,
        plan_study,
        run_study,
    )
    from unipelt_search.reporting.opened_study import Study
    from unipelt_search.specs.load_study import load_study
    from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec
    from unipelt_search.specs.suite import SuiteSpec, load_suite
    from unipelt_search.suites import run_suite, suite_report

__version__ = "0.1.0"

__all__ = [
    "BackboneSpec",
    "BudgetSpec",
    "MachineSpec",
    "SpaceSpec",
    "Study",
    "StudySpec",
    "SuiteSpec",
    "TaskSpec",
    "delete_study",
    "examine_model",
    "export_model",
    "find_columns",
    "list_studies",
    "load_model",
    "load_study",
    "load_suite",
    "open_study",
    "plan_study",
    "run_study",
    "run_suite",
    "suite_report",
]

_HOMES = {
    "Study": "reporting.opened_study",
    "delete_study": "api",
    "examine_model": "api",
    "export_model": "api",
    "find_columns": "api",
    "list_studies": "api",
    "load_model": "api",
    "open_study": "api",
    "plan_study": "api",
    "run_study": "api",
    "load_study": "specs.load_study",
    "SuiteSpec": "specs.suite",
    "load_suite": "specs.suite",
    "run_suite": "suites",
    "suite_report": "suites",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'specs.study')}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

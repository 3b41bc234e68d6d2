"""Find the parameter-efficient tuning method for a labelled text dataset.

How the data flows, one frozen type per arrow; calls go down the layers, results come back::

    study.yaml ─StudySpec→ tasks ─Task→ search ─TrialSpec→ training (pelt) ─RunResult→ storage
    storage ─StudyRecord→ verdict ─Verdict→ reporting ─StudyReport→ cli

The public names are loaded when they are first used, so that opening a report never imports torch.
"""

from __future__ import annotations

__version__ = "0.1.0"

"""A study in Python: its record, its report, and its tables as data frames."""

from __future__ import annotations

import html
import warnings
from functools import cached_property

import pandas as pd

from unipelt_search.records.history import StudyRecord
from unipelt_search.records.report import StudyReport
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.frames import (
    ablation_frame,
    curves_frame,
    gate_values_frame,
    gates_frame,
    leaderboard_frame,
    outcomes_frame,
    predictions_frame,
)

_NOTEBOOK_COLUMNS = (
    "method",
    "validation",
    "validation_low",
    "validation_high",
    "test",
    "stored_parameters",
    "train_seconds",
)
"""Columns of the leaderboard in a notebook."""


class Study:
    """A study as the database had it when it was opened."""

    def __init__(self, record: StudyRecord, *, interrupted: bool = False) -> None:
        """Take a record.

        Args:
            record: The study, with its details.
            interrupted: Whether the user interrupted the search that led here.
        """
        self.record = record
        self.interrupted = interrupted

    @property
    def name(self) -> str:
        """The study's name."""
        return self.record.spec.name

    @cached_property
    def report(self) -> StudyReport:
        """The complete report, as in report.json."""
        return build_report(self.record)

    @property
    def leaderboard(self) -> pd.DataFrame:
        """One row per method, best first."""
        return leaderboard_frame(self.report)

    @property
    def gates(self) -> pd.DataFrame:
        """One row per trial, layer and gate."""
        return gates_frame(self.report)

    @property
    def gate_values(self) -> pd.DataFrame:
        """One row per confirmed run, layer, gate and select row: the gate itself."""
        return gate_values_frame(self.record)

    @property
    def curves(self) -> pd.DataFrame:
        """One row per evaluation of every run, on the tune rows."""
        return curves_frame(self.report)

    @property
    def ablation(self) -> pd.DataFrame:
        """One row per submodule that was removed, in all layers (`layer` is empty) or in one."""
        return ablation_frame(self.report)

    @property
    def outcomes(self) -> pd.DataFrame:
        """One row per confirmed method, split and label: precision, recall, F1 and support."""
        return outcomes_frame(self.report)

    @property
    def predictions(self) -> pd.DataFrame:
        """One row per confirmed run, split and row of it.

        It has the row's file and line, the true label, the prediction, and the probability of each label.
        """
        return predictions_frame(self.record)

    @property
    def answers(self) -> pd.DataFrame:
        """The old name of `predictions`; deprecated."""
        warnings.warn("`Study.answers` is called `Study.predictions` now.", DeprecationWarning, stacklevel=2)
        return self.predictions

    def _repr_html_(self) -> str:
        """Show the verdict and the leaderboard in a notebook."""
        # Columns that a study lacks are empty, not an error.
        table = self.leaderboard.reindex(columns=_NOTEBOOK_COLUMNS).to_html(
            index=False, na_rep="", float_format="{:.4g}".format
        )
        name, verdict = html.escape(self.name), self.report.verdict
        title = f"<p><b>{name}</b> ({self.record.state}): <b>{html.escape(verdict.title)}</b></p>"
        return f"{title}<p>{html.escape(verdict.details)}</p>{table}"

    def __repr__(self) -> str:
        """Say the name and the verdict."""
        return f"<Study {self.name!r}, {self.record.state}: {self.report.verdict.title}>"

"""A report as one self-contained HTML page: no script, no font, no picture from anywhere else."""

from __future__ import annotations

from functools import cache
from typing import get_args

from jinja2 import Environment, PackageLoader, StrictUndefined

from unipelt_search.records.report import LeaderboardRow, StudyReport
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.figures import Axis, Cost, bar, compared_rows, leaderboard_axis, scatter, score_unit
from unipelt_search.reporting.frames import ablated
from unipelt_search.reporting.heat_maps import ablation_maps, gated_trials
from unipelt_search.reporting.label_tables import label_tables
from unipelt_search.reporting.line_charts import gate_trajectory, learning_curves
from unipelt_search.reporting.prediction_figures import (
    agreement_maps,
    calibration_figures,
    missed_table,
    threshold_figures,
)
from unipelt_search.reporting.settings_table import settings_table
from unipelt_search.reporting.verdict_words import metric_name
from unipelt_search.units import format_duration

_BAR_WIDTH = 200.0
_DROP_WIDTH = 220.0


def render_html(report: StudyReport) -> str:
    """Render a report as a page.

    Args:
        report: The report; every string in it is escaped.

    Returns:
        HTML that needs no network.
    """
    complete = ablated(report)
    drops = [row.drop for row in complete]
    gated = gated_trials(report)
    axis = leaderboard_axis(report, _BAR_WIDTH)
    scatters = [scatter(report, cost) for cost in get_args(Cost)]
    template = _environment().get_template("page.html.j2")
    return template.render(
        report=report,
        formats=formats,
        format_duration=format_duration,
        metric=metric_name(report.task.metric),
        rows={row.name: row for row in report.leaderboard},
        groups=_groups(report),
        axis=axis,
        bar=bar,
        arrows=axis is not None and _any_outside(report, axis),
        scatters=[chart for chart in scatters if chart],
        labels=label_tables(report),
        calibration=calibration_figures(report),
        thresholds=threshold_figures(report),
        missed=missed_table(report),
        agreement=agreement_maps(report),
        gated=gated,
        trajectories={entry.trial: gate_trajectory(report.gates, entry.trial) for entry in gated},
        ablation=complete,
        # Both ends include 0, from which the bars start; no drops need no axis.
        drop_axis=Axis(min(0.0, *drops), max(0.01 * score_unit(report), *drops), _DROP_WIDTH) if drops else None,
        ablation_maps=ablation_maps(report.ablation, report.task),
        curves=learning_curves(report),
        settings=settings_table(report),
    )


def _any_outside(report: StudyReport, axis: Axis) -> bool:
    return any(bar(row.validation, axis).outside for row in compared_rows(report))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("unipelt_search.reporting", "."),
        # Every text of the user is escaped, wherever the template puts it.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _groups(report: StudyReport) -> list[tuple[str, bool, list[LeaderboardRow]]]:
    """Split the leaderboard by the rows that were scored: (heading, whether it is on the axis, rows)."""
    on_axis = compared_rows(report)
    on_select = [row for row in report.leaderboard if row.phase in {"confirm", None}]
    on_tune = [row for row in report.leaderboard if row.phase not in {"confirm", None}]
    groups = [("", on_select[0] in on_axis, on_select)]
    if on_tune:
        heading = "Not confirmed: scores on the tune rows that chose the settings, not to be compared with those above"
        groups.append((heading, on_tune[0] in on_axis, on_tune))
    return groups

"""A report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from unipelt_search.records.report import LabelScore, LeaderboardRow, ReportedGate, StudyReport, Verdict
from unipelt_search.reporting import formats as formats
from unipelt_search.reporting.frames import ablated, chosen_gates
from unipelt_search.reporting.gate_words import agreement, summarise
from unipelt_search.reporting.label_tables import label_tables
from unipelt_search.reporting.prediction_figures import calibration_figures, missed_table, threshold_figures
from unipelt_search.reporting.settings_table import settings_table
from unipelt_search.reporting.verdict_words import metric_name

# An underscore between letters or digits is no emphasis, and names of methods are full of them.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~&#]|(?<![^\W_])_|_(?![^\W_])")


_BEST = " (best)"


def render_markdown(report: StudyReport) -> str:
    """Render a report as Markdown.

    Args:
        report: The report.

    Returns:
        GitHub-flavoured Markdown; a user's texts in it are plain text.
    """
    metric, task = metric_name(report.task.metric), report.task
    parts = [
        f"# {plain_text(report.study.name)}",
        *_verdict(report.verdict),
        f"Task {plain_text(task.name)} ({formats.task_kind(task)}), backbone {plain_text(report.study.backbone)}, "
        f"metric {plain_text(metric)}{', lower is better' if task.direction == 'minimize' else ''}.",
        *_leaderboard(report, metric),
        *_labels(report),
        *_probabilities(report),
        *_missed(report),
        *_agreement(report),
        *_gates(report),
        *_ablation(report, metric),
        *_notices(report),
        *_settings(report),
    ]
    if report.study.command:
        parts += ["## To run it again", _code(report.study.command)]
    return "\n\n".join(parts) + "\n"


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield f"**{plain_text(verdict.title)}**"
    if verdict.details:
        yield plain_text(verdict.details)
    if verdict.power:
        yield plain_text(verdict.power.sentence)


def _leaderboard(report: StudyReport, metric: str) -> Iterator[str]:
    marks: dict[str | None, str] = {report.verdict.name: _BEST}
    marks.update(dict.fromkeys(report.verdict.ties, " (tie)"))
    yield "## Leaderboard"
    header = ("method", metric, "test", "difference to the best", "runs", "stored parameters", "ms per example")
    body = [_leaderboard_cells(row, marks.get(row.name, "")) for row in report.leaderboard]
    yield markdown_table(header, body, numbers=range(1, len(header)))
    yield (
        f"Scores are on {formats.deciding_rows(report.task)} unless a row says tune. ± is half of the 95 % interval "
        "over seeds and rows. The intervals of the differences hold all at once."
    )
    if report.upper_bound.of:
        yield formats.upper_bound(report.upper_bound, report.task)
    if report.pareto:
        yield formats.pareto(report.pareto)


def _leaderboard_cells(row: LeaderboardRow, mark: str) -> tuple[str, ...]:
    is_best = mark == _BEST
    return (
        row.name + mark,
        formats.interval(row.validation) + formats.rows_used(row),
        formats.interval(row.test),
        formats.NONE if is_best else formats.difference(row.difference_to_best),
        formats.runs(row),
        formats.count(row.stored_parameters),
        formats.number(row.predict_ms_per_example, 2),
    )


def _labels(report: StudyReport) -> Iterator[str]:
    tables = label_tables(report)
    if tables is None:
        return
    yield f"## Labels of {tables.method}"
    yield f"On the test rows, {tables.runs} confirmed runs together; the lowest F1 first."
    body = [_label_cells(score) for score in (*tables.visible, *tables.rest)]
    yield markdown_table(("label", "F1", "precision", "recall", "rows"), body, numbers=range(1, 5))


def _label_cells(score: LabelScore) -> tuple[str, ...]:
    return (
        score.label,
        formats.score(score.f1),
        formats.score(score.precision),
        formats.score(score.recall),
        formats.count(score.support),
    )


def _probabilities(report: StudyReport) -> Iterator[str]:
    calibration, thresholds = calibration_figures(report), threshold_figures(report)
    if calibration is not None:
        yield "## Calibration"
        yield f"The expected calibration error (ECE) on the {calibration.split} rows; no choice was made by it."
        header = ("method", "mean", "lowest run", "highest run")
        body = []
        for row in calibration.rows:
            body.append((row.name, formats.score(row.ece), formats.score(row.lowest), formats.score(row.highest)))
        yield markdown_table(header, body, numbers=range(1, len(header)))
    if thresholds is not None:
        yield plain_text(thresholds.sentence)


def _missed(report: StudyReport) -> Iterator[str]:
    missed = missed_table(report)
    if missed is not None:
        yield "## Rows that every method misses"
        yield f"{plain_text(missed.sentence)} Their labels may be wrong, or their texts hard to tell apart."
        header = ("row", "label", missed.predicted, "runs", "probability")
        body = [(row.origin, row.label, row.predicted, row.share, row.probability) for row in missed.rows]
        yield markdown_table(header, body, numbers=(3, 4))


def _agreement(report: StudyReport) -> Iterator[str]:
    entries = [entry for entry in report.agreement if entry.split == "test"] or report.agreement
    if entries:
        yield "## Agreement between methods"
        body = []
        for entry in entries:
            body.append((*entry.methods, formats.share(entry.equal), formats.score(entry.kappa)))
        header = ("method", "other method", "equal predictions", "Cohen's kappa")
        yield markdown_table(header, body, numbers=(2, 3))


def _gates(report: StudyReport) -> Iterator[str]:
    by_trial: dict[int, list[ReportedGate]] = {}
    for row in chosen_gates(report):
        by_trial.setdefault(row.trial, []).append(row)
    for trial, rows in by_trial.items():
        gates = list(dict.fromkeys(row.gate for row in rows))
        found = {(row.layer, row.gate): row for row in rows}
        body = []
        for layer in sorted({row.layer for row in rows}):
            cells = [_gate_cell(found.get((layer, gate))) for gate in gates]
            body.append([str(layer), *cells])
        header = ("layer", *gates)
        yield f"## Gates of {plain_text(rows[0].name)}, trial {trial}"
        yield markdown_table(header, body, numbers=range(1, len(header)))
        yield plain_text(agreement(rows))


def _gate_cell(row: ReportedGate | None) -> str:
    if row is None:
        return formats.NONE
    summary = summarise([row])
    return summary.text if summary.apart else f"{row.mean:.3f}"


def _ablation(report: StudyReport, metric: str) -> Iterator[str]:
    complete = ablated(report)
    if complete:
        yield "## Without a submodule"
        body = []
        for row in complete:
            score, change = formats.score(row.value), formats.score_change(row, report.task)
            body.append((plain_text(row.name), row.submodule, score, change, formats.role(row)))
        yield markdown_table(("method", "without", metric, "change", "the submodule"), body, numbers=(2, 3))


def _notices(report: StudyReport) -> Iterator[str]:
    # A reason or a notice may hold text of the user: it must not be read as Markdown.
    lines = []
    for drop in report.dropped:
        lines.append(f"- {drop.method} was dropped in the {drop.phase} phase. {plain_text(drop.reason)}")
    for notice in report.notices:
        lines.append(f"- {plain_text(notice)}")
    if lines:
        yield "## What to know"
        yield "\n".join(lines)


def _settings(report: StudyReport) -> Iterator[str]:
    rows, settings = settings_table(report)
    if rows:
        yield "## Settings"
        header = ["setting"] + [f"{row.name}, trial {row.trial}" for row in rows]
        body = [(name, *values) for name, values in settings]
        yield markdown_table(header, body, numbers=range(1, len(header)))


def markdown_table(header: Sequence[str], body: Iterable[Sequence[str]], numbers: Iterable[int]) -> str:
    """Write a table.

    Args:
        header: One text per column.
        body: One text per column in every row; a user's texts among them are plain text.
        numbers: The columns, counted from 0, that are set to the right.

    Returns:
        The table, without a line break at its end.
    """
    right = set(numbers)
    rules = ["---:" if column in right else "---" for column in range(len(header))]
    lines = [_table_line(header), f"|{'|'.join(rules)}|"]
    lines += [_table_line(cells) for cells in body]
    return "\n".join(lines)


def _table_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(plain_text, cells))} |"


def _code(text: str) -> str:
    """Indent every line, which no text can break out of."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def plain_text(text: str) -> str:
    """Keep a user's text from being read as Markdown or HTML; it becomes one line."""
    return " ".join(_SPECIAL.sub(r"\\\g<0>", text).split())

"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from unipelt_search.records.report import StudyReport
from unipelt_search.reporting import words
from unipelt_search.reporting.frames import gates_frame


def render_markdown(report: StudyReport) -> str:
    """Render a report as Markdown.

    Args:
        report: The report.

    Returns:
        GitHub-flavoured Markdown.
    """
    parts = [
        f"# {_plain(report.study.name)}",
        f"**{_plain(report.verdict.sentence)}**",
        f"Task {_plain(report.task.name)}, backbone {_plain(report.study.backbone)}, metric {report.task.metric}.",
        "## Leaderboard",
        _table(
            ("method", "select", "test", "to the best", "runs", "stored parameters", "ms/example"),
            (
                (
                    row.name,
                    words.interval(row.validation),
                    words.interval(row.test),
                    words.difference(row.difference_to_best),
                    words.runs(row),
                    words.count(row.stored_parameters),
                    words.number(row.predict_ms_per_example),
                )
                for row in report.leaderboard
            ),
        ),
        *_gates(report),
        *_ablation(report),
    ]
    if report.notices or report.dropped:
        lines = [f"- Dropped in {drop.phase}: {drop.method}. {_plain(drop.reason)}" for drop in report.dropped]
        parts += ["## Notices", "\n".join([*lines, *(f"- {_plain(notice)}" for notice in report.notices)])]
    if report.study.command:
        parts += ["## Command", f"    {report.study.command}"]
    return "\n\n".join(parts) + "\n"


def _gates(report: StudyReport) -> Iterable[str]:
    for (trial, method), rows in gates_frame(report).groupby(["trial", "method"], sort=False):
        pivot = rows.pivot_table(index="layer", columns="gate", values="mean", sort=False).sort_index()
        body = ([str(layer), *(f"{value:.3f}" for value in values)] for layer, values in pivot.iterrows())
        yield f"## Gates of {method}, trial {trial}"
        yield _table(("layer", *map(str, pivot.columns)), body)


def _ablation(report: StudyReport) -> Iterable[str]:
    whole = [row for row in report.ablation if row.layer is None]
    if whole:
        yield "## Without a submodule"
        body = ((row.method, row.submodule, words.score(row.value), f"{row.drop:+.3f}") for row in whole)
        yield _table(("method", "without", report.task.metric, "drop"), body)


def _table(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(map(_plain, cells)) + " |" for cells in (header, *body)]
    lines.insert(1, "|" + "---|" * len(header))
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Keep a user's text from being read as Markdown or HTML."""
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())

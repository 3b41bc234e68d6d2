"""A report in the form that was asked for, as text or on stdout."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Literal

from rich.console import Console

from unipelt_search.records.report import StudyReport

ReportFormat = Literal["terminal", "json", "html", "markdown"]
_FILE_WIDTH = 120


def show_report(report: StudyReport, form: ReportFormat) -> None:
    """Write a report to stdout.

    Args:
        report: The report.
        form: How it is written.
    """
    if form == "terminal":
        from unipelt_search.reporting.terminal import render_terminal

        render_terminal(report, Console())
    else:
        write_text(report_text(report, form), None)


def report_text(report: StudyReport, form: ReportFormat) -> str:
    """Return a report as text.

    Args:
        report: The report.
        form: How it is written; `terminal` comes without colours, 120 columns wide.

    Returns:
        The text.
    """
    # Each form is imported when it is asked for: a terminal report must not wait for the figures of the page.
    if form == "json":
        from unipelt_search.reporting.assemble import render_json

        return render_json(report)
    if form == "html":
        from unipelt_search.reporting.page import render_html

        return render_html(report)
    if form == "markdown":
        from unipelt_search.reporting.markdown import render_markdown

        return render_markdown(report)
    from unipelt_search.reporting.terminal import render_terminal

    text = io.StringIO()
    render_terminal(report, Console(file=text, width=_FILE_WIDTH))
    return text.getvalue()


def write_text(text: str, path: Path | None) -> None:
    """Write text to a file, or to stdout where there is none, ending in one line break.

    Args:
        text: What to write.
        path: The file; its folder is made.
    """
    text = text.rstrip("\n") + "\n"
    if path is None:
        sys.stdout.write(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    sys.stderr.write(f"Wrote {path}\n")

"""Findings in the rows of a dataset as people and programs read them: a table, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unipelt_search.records.finding import MAX_DISPLAYED, Finding, FindingsError


def findings_table(findings: Sequence[Finding]) -> Table:
    """Draw the first findings.

    Args:
        findings: In the order in which they are shown.

    Returns:
        A table of at most `MAX_DISPLAYED` rows: file, lines, column, what is the matter, and what to do.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("", "file", "where", "column", "what", "fix"):
        # A line's number is looked for in an editor: it is never broken.
        table.add_column(header, overflow="fold", no_wrap=header == "where")
    for finding in findings[:MAX_DISPLAYED]:
        where = finding.where.replace(", ", "\n").replace(" and ", "\nand ")
        cells = (finding.severity, finding.source, where, finding.column, finding.matter, finding.fix)
        # Cells of the user's data may have brackets, which are no markup.
        table.add_row(*map(escape, cells))
    return table


def show_findings(findings: Sequence[Finding], count: int, console: Console) -> None:
    """Print findings as a table, and how many it leaves out.

    Args:
        findings: In the order in which they are shown.
        count: How many findings there are.
        console: Where to.
    """
    console.print(findings_table(findings))
    if count > MAX_DISPLAYED:
        console.print(f"And {count - MAX_DISPLAYED} more; --json lists them.", highlight=False)


def show_error(error: FindingsError, program: str, *, as_json: bool) -> None:
    """Say on stderr why a dataset cannot be used.

    Args:
        error: What was found.
        program: The name that messages begin with.
        as_json: Whether the user wants JSON: one object on one line.
    """
    console = Console(stderr=True)
    if as_json:
        console.out(findings_json(error), highlight=False)
        return
    console.out(f"{program}: {error.headline}", highlight=False)
    if len(error.findings) > 1 or error.other:
        show_findings(error.findings, error.count, console)
    if error.other:
        console.out(error.without_them, highlight=False)


def findings_json(error: FindingsError) -> str:
    """Write an error as one line of JSON: `error`, the sentence; `count`, of the findings; `findings`, those kept."""
    findings = [finding.model_dump(mode="json") for finding in error.findings]
    sentences = [error.headline, error.without_them] if error.other else [error.headline]
    return json.dumps({"error": " ".join(sentences), "count": error.count, "findings": findings})

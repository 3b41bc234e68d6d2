"""What `run --dry-run` prints."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unipelt_search.cli.durations import format_duration
from unipelt_search.cli.findings_view import show_findings
from unipelt_search.records.study_plan import StudyPlan
from unipelt_search.reporting.export_sentences import export_sentences
from unipelt_search.reporting.notice_sentences import described, notice_sentence


def print_plan(plan: StudyPlan, console: Console) -> None:
    """Print what a study would do.

    Args:
        plan: The plan.
        console: Where to.
    """
    rows = plan.task.rows
    decides = f"{rows['select']} select" if not plan.task.folds else f"{plan.task.folds} folds of {rows['select']}"
    outputs = f"{len(plan.task.labels)} labels" if plan.task.labels else "numbers"
    console.print(
        f"{plan.study}: {escape(plan.task.name)} ({outputs}; {rows['train']} train, "
        f"{rows['tune']} tune, {decides}, {rows['test']} test rows), "
        f"{escape(plan.backbone)} on {plan.device}, {plan.workers} at a time",
        highlight=False,
    )
    for sentence in described(plan.data):
        console.print(f"Data: {escape(sentence)}", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", overflow="fold")
    for header in ("screen trials", "trained", "stored", "one run", "confirm"):
        table.add_column(header, justify="right")
    for method in plan.methods:
        table.add_row(
            # A set of submodules has brackets, which are no markup.
            escape(method.variant or method.method),
            str(method.screen_trials),
            f"{method.trained_parameters:,}",
            f"{method.stored_parameters:,}",
            format_duration(method.run_seconds),
            format_duration(method.confirm_seconds),
        )
    console.print(table)
    console.print(
        f"{plan.tune_trials} more trials to tune, {plan.confirm_runs} runs to confirm; a run has at most {plan.steps} "
        f"steps of {plan.batch_size} rows. {plan.runs} runs in all: about {format_duration(plan.seconds)}. "
        f"While they train, their checkpoints take up to {plan.checkpoint_bytes / 1e6:,.0f} MB below "
        "--out, or where --checkpoints says.",
        highlight=False,
    )
    for sentence in export_sentences(plan.exports):
        console.print(f"Export: {escape(sentence)}", highlight=False)
    for drop in plan.left_out:
        console.print(f"Left out: {escape(drop.method)}. {escape(notice_sentence(drop.reason))}", highlight=False)
    for sentence in described(plan.notices):
        console.print(f"Note: {escape(sentence)}", highlight=False)
    if plan.findings:
        console.print("Found in the data:", highlight=False)
        show_findings(plan.findings, len(plan.findings), console)
    console.print("Nothing was started or written.", highlight=False)

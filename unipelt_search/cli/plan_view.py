"""What `run --dry-run` prints, and in a few lines `run` before it starts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unipelt_search.cli.findings_view import show_findings
from unipelt_search.records.study_plan import PlannedPhase, StudyPlan, StudyProposal
from unipelt_search.reporting.export_sentences import export_sentences
from unipelt_search.reporting.formats import short_count
from unipelt_search.reporting.notice_sentences import described, notice_sentence
from unipelt_search.units import counted, format_bytes, format_difference, format_duration

_ONLY_OF_A_PLAN = ("--dry-run", "--json")
_OF_THE_PLAN_ALONE = ("not_timed",)
"""Notices that the study itself does not have, which shows its own when it begins."""


def print_plan(plan: StudyPlan, console: Console, command: Sequence[str] = ()) -> None:
    """Print what a study would do.

    Args:
        plan: The plan.
        console: Where to.
        command: The words of the command line that asked, for the commands that are proposed; without them only their
            options are shown.
    """
    rows = plan.task.rows
    decides = f"{rows['select']} select" if not plan.task.folds else f"{plan.task.folds} folds of {rows['select']}"
    outputs = f"{len(plan.task.labels)} labels" if plan.task.labels else "numbers"
    _say(
        console,
        f"{plan.study}: {plan.task.name} ({outputs}; {rows['train']} train, {rows['tune']} tune, {decides}, "
        f"{rows['test']} test rows), {plan.backbone} on {plan.device}, {plan.workers} at a time",
    )
    for sentence in described(plan.data):
        _say(console, f"Data: {sentence}")
    console.print(_phase_table(plan))
    console.print(_method_table(plan))
    _say(console, _totals(plan))
    _say(console, _disk(plan))
    for sentence in export_sentences(plan.exports):
        _say(console, f"Export: {sentence}")
    for drop in plan.left_out:
        _say(console, f"Left out: {drop.method}. {notice_sentence(drop.reason)}")
    for sentence in described(plan.notices):
        _say(console, f"Note: {sentence}")
    if plan.findings:
        _say(console, "Found in the data:")
        show_findings(plan.findings, len(plan.findings), console)
    for line in proposal_lines(plan, command):
        # Unwrapped, since a command is to be copied.
        console.print(escape(line), highlight=False, soft_wrap=True)
    _say(console, "Nothing was started or written.")


def short_plan(plan: StudyPlan, command: Sequence[str] = ()) -> Iterator[str]:
    """Say in a few lines what a study will do.

    Args:
        plan: The plan.
        command: As for `print_plan`.

    Yields:
        One unwrapped line after another.
    """
    phases = [_phase_words(phase) for phase in plan.phases if phase.runs]
    yield f"Plan: {', then '.join(phases)}."
    for notice in plan.notices:
        if notice.code in _OF_THE_PLAN_ALONE:
            yield f"Plan: {notice_sentence(notice)}"
    yield f"Plan: {_totals(plan)}"
    yield from proposal_lines(plan, command)


def proposal_lines(plan: StudyPlan, command: Sequence[str]) -> Iterator[str]:
    """Say what fits into the time limit instead, each with the command that asks for it.

    Args:
        plan: The plan.
        command: The words of the command line that asked; none where it has not all of the options.

    Yields:
        One line after another; none where the study fits.
    """
    if not plan.proposals or plan.time_seconds is None:
        return
    limit = format_duration(plan.time_seconds)
    if plan.proposals[0].purpose == "least":
        yield f"{limit} are too little for any comparison of the methods. The least, and all that was asked for:"
    else:
        yield f"{limit} are too little for all of that. What fits, and the time that all of it needs:"
    for proposal in plan.proposals:
        yield f"  {_proposal_words(proposal)}:"
        words = proposal_command(command, proposal.options) if command else list(proposal.options)
        yield f"    {shlex.join(words)}"


def proposal_command(command: Sequence[str], options: Sequence[str]) -> list[str]:
    """Put the options of a proposal in the place of those that were given.

    Args:
        command: The words of a command line.
        options: Options, each followed by its value.

    Returns:
        The words of the other command line.
    """
    replaced = options[::2]
    kept: list[str] = []
    skip = False
    for word in command:
        flag, equals, _ = word.partition("=")
        if skip:
            skip = False
        elif flag in replaced:
            skip = not equals
        elif word not in _ONLY_OF_A_PLAN:
            kept.append(word)
    return [*kept, *options]


def _say(console: Console, sentence: str) -> None:
    # Names of methods, data and labels have brackets, which are no markup.
    console.print(escape(sentence), highlight=False)


def _totals(plan: StudyPlan) -> str:
    alike = f"A run has at most {counted(plan.steps, 'step')} of {counted(plan.batch_size, 'row')}"
    before = f", of which {format_duration(plan.start_seconds)} before the first one" if plan.start_seconds else ""
    detects = ""
    if plan.detectable is not None:
        detects = f" Such a study usually detects a difference of {format_difference(plan.detectable)}."
    runs = f"{counted(plan.runs, 'run')} in all, {plan.workers} at a time"
    return f"{alike}. {runs}: about {format_duration(plan.seconds)}{before}; less where runs stop early.{detects}"


def _disk(plan: StudyPlan) -> str:
    return (
        f"While they train, their checkpoints take up to {format_bytes(plan.checkpoint_bytes)} below --out, or where "
        "--checkpoints says."
    )


def _phase_words(phase: PlannedPhase) -> str:
    return f"{counted(phase.runs, f'{phase.phase} run')} (about {format_duration(phase.seconds)})"


def _proposal_words(proposal: StudyProposal) -> str:
    parts = [
        counted(len(proposal.methods), "method"),
        counted(proposal.trials, "trial"),
        counted(proposal.seeds, "seed"),
        f"runs of {counted(proposal.steps, 'step')}",
    ]
    if proposal.detectable is not None:
        parts.append(f"detectable difference {format_difference(proposal.detectable)}")
    limit, needed = format_duration(proposal.time_seconds), format_duration(proposal.seconds)
    return f"{limit}: {', '.join(parts)}, about {needed}"


def _phase_table(plan: StudyPlan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("phase")
    for header in ("trials", "runs", "steps", "rows trained on", "rows scored", "time"):
        table.add_column(header, justify="right", no_wrap=header == "time")
    for phase in plan.phases:
        counts = (phase.trials, phase.runs, phase.steps, phase.trained_rows, phase.scored_rows)
        table.add_row(phase.phase, *(f"{count:,}" for count in counts), format_duration(phase.seconds))
    return table


def _method_table(plan: StudyPlan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", overflow="fold")
    for header in ("screen trials", "steps", "trained", "stored", "one run", "confirm runs", "confirm"):
        table.add_column(header, justify="right", no_wrap=header in {"one run", "confirm"})
    for method in plan.methods:
        table.add_row(
            # A set of submodules has brackets, which are no markup.
            escape(method.variant or method.method),
            str(method.screen_trials),
            f"{method.steps:,}",
            short_count(method.trained_parameters),
            short_count(method.stored_parameters),
            format_duration(method.run_seconds),
            str(method.confirm_runs),
            format_duration(method.confirm_seconds),
        )
    return table

"""What is seen on stderr while a study runs. Results never go here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from unipelt_search.cli.plan_view import short_plan
from unipelt_search.records.progress import BestTrial, StudyProgress
from unipelt_search.records.study_stage import OnStage, StageName, StudyStage, unheard
from unipelt_search.reporting.notice_sentences import described
from unipelt_search.units import format_duration

Watch = Callable[[StudyProgress], None]
_FIRST_FINDINGS = 5
"""Findings in the data that have a line each before a study starts."""
_STAGES: dict[StageName, str] = {
    "request": "checking the request",
    "read": "reading {subject}",
    "check": "checking the rows of {subject}",
    "load": "loading {subject}",
    "attach": "trying every method on {subject}",
    "encode": "turning {number:,} rows into tokens",
    "time": "timing {subject}, method {number} of {of}",
    "plan": "planned {subject}",
    "workers": "starting the workers",
}


@contextmanager
def watch_study(console: Console, *, quiet: bool, as_json: bool) -> Iterator[Watch]:
    """Open the view of a running study and give the function that feeds it.

    Args:
        console: Writes to stderr.
        quiet: Show nothing.
        as_json: Write every snapshot as one line of JSON.

    Yields:
        A function that takes each snapshot.
    """
    if quiet:
        yield lambda progress: None
    elif as_json:
        yield lambda progress: console.out(progress.model_dump_json(), highlight=False)
    elif not console.is_terminal:
        yield lambda progress: console.out(event_line(progress), highlight=False)
    else:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield lambda progress: live.update(live_picture(progress))


def stage_lines(
    console: Console, *, quiet: bool, as_json: bool, command: Sequence[str] = (), with_data: bool = True
) -> OnStage:
    """Give the function that tells what is done before the first run, a line per stage.

    Args:
        console: Writes to stderr.
        quiet: Tell nothing.
        as_json: Tell nothing either: there is no snapshot yet.
        command: The words of the command line that asked, for the commands that a plan proposes.
        with_data: Tell how the data was read, too; False where the whole plan will say so.

    Returns:
        A function that takes each stage.
    """
    if quiet or as_json:
        return unheard
    began = time.monotonic()

    def show(stage: StudyStage) -> None:
        for line in _data_lines(stage) if with_data else ():
            console.out(f"Data: {line}", highlight=False)
        console.out(f"[{format_duration(time.monotonic() - began)}] {stage_line(stage)}", highlight=False)
        if stage.plan is not None:
            for line in short_plan(stage.plan, command):
                console.out(line, highlight=False)

    return show


def _data_lines(stage: StudyStage) -> Iterator[str]:
    """Say how the data was read, and the first of what is odd in it."""
    yield from described(stage.data)
    for finding in stage.findings[:_FIRST_FINDINGS]:
        yield finding.line
    more = len(stage.findings) - _FIRST_FINDINGS
    if more > 0:
        yield f"{more} more findings; --dry-run lists them."


def stage_line(stage: StudyStage) -> str:
    """Say in a few words what has begun, for example ``timing lora, method 3 of 7``."""
    return _STAGES[stage.name].format(subject=stage.subject, number=stage.number, of=stage.of)


def event_line(progress: StudyProgress) -> str:
    """Say in one line what has just happened and how far the study is.

    Args:
        progress: The snapshot.

    Returns:
        For example ``[3 min 20 s] tune, trial 9 of 14, run 9 of 20: trial 8 lora scored 0.81``.
    """
    return f"[{format_duration(progress.seconds_elapsed)}] {_work_progress(progress)}: {progress.event}"


def live_picture(progress: StudyProgress) -> RenderableType:
    """Draw a snapshot: how far, what runs now, and the leaderboard so far.

    Args:
        progress: The snapshot.

    Returns:
        Something that rich can show.
    """
    left = "" if progress.seconds_left is None else f", about {format_duration(progress.seconds_left)} left"
    bar = Table.grid(padding=(0, 2, 0, 0))  # a progress bar alone does not end its line
    bar.add_column(width=40)
    bar.add_row(
        ProgressBar(total=max(progress.runs_asked, 1), completed=progress.runs_done),
        Text(f"{format_duration(progress.seconds_elapsed)}{left}", style="dim"),
    )
    parts: list[RenderableType] = [
        Text.assemble((progress.study, "bold"), f"  {_work_progress(progress)}"),
        bar,
    ]
    if progress.standings:
        parts.append(_leaderboard(progress.standings, progress.metric))
    parts.extend(Text(f"running: {work}", style="cyan") for work in progress.running)
    parts.append(Text(progress.event, style="dim"))
    return Group(*parts)


def _work_progress(progress: StudyProgress) -> str:
    return (
        f"{progress.phase}, trials {progress.trials_done} of {progress.trials_asked}, "
        f"runs {progress.runs_done} of {progress.runs_asked}"
    )


def _leaderboard(standings: tuple[BestTrial, ...], metric: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("so far", "trial", "phase", "runs"):
        justify: Literal["left", "right"] = "left" if column in {"so far", "phase"} else "right"
        # A set of submodules has a long name, which is folded before a number is cut.
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column != "so far")
    table.add_column(metric, justify="right", no_wrap=True)
    for candidate in standings:
        runs = str(candidate.runs) if candidate.runs else ""
        # A set of submodules has brackets, which are no markup.
        name = escape(candidate.variant or candidate.method)
        table.add_row(name, str(candidate.trial), candidate.phase, runs, f"{candidate.score:.3f}")
    return table

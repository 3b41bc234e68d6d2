from __future__ import annotations

import io
from typing import Any

from made_record import made_record
from rich.console import Console

from unipelt_search.cli.plan_view import print_plan, proposal_command, proposal_lines, short_plan
from unipelt_search.records.history import DroppedMethod
from unipelt_search.records.notice import Notice
from unipelt_search.records.study_plan import PlannedMethod, PlannedPhase, StudyPlan, StudyProposal


def test_numbers_have_no_count_of_labels() -> None:
    task = made_record().task.model_copy(update={"kind": "regression", "labels": ()})
    plan = StudyPlan(
        study="q", task=task, backbone="m", device="cpu", workers=1, steps=1, batch_size=1, methods=(), tune_trials=0,
        confirm_runs=0, runs=0, seconds=0, left_out=(), notices=(),
    )  # fmt: skip
    stream = io.StringIO()
    print_plan(plan, Console(file=stream, width=200))
    assert "q: questions (numbers; 100 train" in stream.getvalue()


def planned(**changes: Any) -> StudyPlan:
    method = PlannedMethod(
        method="lora", screen_trials=2, trained_parameters=76_038, stored_parameters=76_038, run_seconds=75,
        confirm_seconds=240, steps=150, confirm_runs=3,
    )  # fmt: skip
    phases = (
        PlannedPhase(phase="screen", trials=2, runs=2, steps=300, trained_rows=4800, scored_rows=4000, seconds=150),
        PlannedPhase(phase="tune", trials=0, runs=0, steps=0, trained_rows=0, scored_rows=0, seconds=0),
        PlannedPhase(phase="confirm", trials=1, runs=3, steps=450, trained_rows=7200, scored_rows=6000, seconds=240),
    )
    plan = StudyPlan(
        study="questions", task=made_record().task, backbone="[minilm]", device="cpu", workers=2, steps=150,
        batch_size=16, methods=(method,), tune_trials=3, confirm_runs=3, runs=8, seconds=3700, start_seconds=45,
        phases=phases, detectable=0.064, checkpoint_bytes=12_400_000,
        left_out=(DroppedMethod(method="bitfit", phase="screen", reason="It has no [biases]."),),
        notices=("A notice.",),
        data=(Notice(code="legacy", severity="fact", values={"sentence": "Read [9] rows."}),),
    )  # fmt: skip
    return plan.model_copy(update=changes)


def printed(plan: StudyPlan, command: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    print_plan(plan, Console(file=stream, width=200), command)
    return stream.getvalue()


def test_the_plan_names_rows_methods_phases_and_time() -> None:
    text = printed(planned())
    rows = [line.split() for line in text.splitlines()]
    assert ["screen", "2", "2", "300", "4,800", "4,000", "2", "min", "30", "s"] in rows
    assert ["confirm", "1", "3", "450", "7,200", "6,000", "4", "min"] in rows
    assert ["lora", "2", "150", "76k", "76k", "1", "min", "15", "s", "3", "4", "min"] in rows
    flat = " ".join(text.split())  # lines are wrapped
    for words in (
        "questions: questions (3 labels; 100 train, 200 tune, 200 select, 500 test rows), [minilm] on cpu, 2 at a time",
        "A run has at most 150 steps of 16 rows. 8 runs in all, 2 at a time: about 1 h 02 min, of which 45 s before",
        "usually detects a difference of 0.06 in accuracy.",
        "their checkpoints take up to 12 MB below --out, or where --checkpoints says.",
        "Data: Read [9] rows.",
        "Left out: bitfit. It has no [biases].",
        "Note: A notice.",
        "Nothing was started or written.",
    ):
        assert words in flat


COMMAND = ("unipelt-search", "run", "--data", "a b.csv", "--time=30m", "--seeds", "5", "--dry-run", "--json")
OPTIONS = ("--methods", "head,lora", "--seeds", "3", "--time", "1h30m")


def test_a_proposal_is_a_command_to_copy() -> None:
    proposal = StudyProposal(
        purpose="fits", methods=("head", "lora"), trials=4, seeds=3, steps=150, time_seconds=1800, seconds=1500,
        detectable=0.064, options=OPTIONS,
    )  # fmt: skip
    plan = planned(proposals=(proposal,), time_seconds=1800.0)
    command = "unipelt-search run --data 'a b.csv' --methods head,lora --seeds 3 --time 1h30m"
    for text in (printed(plan, COMMAND), "\n".join(short_plan(plan, COMMAND))):
        assert f"    {command}" in text.splitlines()
        assert "30 min: 2 methods, 4 trials, 3 seeds, runs of 150 steps, detectable difference 0.06 in accuracy" in text
    assert f"    {' '.join(OPTIONS)}" in printed(plan).splitlines()
    least = plan.model_copy(update={"proposals": (proposal.model_copy(update={"purpose": "least"}),)})
    first_lines = [next(proposal_lines(each, COMMAND)) for each in (plan, least)]
    assert first_lines[0] != first_lines[1]


def test_options_are_replaced_however_they_were_written() -> None:
    assert proposal_command(COMMAND, OPTIONS) == ["unipelt-search", "run", "--data", "a b.csv", *OPTIONS]
    assert proposal_command(COMMAND, ()) == [
        "unipelt-search", "run", "--data", "a b.csv", "--time=30m", "--seeds", "5",
    ]  # fmt: skip


def test_the_short_plan_leaves_out_phases_without_runs() -> None:
    first, *others = short_plan(planned())
    assert "2 screen runs (about 2 min 30 s), then 3 confirm runs (about 4 min)" in first
    assert "tune" not in first
    assert len(others) == 1
    untimed = Notice(code="not_timed", severity="warning", values={"method": "prefix", "cause": "No memory."})
    lines = list(short_plan(planned(notices=(untimed, *planned().notices))))
    assert [line for line in lines if "prefix" in line] == [
        "Plan: prefix was not timed, so the estimate is without it. No memory."
    ]


def test_one_of_a_thing_is_no_more_than_one() -> None:
    plan = planned(steps=1, batch_size=1, runs=1)
    assert "at most 1 step of 1 row. 1 run in all" in " ".join(printed(plan).split())

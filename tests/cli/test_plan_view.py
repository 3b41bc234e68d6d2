from __future__ import annotations

import io

from made_record import made_record
from rich.console import Console

from unipelt_search.cli.plan_view import print_plan
from unipelt_search.records.history import DroppedMethod
from unipelt_search.records.notice import Notice
from unipelt_search.records.study_plan import PlannedMethod, StudyPlan


def test_numbers_have_no_count_of_labels() -> None:
    task = made_record().task.model_copy(update={"kind": "regression", "labels": ()})
    plan = StudyPlan(
        study="q", task=task, backbone="m", device="cpu", workers=1, steps=1, batch_size=1, methods=(), tune_trials=0,
        confirm_runs=0, runs=0, seconds=0, left_out=(), notices=(),
    )  # fmt: skip
    stream = io.StringIO()
    print_plan(plan, Console(file=stream, width=200))
    assert "q: questions (numbers; 100 train" in stream.getvalue()


def test_the_plan_names_rows_methods_runs_and_time() -> None:
    method = PlannedMethod(
        method="lora", screen_trials=2, trained_parameters=76_038, stored_parameters=76_038, run_seconds=75,
        confirm_seconds=240,
    )  # fmt: skip
    plan = StudyPlan(
        study="questions", task=made_record().task, backbone="[minilm]", device="cpu", workers=2, steps=150, 
        batch_size=16, methods=(method,), tune_trials=3, confirm_runs=3, runs=8, seconds=3700,
        checkpoint_bytes=12_400_000,
        left_out=(DroppedMethod(method="bitfit", phase="screen", reason="It has no [biases]."),),
        notices=("A notice.",),
        data=(Notice(code="legacy", severity="fact", values={"sentence": "Read [9] rows."}),),
    )  # fmt: skip
    stream = io.StringIO()
    print_plan(plan, Console(file=stream, width=200))
    text = " ".join(stream.getvalue().split())  # lines are wrapped
    for words in (
        "questions: questions (3 labels; 100 train, 200 tune, 200 select, 500 test rows), [minilm] on cpu, 2 at a time",
        "3 more trials to tune, 3 runs to confirm; a run has at most 150 steps of 16 rows.",
        "8 runs in all: about 1 h 01 min. While they train, their checkpoints take up to 12 MB below --out, or "
        "where --checkpoints says.",
        "Data: Read [9] rows.",
        "Left out: bitfit. It has no [biases].",
        "Note: A notice.",
        "Nothing was started or written.",
        "76,038",
    ):
        assert words in text

"""How long a study would take, from a few timed steps of each method."""

from __future__ import annotations

from collections.abc import Mapping

from unipelt_search.records.history import DroppedMethod, TaskSummary
from unipelt_search.records.study_plan import PlannedMethod, StudyPlan
from unipelt_search.search.capacity import Capacity
from unipelt_search.search.plan import SCREEN_ROUNDS
from unipelt_search.search.space import steps_for
from unipelt_search.specs.methods import METHODS
from unipelt_search.specs.study import StudySpec
from unipelt_search.training.evaluate import ABLATION_ROWS
from unipelt_search.training.train import RunTiming


def forecast(
    spec: StudySpec,
    task: TaskSummary,
    timings: Mapping[str, RunTiming],
    capacity: Capacity,
    layers: int,
    left_out: tuple[DroppedMethod, ...],
) -> StudyPlan:
    """Plan a study and estimate its time.

    Args:
        spec: What is asked.
        task: The task's rows.
        timings: For each method that can attach, what a few of its steps took.
        capacity: Where it would run.
        layers: Layers of the backbone, which the ablation visits one by one.
        left_out: Methods that cannot attach.

    Returns:
        The plan.
    """
    rounds = min(SCREEN_ROUNDS, spec.budget.trials // len(timings))
    tune_trials = spec.budget.trials - rounds * len(timings)
    steps = steps_for(task.rows["train"], spec.space)
    methods = tuple(_planned(spec, task, name, timing, steps, rounds, layers) for name, timing in timings.items())
    screen = sum(rounds * method.run_seconds for method in methods)
    tune = tune_trials * sum(method.run_seconds for method in methods) / len(methods)
    seconds = (screen + tune + sum(method.confirm_seconds for method in methods)) / capacity.workers
    notices = list(task.notices)
    limit = spec.budget.time_seconds
    if limit is not None and limit < seconds:
        notices.append(
            f"The time limit of {limit:g} s is shorter than the estimate of {seconds:.0f} s: the last rounds, trials "
            "and seeds will be left out."
        )
    confirm_runs = spec.budget.seeds * len(methods)
    return StudyPlan(
        study=spec.name,
        task=task,
        backbone=spec.backbone.model,
        device=capacity.device,
        workers=capacity.workers,
        steps=steps,
        batch_size=spec.space.batch_size,
        methods=methods,
        tune_trials=tune_trials,
        confirm_runs=confirm_runs,
        runs=spec.budget.trials + confirm_runs,
        seconds=seconds,
        left_out=left_out,
        notices=tuple(notices),
    )


def _planned(
    spec: StudySpec, task: TaskSummary, name: str, timing: RunTiming, steps: int, rounds: int, layers: int
) -> PlannedMethod:
    tune_rows = min(task.rows["tune"], spec.space.tune_rows)
    evaluated = min(spec.space.evaluations, steps) * tune_rows
    scored = task.rows["select"] + task.rows["test"]
    if METHODS[name].gated:  # the gates before the first step and with the final weights take passes of their own
        evaluated += tune_rows
        scored += 2 * task.rows["select"]
    submodules = len(METHODS[name].submodules)
    passes = submodules * (layers + 1) + 1 if submodules else 0
    ablation = passes * min(task.rows["select"], ABLATION_ROWS) * timing.row_seconds
    run_seconds = steps * timing.step_seconds + evaluated * timing.row_seconds
    return PlannedMethod(
        method=name,
        screen_trials=rounds,
        trained_parameters=timing.trained_parameters,
        stored_parameters=timing.stored_parameters,
        run_seconds=run_seconds,
        confirm_seconds=spec.budget.seeds * (run_seconds + scored * timing.row_seconds) + ablation,
    )

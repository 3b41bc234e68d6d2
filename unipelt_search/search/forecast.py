"""How long a study would take, from a few timed steps of each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import find_method
from unipelt_search.records.history import DroppedMethod, TaskSummary
from unipelt_search.records.notice import Notice, NoticeValue, facts, without_facts
from unipelt_search.records.results import ABLATION_ROWS
from unipelt_search.records.run_timing import RunTiming
from unipelt_search.records.study_plan import PlannedMethod, StudyPlan
from unipelt_search.search.asked_ablation import asked_ablation
from unipelt_search.search.capacity import Capacity
from unipelt_search.search.plan import CONFIRM_SHARE, screen_rounds
from unipelt_search.search.sizes import within_limit
from unipelt_search.search.space import FEWEST_STEPS, configured, published, steps_for
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.specs.variants import Variant, pruned_name

_SPARED = 0.9
"""Share of a time limit that is planned; the rest is for starting up, and for what takes longer than it was timed."""


def forecast(
    spec: StudySpec,
    task: TaskSummary,
    timings: Mapping[str, RunTiming],
    capacity: Capacity,
    layers: int,
    left_out: tuple[DroppedMethod, ...],
    basis: Basis,
) -> StudyPlan:
    """Plan a study and estimate its time.

    Args:
        spec: What is asked.
        task: The task's rows.
        timings: For each method that can attach, and for each of the user's configurations by its name, what a few of
            its steps took.
        capacity: Where it would run.
        layers: Layers of the backbone, which the ablation visits one by one.
        left_out: Methods that cannot attach.
        basis: The study's edition and backbone.

    Returns:
        The plan.
    """
    names = [name for name in spec.space.methods if name in timings]
    own = spec.space.configurations
    rounds = screen_rounds(spec.budget.trials, len(names), len(own))
    # Where only the user's own configurations are left there is nothing to tune.
    tune_trials = spec.budget.trials - rounds * len(names) - len(own) if names else 0
    tuned = [_plan_method(spec, task, name, timings[name], rounds, layers, basis) for name in names]
    fixed = [_plan_variant(spec, task, given, timings[given.name], layers, basis) for given in own]
    pruned = _plan_pruned([*tuned, *fixed]) if spec.space.prune_gates else []
    methods = (*tuned, *fixed, *pruned)
    confirm_runs = spec.budget.seeds * max(task.folds, 1) * len(methods)
    seconds = (_search_seconds(methods, tuned, tune_trials) + _confirm_seconds(methods)) / capacity.workers
    return StudyPlan(
        study=spec.name,
        task=task,
        data=facts(task.notices),
        backbone=spec.backbone.model,
        device=capacity.device,
        workers=capacity.workers,
        steps=steps_for(task.rows["train"], spec.space),
        batch_size=spec.space.batch_size,
        methods=methods,
        tune_trials=tune_trials,
        confirm_runs=confirm_runs,
        runs=sum(method.screen_trials for method in methods) + tune_trials + confirm_runs,
        seconds=seconds,
        left_out=left_out,
        notices=(*without_facts(task.notices), *_warnings(spec, seconds)),
    )


def _plan_method(
    spec: StudySpec,
    task: TaskSummary,
    method: str,
    timing: RunTiming,
    rounds: int,
    layers: int,
    basis: Basis,
) -> PlannedMethod:
    """Plan a method with its published settings, tried once per screen round."""
    first = published(method, spec.space, task.rows["train"], basis)[0]
    trial = within_limit(first, spec.space, task, basis)
    passes = asked_ablation(method, spec.space, basis.edition).passes(layers)
    return _planned(spec, task, trial, None, timing, rounds, passes)


def _plan_variant(
    spec: StudySpec, task: TaskSummary, variant: Variant, timing: RunTiming, layers: int, basis: Basis
) -> PlannedMethod:
    """Plan a configuration of the user's, tried once."""
    trial = configured(variant, spec.space, task.rows["train"], basis)
    passes = asked_ablation(variant.method, spec.space, basis.edition).passes(layers)
    return _planned(spec, task, trial, variant.name, timing, 1, passes)


def _plan_pruned(methods: Sequence[PlannedMethod]) -> list[PlannedMethod]:
    """Plan the pruned variant of each gated finalist, tried once and confirmed; at most as slow as the whole one."""
    return [
        method.model_copy(update={"variant": pruned_name(method.variant or method.method), "screen_trials": 1})
        for method in methods
        if find_method(method.method).gated
    ]


def _search_seconds(methods: Sequence[PlannedMethod], tuned: Sequence[PlannedMethod], tune_trials: int) -> float:
    """Add up the screen and tune runs; which methods will be tuned is not known, so they count alike."""
    screen = sum(method.screen_trials * method.run_seconds for method in methods)
    tune = tune_trials * fmean(method.run_seconds for method in tuned) if tuned else 0.0
    return screen + tune


def _confirm_seconds(methods: Sequence[PlannedMethod]) -> float:
    return sum(method.confirm_seconds for method in methods)


def steps_within(
    spec: StudySpec,
    task: TaskSummary,
    timings: Mapping[str, RunTiming],
    capacity: Capacity,
    layers: int,
    basis: Basis,
) -> int:
    """Choose the steps of a run so that a study fits into its time limit whole.

    Args:
        spec: What is asked.
        task: The task's rows.
        timings: As for `forecast`.
        capacity: Where it would run.
        layers: Layers of the backbone.
        basis: The study's edition and backbone.

    Returns:
        The study's own steps where it gives them, or without a limit; else the most steps with which both the search
        and the whole study end in time, at least `FEWEST_STEPS`.
    """
    most = steps_for(task.rows["train"], spec.space)
    limit = spec.budget.time_seconds
    if limit is None or spec.space.steps is not None:
        return most

    def fits(steps: int) -> bool:
        space = spec.space.model_copy(update={"steps": steps})
        shorter = spec.model_copy(update={"space": space})
        plan = forecast(shorter, task, timings, capacity, layers, (), basis)
        search = plan.seconds - _confirm_seconds(plan.methods) / capacity.workers
        return plan.seconds <= _SPARED * limit and search <= _SPARED * (1 - CONFIRM_SHARE) * limit

    if fits(most):
        return most
    fewest = min(FEWEST_STEPS, most)
    return max((steps for steps in range(fewest, most) if fits(steps)), default=fewest)


def _warnings(spec: StudySpec, seconds: float) -> tuple[Notice, ...]:
    limit = spec.budget.time_seconds
    if limit is None or limit >= seconds:
        return ()
    values: dict[str, NoticeValue] = {"limit": limit, "estimate": seconds}
    return (Notice(code="time_limit_short", severity="warning", values=values),)


def _planned(
    spec: StudySpec,
    task: TaskSummary,
    trial: TrialSpec,
    variant: str | None,
    timing: RunTiming,
    trials: int,
    passes: int,
) -> PlannedMethod:
    """Estimate a configuration's runs: the steps, what is scored at evaluations, and what confirm scores beside.

    Its ablation takes some passes over the select rows.
    """
    method = find_method(trial.method)
    steps = trial.training.steps
    tune_rows = min(task.rows["tune"], spec.space.tune_rows)
    evaluated = min(trial.training.evaluations, steps) * tune_rows
    folds = max(task.folds, 1)
    select_rows = round(task.rows["select"] / folds)
    scored = select_rows + task.rows["test"]
    if method.gated:
        # The gates before the first step and with the final weights take passes of their own.
        evaluated += tune_rows
        scored += 2 * select_rows
    ablation = passes * min(select_rows, ABLATION_ROWS) * timing.row_seconds
    run_seconds = steps * timing.step_seconds + evaluated * timing.row_seconds
    return PlannedMethod(
        method=method.name,
        variant=variant,
        screen_trials=trials,
        trained_parameters=timing.trained_parameters,
        stored_parameters=timing.stored_parameters,
        run_seconds=run_seconds,
        confirm_seconds=spec.budget.seeds * folds * (run_seconds + scored * timing.row_seconds) + ablation,
    )

"""How long a study would take, phase by phase, from a few timed steps of each method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import find_method
from unipelt_search.records.history import DroppedMethod, TaskSummary
from unipelt_search.records.notice import Notice, NoticeValue, facts, without_facts
from unipelt_search.records.results import ABLATION_ROWS
from unipelt_search.records.run_timing import RunTiming
from unipelt_search.records.study_plan import PlannedMethod, PlannedPhase, StudyPlan
from unipelt_search.search.asked_ablation import asked_ablation
from unipelt_search.search.capacity import Capacity
from unipelt_search.search.plan import CONFIRM_SHARE, screen_rounds
from unipelt_search.search.schedule import wall_seconds
from unipelt_search.search.sizes import within_limit
from unipelt_search.search.space import FEWEST_STEPS, configured, published, steps_for
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import Phase, TrialSpec
from unipelt_search.specs.variants import Variant, pruned_name
from unipelt_search.verdict.power import expected_detectable

SPARED = 0.9
"""Share of a time limit that is planned; the rest is for what takes longer than it was timed."""


@dataclass(frozen=True)
class Measured:
    """What is known of the time that a study takes where it would run."""

    capacity: Capacity
    layers: int
    """Layers of the backbone, which the ablation visits one by one."""
    timings: Mapping[str, RunTiming] = field(default_factory=dict)
    """For each method that can attach, and for each of the user's configurations by its name, what a few of its steps
    took."""
    start_seconds: float = 0.0
    """Seconds before the first run trains."""


@dataclass(frozen=True)
class _Work:
    """What one run does at most."""

    steps: int
    trained_rows: int
    scored_rows: int
    seconds: float

    def plus(self, other: _Work, times: int = 1) -> _Work:
        return _Work(
            self.steps + times * other.steps,
            self.trained_rows + times * other.trained_rows,
            self.scored_rows + times * other.scored_rows,
            self.seconds + times * other.seconds,
        )


@dataclass(frozen=True)
class _Entry:
    """A method or configuration of the study, and what its runs do."""

    planned: PlannedMethod
    search: _Work
    confirm: _Work
    first: _Work
    """The first confirm run, on which is measured what is measured once per method."""

    def confirm_run(self, number: int) -> _Work:
        """Return a confirm run, counted from 0."""
        return self.confirm if number else self.first


def forecast(
    spec: StudySpec,
    task: TaskSummary,
    measured: Measured,
    left_out: tuple[DroppedMethod, ...],
    basis: Basis,
) -> StudyPlan:
    """Plan a study and estimate its time.

    Args:
        spec: What is asked.
        task: The task's rows.
        measured: Where it would run, and how long steps take there.
        left_out: Methods that cannot attach.
        basis: The study's edition and backbone.

    Returns:
        The plan.
    """
    costs = _Costs(spec, task, measured, basis)
    names = [name for name in spec.space.methods if name in measured.timings]
    own = spec.space.configurations
    rounds = screen_rounds(spec.budget.trials, len(names), len(own))
    # Where only the user's own configurations are left there is nothing to tune.
    tune_trials = spec.budget.trials - rounds * len(names) - len(own) if names else 0
    tuned = [costs.method(name, rounds) for name in names]
    fixed = [costs.variant(given) for given in own]
    pruned = _pruned([*tuned, *fixed]) if spec.space.prune_gates else []
    entries = (*tuned, *fixed, *pruned)
    phases = _phases(entries, tuned, tune_trials, measured.capacity.workers)
    seconds = measured.start_seconds + sum(phase.seconds for phase in phases)
    return StudyPlan(
        study=spec.name,
        task=task,
        data=facts(task.notices),
        backbone=spec.backbone.model,
        device=measured.capacity.device,
        workers=measured.capacity.workers,
        steps=steps_for(task.rows["train"], spec.space),
        batch_size=spec.space.batch_size,
        methods=tuple(entry.planned for entry in entries),
        tune_trials=tune_trials,
        confirm_runs=phases[-1].runs,
        runs=sum(phase.runs for phase in phases),
        seconds=seconds,
        start_seconds=measured.start_seconds,
        phases=phases,
        detectable=_detectable(spec, task, len(entries)),
        time_seconds=spec.budget.time_seconds,
        left_out=left_out,
        notices=(*without_facts(task.notices), *_warnings(spec, seconds)),
    )


def steps_within(spec: StudySpec, task: TaskSummary, measured: Measured, basis: Basis) -> int:
    """Choose the steps of a run so that a study fits into its time limit whole.

    Args:
        spec: What is asked.
        task: The task's rows.
        measured: As for `forecast`.
        basis: The study's edition and backbone.

    Returns:
        The study's own steps where it gives them, or without a limit; else the most steps with which both the search
        and the whole study end in time, at least `FEWEST_STEPS`.
    """
    most = steps_for(task.rows["train"], spec.space)
    if spec.budget.time_seconds is None or spec.space.steps is not None:
        return most

    def enough_time(steps: int) -> bool:
        return fits(forecast(with_steps(spec, steps), task, measured, (), basis))

    if enough_time(most):
        return most
    # More steps never take less time.
    low, high = min(FEWEST_STEPS, most), most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if enough_time(middle) else (low, middle)
    return low


def with_steps(spec: StudySpec, steps: int) -> StudySpec:
    """Return the same study with so many steps per run."""
    return spec.model_copy(update={"space": spec.space.model_copy(update={"steps": steps})})


def fits(plan: StudyPlan) -> bool:
    """Tell whether a study's time limit allows its search and all of it, with something to spare."""
    return plan.time_seconds is None or time_needed(plan) <= plan.time_seconds


def time_needed(plan: StudyPlan) -> float:
    """Return the seconds that a time limit must allow at least, so that a study fits into it whole."""
    confirm = sum(phase.seconds for phase in plan.phases if phase.phase == "confirm")
    search = plan.seconds - confirm
    return max(plan.seconds, search / (1 - CONFIRM_SHARE)) / SPARED


class _Costs:
    """Estimates what the runs of methods and configurations do."""

    def __init__(self, spec: StudySpec, task: TaskSummary, measured: Measured, basis: Basis) -> None:
        self._spec = spec
        self._task = task
        self._measured = measured
        self._basis = basis
        self._folds = max(task.folds, 1)

    def method(self, name: str, rounds: int) -> _Entry:
        """Plan a method with its published settings, tried once per screen round."""
        first = published(name, self._spec.space, self._task.rows["train"], self._basis)[0]
        trial = within_limit(first, self._spec.space, self._task, self._basis)
        return self._entry(trial, None, self._measured.timings[name], rounds)

    def variant(self, given: Variant) -> _Entry:
        """Plan a configuration of the user's, tried once."""
        trial = configured(given, self._spec.space, self._task.rows["train"], self._basis)
        return self._entry(trial, given.name, self._measured.timings[given.name], 1)

    def _entry(self, trial: TrialSpec, variant: str | None, timing: RunTiming, trials: int) -> _Entry:
        search = self._search(trial, timing)
        confirm = search.plus(self._scoring(trial, timing))
        first = confirm.plus(self._once(trial, timing, confirm))
        runs = self._spec.budget.seeds * self._folds
        planned = PlannedMethod(
            method=trial.method,
            variant=variant,
            screen_trials=trials,
            trained_parameters=timing.trained_parameters,
            stored_parameters=timing.stored_parameters,
            run_seconds=search.seconds,
            confirm_seconds=first.plus(confirm, runs - 1).seconds,
            steps=search.steps,
            confirm_runs=runs,
        )
        return _Entry(planned, search, confirm, first)

    def _search(self, trial: TrialSpec, timing: RunTiming) -> _Work:
        """Estimate a screen or tune run: its steps, and what its evaluations score."""
        steps = trial.training.steps
        evaluated = min(trial.training.evaluations, steps) * self._tune_rows
        if trial.gate is not None:
            evaluated += self._tune_rows  # the gates before the first step take a pass of their own
        alone = timing.start_seconds + steps * timing.step_seconds
        trained = _Work(steps, steps * trial.training.batch_size, 0, alone * self._measured.capacity.slowdown)
        return trained.plus(self._passes(timing, evaluated))

    def _scoring(self, trial: TrialSpec, timing: RunTiming) -> _Work:
        """Estimate what a confirm run does beyond a search run."""
        rows = self._select_rows + self._task.rows["test"]
        if trial.gate is not None:
            rows += 2 * self._select_rows  # the gates before the first step, and with the final weights
        return self._passes(timing, rows)

    def _once(self, trial: TrialSpec, timing: RunTiming, confirm: _Work) -> _Work:
        """Estimate what is done only with the first confirm run of a method."""
        space = self._spec.space
        layers = self._measured.layers
        removals = asked_ablation(trial.method, space, self._basis.edition).passes(layers)
        rows = removals * min(self._select_rows, ABLATION_ROWS)
        gated = find_method(trial.method).gated
        if gated and space.prune_gates:
            # Every submodule is taken out of every layer alone, and then together with others.
            pairs = len(find_method(trial.method).submodules) * layers
            rows += (1 + 2 * pairs) * self._tune_rows
        work = self._passes(timing, rows)
        # The label-shuffled control is one more run of the same kind.
        return work.plus(confirm) if gated and space.gate_null else work

    def _passes(self, timing: RunTiming, rows: int) -> _Work:
        return _Work(0, 0, rows, rows * timing.row_seconds * self._measured.capacity.slowdown)

    @property
    def _tune_rows(self) -> int:
        return min(self._task.rows["tune"], self._spec.space.tune_rows)

    @property
    def _select_rows(self) -> int:
        return round(self._task.rows["select"] / self._folds)


def _pruned(entries: Sequence[_Entry]) -> list[_Entry]:
    """Plan the pruned variant of each gated finalist, tried once and confirmed; at most as slow as the whole one."""
    pruned = []
    for entry in entries:
        unpruned = entry.planned
        if find_method(unpruned.method).gated:
            changes = {"variant": pruned_name(unpruned.variant or unpruned.method), "screen_trials": 1}
            pruned.append(_Entry(unpruned.model_copy(update=changes), entry.search, entry.confirm, entry.first))
    return pruned


def _phases(
    entries: Sequence[_Entry], tuned: Sequence[_Entry], tune_trials: int, workers: int
) -> tuple[PlannedPhase, ...]:
    """Add up the phases, each of which ends before the next one begins."""
    screen = []
    most = max((entry.planned.screen_trials for entry in entries), default=0)
    for done in range(most):
        screen += [entry.search for entry in entries if entry.planned.screen_trials > done]
    # Which methods will be tuned is not known, so they count alike.
    tune = tune_trials * [_mean_work([entry.search for entry in tuned])] if tune_trials else []
    runs = max((entry.planned.confirm_runs for entry in entries), default=0)
    confirm = []
    for number in range(runs):
        confirm += [entry.confirm_run(number) for entry in entries]
    return (
        _phase("screen", len(screen), screen, workers),
        _phase("tune", len(tune), tune, workers),
        _phase("confirm", len(entries), confirm, workers),
    )


def _phase(phase: Phase, trials: int, runs: Sequence[_Work], workers: int) -> PlannedPhase:
    return PlannedPhase(
        phase=phase,
        trials=trials,
        runs=len(runs),
        steps=sum(run.steps for run in runs),
        trained_rows=sum(run.trained_rows for run in runs),
        scored_rows=sum(run.scored_rows for run in runs),
        seconds=wall_seconds((run.seconds for run in runs), workers),
    )


def _mean_work(runs: Sequence[_Work]) -> _Work:
    return _Work(
        _mean(run.steps for run in runs),
        _mean(run.trained_rows for run in runs),
        _mean(run.scored_rows for run in runs),
        fmean(run.seconds for run in runs),
    )


def _mean(numbers: Iterable[int]) -> int:
    return round(fmean(numbers))


def _detectable(spec: StudySpec, task: TaskSummary, methods: int) -> float | None:
    """Return the difference in accuracy that the study will be able to detect; None for numbers."""
    if not task.labels:
        return None
    return expected_detectable(task.rows["select"], spec.budget.seeds, methods=methods, folds=task.folds)


def _warnings(spec: StudySpec, seconds: float) -> tuple[Notice, ...]:
    limit = spec.budget.time_seconds
    if limit is None or limit >= seconds:
        return ()
    values: dict[str, NoticeValue] = {"limit": limit, "estimate": seconds}
    return (Notice(code="time_limit_short", severity="warning", values=values),)

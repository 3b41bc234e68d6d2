"""What to do next, decided from the study's record and a clock alone.

Three phases, one after another: `screen` (every method's published settings, in rounds, and each of the user's own
configurations in the first of them), `tune` (the remaining trials, for the methods that are still plausible) and
`confirm` (every method's best configuration and every configuration of the user's again, over the same fresh seeds,
and with little data over all folds of as many repeats).
Nothing here touches a database, a worker or the time of day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from unipelt_search.errors import RequestError
from unipelt_search.records.history import DroppedMethod, RunRecord, RunState, StudyRecord, TrialRecord, TrialState
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.search.proposals import propose
from unipelt_search.search.sizes import within_limit
from unipelt_search.search.space import configured, published
from unipelt_search.specs.seeds import SEARCH_SEED_INDEX
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import PHASES, Phase, TrialSpec
from unipelt_search.specs.variants import PRUNED, pruned_name
from unipelt_search.verdict.recommend import plausible_methods

SCREEN_ROUNDS = 3
CONFIRM_SHARE = 0.35
"""Share of the time limit that is kept for the confirm phase."""


@dataclass(frozen=True)
class StartTrial:
    """Try a new configuration."""

    spec: TrialSpec
    phase: Phase
    origin: Literal["published", "given", "tpe", "pruned"]
    variant: str | None = None
    """The name of a configuration that the user gave."""


@dataclass(frozen=True)
class StartRun:
    """Run a finalist again with a confirm seed."""

    trial: int
    seed_index: int
    fold: int = 0
    """From 1 where folds decide."""


@dataclass(frozen=True)
class Resume:
    """Start a run again that was interrupted."""

    run: RunRecord


@dataclass(frozen=True)
class Wait:
    """Nothing may start before a running run has finished."""


@dataclass(frozen=True)
class Finish:
    """Nothing is left to do."""


Step = StartTrial | StartRun | Resume | Wait | Finish


@dataclass(frozen=True)
class Decision:
    """The next step, the phase it belongs to, and what is to be remembered with it."""

    step: Step
    phase: Phase
    dropped: tuple[DroppedMethod, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Clock:
    """The time so far, and how long runs took."""

    seconds: float = 0.0
    """Wall-clock seconds that the study has used, all sittings together."""
    workers: int = 1
    """Runs at a time."""
    run_seconds: Mapping[str, float] = field(default_factory=dict)
    """Measured wall-clock seconds of finished runs, by run id; where absent, their training seconds count."""


@dataclass(frozen=True)
class _PhaseStep:
    """What one phase wants: a step, or None when it is over, and why it ended early."""

    step: StartTrial | StartRun | None
    dropped: tuple[DroppedMethod, ...] = ()
    notice: Notice | None = None


def check_budget(spec: StudySpec) -> None:
    """Check that every method and every configuration of the user's gets a trial.

    Args:
        spec: The study that is asked for.

    Raises:
        RequestError: There are fewer trials.
    """
    methods, trials, own = spec.space.methods, spec.budget.trials, [given.name for given in spec.space.configurations]
    if trials < len(methods) + len(own):
        counted, together = "methods", ""
        if own:
            counted, together = "methods and configurations", f" and {len(own)} configurations ({', '.join(own)})"
        raise RequestError(
            f"--trials must be at least the number of {counted}, since each is tried once; got {trials} for "
            f"{len(methods)} methods ({', '.join(methods)}){together}. Ask for more trials or fewer methods."
        )


def screen_rounds(trials: int, methods: int, variants: int) -> int:
    """Tell how many rounds over the methods the screen phase has.

    Args:
        trials: The study's budget.
        methods: Methods that can be tried.
        variants: Configurations of the user's, each tried once in the first round.

    Returns:
        Three at most; one where only the user's own configurations are left.
    """
    return min(SCREEN_ROUNDS, (trials - variants) // methods) if methods else 1


def next_step(record: StudyRecord, clock: Clock) -> Decision:
    """Decide what to do next.

    The phase never goes back behind the record's; whoever lets the budget grow sets it back to `screen`.

    Args:
        record: The study so far; details may be left out.
        clock: The time so far.

    Returns:
        The step, the phase that it belongs to, newly dropped methods and notices.
    """
    runs = [run for trial in record.trials for run in trial.runs]
    waiting = next((run for run in runs if run.state is RunState.WAITING), None)
    if waiting is not None:
        return Decision(Resume(waiting), record.phase)
    busy = any(run.state is RunState.RUNNING for run in runs)
    dropped: list[DroppedMethod] = []
    notices: list[Notice] = []
    for phase in PHASES[PHASES.index(record.phase) :]:
        proposed = _PHASE_STEPS[phase](record, clock)
        dropped.extend(proposed.dropped)
        if proposed.step is not None:
            return Decision(proposed.step, phase, tuple(dropped), tuple(notices))
        if busy:
            return Decision(Wait(), phase, tuple(dropped), tuple(notices))
        if proposed.notice is not None:
            notices.append(proposed.notice)
    return Decision(Finish(), "confirm", tuple(dropped), tuple(notices))


def active_methods(record: StudyRecord) -> tuple[str, ...]:
    """Return the study's methods, less those that could not be attached to the backbone.

    Args:
        record: The study.

    Returns:
        Method names in the order in which they were asked for.
    """
    absent = {drop.method for drop in record.dropped if drop.phase == "screen"}
    return tuple(method for method in record.spec.space.methods if method not in absent)


def search_run(trial: TrialRecord) -> RunRecord:
    """Return a trial's screen or tune run.

    Args:
        trial: Any trial; each has exactly one such run.

    Returns:
        The run with the seed of the search.
    """
    return next(run for run in trial.runs if run.seed_index == SEARCH_SEED_INDEX)


def finalists(record: StudyRecord) -> tuple[TrialRecord, ...]:
    """Choose the best configuration of each method that has a complete trial, and every variant that has one.

    Args:
        record: The study.

    Returns:
        One trial per method and per variant, best tune score first; fewer stored parameters, then the lower number
        break ties.
    """
    best: dict[str, TrialRecord] = {}
    for trial in sorted(_complete(record), key=lambda trial: _rank(record, trial)):
        best.setdefault(trial.name, trial)
    return tuple(best.values())


def estimate_seconds(record: StudyRecord, clock: Clock, method: str, *, confirm: bool) -> float | None:
    """Estimate how long a run takes from the runs so far: of its kind, else of its method, else of all.

    Args:
        record: The study.
        clock: How long runs took.
        method: The run's method.
        confirm: Whether it is a confirm run.

    Returns:
        Seconds; None while no run has finished.
    """
    seconds: dict[tuple[str, bool], list[float]] = {}
    for trial in record.trials:
        for run in trial.runs:
            if run.result is not None:
                took = clock.run_seconds.get(run.id, run.result.costs.train_seconds)
                seconds.setdefault((trial.method, run.phase == "confirm"), []).append(took)
    alike = seconds.get((method, confirm), [])
    of_method = alike or [value for (name, _), values in seconds.items() if name == method for value in values]
    known = of_method or [value for values in seconds.values() for value in values]
    return fmean(known) if known else None


def _screen(record: StudyRecord, clock: Clock) -> _PhaseStep:
    phases = [(trial.name, search_run(trial).phase) for trial in record.trials]
    if any(phase == "tune" for _, phase in phases):
        return _PhaseStep(None)
    space, rows = record.spec.space, record.task.rows["train"]
    methods = active_methods(record)
    own = {given.name: given for given in space.configurations}
    rounds = screen_rounds(record.spec.budget.trials, len(methods), len(own))
    for done in range(rounds):
        eligible = (*methods, *own) if done == 0 else methods
        missing = [name for name in eligible if phases.count((name, "screen")) <= done]
        if not missing:
            continue
        begun = len(missing) < len(eligible)
        trained = tuple(own[name].method if name in own else name for name in eligible)
        if not begun and not _fits(record, clock, trained, confirm=False):
            values = {**_limit(record), "done": done, "rounds": rounds}
            return _PhaseStep(None, notice=Notice(code="time_limit_screen", values=values))
        name = missing[0]
        if name in own:
            return _PhaseStep(StartTrial(configured(own[name], space, rows), "screen", "given", name))
        trial = within_limit(published(name, space, rows)[done], space, record.task)
        return _PhaseStep(StartTrial(trial, "screen", "published"))
    return _PhaseStep(None)


def _tune(record: StudyRecord, clock: Clock) -> _PhaseStep:
    asked, tried = record.spec.budget.trials, sum(trial.origin != PRUNED for trial in record.trials)
    order = [trial.method for trial in finalists(record) if trial.variant is None]
    if tried >= asked or not order:
        return _PhaseStep(None)
    equal = record.spec.space.allocation == "equal"
    plausible, reasons = (set(order), {}) if equal else plausible_methods(record)
    gone = {drop.method for drop in record.dropped}
    open_methods = [method for method in active_methods(record) if method not in gone]
    candidates = [method for method in open_methods if method in plausible and method in order]
    dropped = tuple(
        DroppedMethod(method=method, phase="tune", reason=reasons.get(method, Notice(code="no_trial_succeeded")))
        for method in open_methods
        if method not in candidates
    ) + tuple(
        DroppedMethod(method=trial.name, phase="tune", reason=Notice(code="trial_failed"))
        for trial in record.trials
        if trial.variant and trial.state is TrialState.FAILED and trial.name not in gone
    )
    if not candidates:
        return _PhaseStep(None, dropped)
    tuned = [trial.method for trial in record.trials if search_run(trial).phase == "tune"]
    method = min(candidates, key=lambda name: (tuned.count(name), order.index(name)))
    begun = tuned.count(method) < max(tuned.count(name) for name in candidates)
    if equal and not begun and asked - tried < len(candidates):
        left = Notice(code="too_few_trials_left", values={"left": asked - tried, "of": asked})
        return _PhaseStep(None, dropped, left)
    if not _fits(record, clock, (method,), confirm=False):
        values = {**_limit(record), "done": tried, "of": asked}
        return _PhaseStep(None, dropped, Notice(code="time_limit_trials", values=values))
    return _PhaseStep(StartTrial(propose(record, method), "tune", "tpe"), dropped)


def _confirm(record: StudyRecord, clock: Clock) -> _PhaseStep:
    chosen = finalists(record)
    seeds = record.spec.budget.seeds
    folds = tuple(range(1, record.task.folds + 1)) or (0,)
    pruned = next((step for trial in chosen if (step := _pruned_variant(record, trial)) is not None), None)
    if pruned is not None and _fits(record, clock, (pruned.spec.method,), confirm=True):
        return _PhaseStep(pruned)
    for seed in range(1, seeds + 1):
        asked = [(trial, fold) for trial in chosen for fold in folds]
        missing = [(trial, fold) for trial, fold in asked if not _has_run(trial, seed, fold)]
        if not missing:
            continue
        trial, fold = missing[0]
        # The first seed goes as far down the order as the time allows, the last runs ending a little after it: a study
        # with a verdict is worth more than its last minute. A later seed is for all finalists or for none, so that the
        # methods are compared over the same seeds. Folds count only together, so that a finalist's first repeat is
        # begun only where all of it fits, but for the very first one's.
        if seed == 1 and (fold == 0 or len(missing) == len(asked)):
            fits = _is_before_the_end(record, clock)
        else:
            begun = fold > 1 if seed == 1 else len(missing) < len(asked)
            together = [trial] * len(folds) if seed == 1 else [other for other, _ in missing]
            fits = begun or _fits(record, clock, tuple(other.method for other in together), confirm=True)
        if not fits:
            names = list(dict.fromkeys(trial.name for trial, _ in missing))
            return _PhaseStep(None, notice=_unconfirmed(record, seed, names))
        return _PhaseStep(StartRun(trial.number, seed, fold))
    return _PhaseStep(None)


def _has_run(trial: TrialRecord, seed: int, fold: int) -> bool:
    return any((run.seed_index, run.fold) == (seed, fold) for run in trial.runs)


def _pruned_variant(record: StudyRecord, trial: TrialRecord) -> StartTrial | None:
    """Return the trial of a finalist without what its first confirmed run can do without, unless there is one."""
    name = pruned_name(trial.name)
    if not record.spec.space.prune_gates or trial.origin == PRUNED or any(t.name == name for t in record.trials):
        return None
    results = [run.result for run in trial.runs if run.seed_index == 1 and run.result is not None]
    if not results or not results[0].prunable:
        return None
    spec = trial.spec.model_copy(update={"without": tuple(sorted({*trial.spec.without, *results[0].prunable}))})
    return StartTrial(spec, "tune", PRUNED, name)


_PHASE_STEPS: dict[Phase, Callable[[StudyRecord, Clock], _PhaseStep]] = {
    "screen": _screen,
    "tune": _tune,
    "confirm": _confirm,
}


def _unconfirmed(record: StudyRecord, seed: int, missing: list[str]) -> Notice:
    if seed == 1:
        values = {**_limit(record), "methods": tuple(missing)}
        return Notice(code="time_limit_unconfirmed", severity="warning", values=values)
    values = {**_limit(record), "done": seed - 1, "of": record.spec.budget.seeds, "folds": record.task.folds}
    return Notice(code="time_limit_seeds", values=values)


def _limit(record: StudyRecord) -> dict[str, NoticeValue]:
    return {"limit": record.spec.budget.time_seconds}


def _is_before_the_end(record: StudyRecord, clock: Clock) -> bool:
    limit = record.spec.budget.time_seconds
    return limit is None or clock.seconds < limit


def _fits(record: StudyRecord, clock: Clock, methods: tuple[str, ...], *, confirm: bool) -> bool:
    limit = record.spec.budget.time_seconds
    if limit is None:
        return True
    end = limit if confirm else limit * (1 - CONFIRM_SHARE)
    estimates = [estimate_seconds(record, clock, method, confirm=confirm) or 0.0 for method in methods]
    needed = max(max(estimates), sum(estimates) / clock.workers)
    return clock.seconds + needed < end


def _complete(record: StudyRecord) -> list[TrialRecord]:
    return [trial for trial in record.trials if trial.state is TrialState.COMPLETE and trial.value is not None]


def _rank(record: StudyRecord, trial: TrialRecord) -> tuple[float, float, int]:
    result = search_run(trial).result
    value = trial.value if trial.value is not None else float("nan")
    stored = float("inf") if result is None else result.costs.stored_parameters
    return (-value if record.task.direction == "maximize" else value, stored, trial.number)

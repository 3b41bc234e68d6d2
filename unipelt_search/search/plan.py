"""What to do next, decided from the study's record and a clock alone.

Three phases, one after another: `screen` (every method's published settings, in rounds, and each of the user's own
configurations in the first of them), `tune` (the remaining trials, for the methods that are still plausible) and
`confirm` (every method's best configuration and every configuration of the user's again, over the same fresh seeds,
and with little data over all folds of as many repeats).
Nothing here touches a database, a worker or the time of day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
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
    """Wall-clock seconds that the study has used, those of earlier drivers included."""
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


_ConfirmRun = tuple[TrialRecord, int]
"""A finalist and a fold; 0 where there are no folds."""


def check_budget(spec: StudySpec) -> None:
    """Check that every method and every configuration of the user's gets a trial.

    Args:
        spec: The study that is asked for.

    Raises:
        RequestError: There are fewer trials.
    """
    methods = spec.space.methods
    trials = spec.budget.trials
    own = [given.name for given in spec.space.configurations]
    if trials < len(methods) + len(own):
        counted = "methods"
        together = ""
        if own:
            counted = "methods and configurations"
            together = f" and {len(own)} configurations ({', '.join(own)})"
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

    The phase never goes back before the record's; whoever lets the budget grow sets it back to `screen`.

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


def estimate_seconds(
    record: StudyRecord,
    clock: Clock,
    method: str,
    *,
    confirm: bool,
) -> float | None:
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
    # A confirm run scores more rows than a search run of the same method, but is the best guess for one.
    of_method = seconds.get((method, not confirm), [])
    known = alike or of_method or list(chain.from_iterable(seconds.values()))
    return fmean(known) if known else None


def _screen(record: StudyRecord, clock: Clock) -> _PhaseStep:
    """Try every method's published settings in rounds, and each of the user's own configurations in the first one."""
    # Once tuning has begun nothing is screened any more, though a budget that has grown would allow more rounds.
    if _searched_in(record, "tune"):
        return _PhaseStep(None)
    tried = Counter(trial.name for trial in _searched_in(record, "screen"))
    methods = active_methods(record)
    own = [given.name for given in record.spec.space.configurations]
    rounds = screen_rounds(record.spec.budget.trials, len(methods), len(own))
    for done in range(rounds):
        of_round = (*methods, *own) if done == 0 else methods
        missing = [name for name in of_round if tried[name] <= done]
        if not missing:
            continue
        # Methods are compared, so a round is for all of them or for none; one that has begun is ended.
        begun = len(missing) < len(of_round)
        if not begun and not _fits(record, clock, _methods_of(record, of_round), confirm=False):
            values = {**_limit(record), "done": done, "rounds": rounds}
            return _PhaseStep(None, notice=Notice(code="time_limit_screen", values=values))
        return _PhaseStep(_screen_trial(record, missing[0], done))
    return _PhaseStep(None)


def _searched_in(record: StudyRecord, phase: Phase) -> list[TrialRecord]:
    """Return the trials that began in a phase."""
    return [trial for trial in record.trials if search_run(trial).phase == phase]


def _methods_of(record: StudyRecord, names: Sequence[str]) -> tuple[str, ...]:
    """Return the method of each name, which is a method's own or that of a configuration of the user's."""
    own = {given.name: given.method for given in record.spec.space.configurations}
    return tuple(own.get(name, name) for name in names)


def _screen_trial(record: StudyRecord, name: str, done: int) -> StartTrial:
    """Return a method's trial in a screen round, the first one being 0, or that of a configuration of the user's."""
    space = record.spec.space
    rows = record.task.rows["train"]
    own = {given.name: given for given in space.configurations}
    if name in own:
        return StartTrial(configured(own[name], space, rows, record.basis), "screen", "given", name)
    trial = within_limit(published(name, space, rows, record.basis)[done], space, record.task, record.basis)
    return StartTrial(trial, "screen", "published")


def _tune(record: StudyRecord, clock: Clock) -> _PhaseStep:
    """Give the remaining trials to the methods that can still win, one after another."""
    asked = record.spec.budget.trials
    # What was pruned is tried beyond the budget: the user has not asked for it by number.
    tried = sum(trial.origin != PRUNED for trial in record.trials)
    ranked = [trial.method for trial in finalists(record) if trial.variant is None]
    if tried >= asked or not ranked:
        return _PhaseStep(None)
    candidates, dropped = _tune_candidates(record, ranked)
    if not candidates:
        return _PhaseStep(None, dropped)
    tuned = Counter(trial.method for trial in _searched_in(record, "tune"))
    # The method with the fewest tune trials, so that all keep even; of those the one that has done best so far.
    method = min(candidates, key=lambda name: (tuned[name], ranked.index(name)))
    left = asked - tried
    if left < len(candidates) and _must_stay_even(record, candidates, tuned):
        notice = Notice(code="too_few_trials_left", values={"left": left, "of": asked})
        return _PhaseStep(None, dropped, notice)
    if not _fits(record, clock, (method,), confirm=False):
        values = {**_limit(record), "done": tried, "of": asked}
        return _PhaseStep(None, dropped, Notice(code="time_limit_trials", values=values))
    return _PhaseStep(StartTrial(propose(record, method), "tune", "tpe"), dropped)


def _tune_candidates(
    record: StudyRecord,
    ranked: list[str],
) -> tuple[list[str], tuple[DroppedMethod, ...]]:
    """Choose the methods to tune.

    Args:
        record: The study.
        ranked: The methods that have a complete trial, best first.

    Returns:
        The methods, in the order in which they were asked for; and what is dropped from now on, and why.
    """
    plausible = set(ranked)
    reasons: dict[str, Notice] = {}
    if record.spec.space.allocation != "equal":
        plausible, reasons = plausible_methods(record)
    # What was dropped once stays dropped: its tune score cannot rise any more, and the leader's is not likely to fall.
    gone = {drop.method for drop in record.dropped}
    undropped = [method for method in active_methods(record) if method not in gone]
    candidates = [method for method in undropped if method in plausible and method in ranked]
    without_score = Notice(code="no_trial_succeeded")
    dropped = [
        DroppedMethod(method=method, phase="tune", reason=reasons.get(method, without_score))
        for method in undropped
        if method not in candidates
    ]
    dropped += [
        DroppedMethod(method=name, phase="tune", reason=Notice(code="trial_failed"))
        for name in _failed_variants(record)
        if name not in gone
    ]
    return candidates, tuple(dropped)


def _failed_variants(record: StudyRecord) -> list[str]:
    """Return the variants of which nothing is left: each has one trial, and theirs has failed."""
    return [trial.name for trial in record.trials if trial.variant and trial.state is TrialState.FAILED]


def _must_stay_even(record: StudyRecord, candidates: list[str], tuned: Counter[str]) -> bool:
    """Tell whether a round of one trial per method is about to begin that must then be ended."""
    if record.spec.space.allocation != "equal":
        return False
    counts = {tuned[name] for name in candidates}
    return len(counts) == 1


def _confirm(record: StudyRecord, clock: Clock) -> _PhaseStep:
    """Run every finalist again over the same seeds, and with little data over the same folds."""
    chosen = finalists(record)
    for trial in chosen:
        pruned = _pruned_variant(record, trial)
        if pruned is None:
            continue
        if _fits(record, clock, (pruned.spec.method,), confirm=True):
            return _PhaseStep(pruned)
        break
    for seed in range(1, record.spec.budget.seeds + 1):
        missing = _missing_runs(record, chosen, seed)
        if not missing:
            continue
        if not _confirm_fits(record, clock, chosen, seed, missing):
            return _PhaseStep(None, notice=_unconfirmed(record, seed, missing))
        trial, fold = missing[0]
        return _PhaseStep(StartRun(trial.number, seed, fold))
    return _PhaseStep(None)


def _folds(record: StudyRecord) -> tuple[int, ...]:
    return tuple(range(1, record.task.folds + 1)) or (0,)


def _missing_runs(record: StudyRecord, chosen: Sequence[TrialRecord], seed: int) -> list[_ConfirmRun]:
    """List the runs of a seed that are not there yet, finalist by finalist, so that the first ones are whole first."""
    asked = [(trial, fold) for trial in chosen for fold in _folds(record)]
    return [(trial, fold) for trial, fold in asked if not _has_run(trial, seed, fold)]


def _confirm_fits(
    record: StudyRecord, clock: Clock, chosen: Sequence[TrialRecord], seed: int, missing: list[_ConfirmRun]
) -> bool:
    """Tell whether the time allows the first of the missing runs of a seed.

    The first seed goes as far down the order of finalists as the time allows, the last runs ending a little after it:
    a study with a verdict is worth more than its last minute. A later seed is for all finalists or for none, so that
    the methods are compared over the same seeds. Folds count only together, so that a finalist's first repeat is begun
    only where all of it fits, but for the very first one's.
    """
    trial, fold = missing[0]
    nothing_begun = len(missing) == len(chosen) * len(_folds(record))
    if seed > 1:
        return not nothing_begun or _fits(record, clock, _methods(missing), confirm=True)
    if fold == 0 or nothing_begun:
        return _is_before_the_end(record, clock)
    if fold > 1:
        return True  # the finalist's repeat has begun
    repeat = (trial.method,) * len(_folds(record))
    return _fits(record, clock, repeat, confirm=True)


def _methods(runs: Sequence[_ConfirmRun]) -> tuple[str, ...]:
    return tuple(trial.method for trial, _ in runs)


def _unconfirmed(record: StudyRecord, seed: int, missing: Sequence[_ConfirmRun]) -> Notice:
    if seed == 1:
        names = tuple(dict.fromkeys(trial.name for trial, _ in missing))
        return Notice(code="time_limit_unconfirmed", severity="warning", values={**_limit(record), "methods": names})
    values = {
        **_limit(record),
        "done": seed - 1,
        "of": record.spec.budget.seeds,
        "folds": record.task.folds,
    }
    return Notice(code="time_limit_seeds", values=values)


def _has_run(trial: TrialRecord, seed: int, fold: int) -> bool:
    return any((run.seed_index, run.fold) == (seed, fold) for run in trial.runs)


def _pruned_variant(record: StudyRecord, trial: TrialRecord) -> StartTrial | None:
    """Return the trial of a finalist without what its first confirmed run can do without, unless there is one."""
    if not record.spec.space.prune_gates or trial.origin == PRUNED:
        return None
    name = pruned_name(trial.name)
    if any(other.name == name for other in record.trials):
        return None
    first_seed = [run.result for run in trial.runs if run.seed_index == 1]
    results = [result for result in first_seed if result is not None]
    if not results or not results[0].prunable:
        return None
    without = {*trial.spec.without, *results[0].prunable}
    spec = trial.spec.model_copy(update={"without": tuple(sorted(without))})
    return StartTrial(spec, "tune", PRUNED, name)


_PHASE_STEPS: dict[Phase, Callable[[StudyRecord, Clock], _PhaseStep]] = {
    "screen": _screen,
    "tune": _tune,
    "confirm": _confirm,
}


def _limit(record: StudyRecord) -> dict[str, NoticeValue]:
    return {"limit": record.spec.budget.time_seconds}


def _is_before_the_end(record: StudyRecord, clock: Clock) -> bool:
    limit = record.spec.budget.time_seconds
    return limit is None or clock.seconds < limit


def _fits(
    record: StudyRecord,
    clock: Clock,
    methods: tuple[str, ...],
    *,
    confirm: bool,
) -> bool:
    """Tell whether runs of these methods, begun now, end before their phase must end."""
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

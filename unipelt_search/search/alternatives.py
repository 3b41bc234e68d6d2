"""What to ask instead of a study that its time limit does not allow: smaller studies that fit, forecast one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from unipelt_search.methods.basis import Basis
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.study_plan import StudyPlan, StudyProposal
from unipelt_search.search.forecast import Measured, fits, forecast, steps_within, time_needed, with_steps
from unipelt_search.search.plan import SCREEN_ROUNDS
from unipelt_search.search.space import FEWEST_STEPS, steps_for
from unipelt_search.specs.study import StudySpec

_ENOUGH_SEEDS, _FEWEST_SEEDS = 3, 2
"""Seeds that are kept as long as there are methods to leave out instead, and without which there is no interval."""
_COMPARED = 2
"""Methods and configurations that a comparison needs."""
_ROUND_TO = ((600.0, 60), (3600.0, 300), (36_000.0, 1800), (math.inf, 3600))
"""Up to how many seconds a proposed limit is rounded up to a multiple of how many."""

Purpose = Literal["fits", "least", "complete"]


@dataclass(frozen=True)
class _Size:
    """How much of a study is asked for."""

    methods: tuple[str, ...]
    trials: int
    seeds: int


def propose_alternatives(
    spec: StudySpec, task: TaskSummary, measured: Measured, basis: Basis
) -> tuple[StudyProposal, ...]:
    """Find what can be asked instead of a study that does not fit into its time limit.

    Trials are given up first, then seeds beyond three, then the slowest methods, then the third seed. Every proposal is
    forecast with the steps that it would have, as the study itself would be, so that what is proposed fits.

    Args:
        spec: What is asked; it has a time limit.
        task: The task's rows.
        measured: Where it would run, and how long steps take there.
        basis: The study's edition and backbone.

    Returns:
        None where the study fits. Else the best that fits, or where nothing does the least that could, with the limit
        that it needs; then all that was asked for with the limit that it needs, unless the least needs that too.
    """
    limit = spec.budget.time_seconds
    search = _Search(spec, task, measured, basis)
    if limit is None or fits(search.planned(spec)):
        return ()
    sizes = list(search.sizes())
    found = search.first_that_fits(sizes, limit)
    complete = search.with_limit_for(spec, steps_for(task.rows["train"], spec.space), "complete")
    smaller = found or search.least(sizes[-1])
    # Limits are rounded up: less is no proposal where it is given the time that all of it needs.
    return (complete,) if smaller.time_seconds >= complete.time_seconds else (smaller, complete)


class _Search:
    """Forecasts smaller versions of one study."""

    def __init__(self, spec: StudySpec, task: TaskSummary, measured: Measured, basis: Basis) -> None:
        self._spec = spec
        self._task = task
        self._measured = measured
        self._basis = basis
        self._names = tuple(name for name in spec.space.methods if name in measured.timings)

    def sizes(self) -> Iterator[_Size]:
        """Yield what could be asked for, the most wanted first; the last one is the least."""
        seeds = self._spec.budget.seeds
        every = self._names
        subsets = list(self._subsets())
        for fewer in range(seeds, min(seeds, _ENOUGH_SEEDS) - 1, -1):
            yield from self._with_trials(every, fewer)
        for methods in subsets:
            yield from self._with_trials(methods, min(seeds, _ENOUGH_SEEDS))
        for methods in (every, *subsets):
            yield from self._with_trials(methods, min(seeds, _FEWEST_SEEDS))

    def first_that_fits(self, sizes: Sequence[_Size], limit: float) -> StudyProposal | None:
        """Return the first size that fits into a limit; None where none does."""
        for size in sizes:
            smaller = self._sized(size, limit)
            # With the fewest steps first, since most sizes do not fit even so.
            if fits(self._forecast(with_steps(smaller, self._fewest_steps(smaller)))):
                return self._proposal(self.planned(smaller), smaller, "fits")
        return None

    def least(self, size: _Size) -> StudyProposal:
        """Return the least study that could be asked for, with the limit that it needs."""
        smallest = self._sized(size, None)
        return self.with_limit_for(smallest, self._fewest_steps(smallest), "least")

    def with_limit_for(self, spec: StudySpec, steps: int, purpose: Purpose) -> StudyProposal:
        """Return a study with a limit that allows it with so many steps per run."""
        unlimited = spec.model_copy(update={"budget": spec.budget.model_copy(update={"time_seconds": None})})
        limit = _rounded_up(time_needed(self._forecast(with_steps(unlimited, steps))))
        budget = spec.budget.model_copy(update={"time_seconds": limit})
        allowed = spec.model_copy(update={"budget": budget})
        return self._proposal(self.planned(allowed), allowed, purpose)

    def planned(self, spec: StudySpec) -> StudyPlan:
        """Forecast a study with the steps that its limit allows."""
        steps = steps_within(spec, self._task, self._measured, self._basis)
        return self._forecast(with_steps(spec, steps))

    def _forecast(self, spec: StudySpec) -> StudyPlan:
        return forecast(spec, self._task, self._measured, (), self._basis)

    def _subsets(self) -> Iterator[tuple[str, ...]]:
        """Yield the methods without the slowest one, without the two slowest, and so on, in the order asked for."""
        of_own = len(self._spec.space.configurations)
        fewest = max(_COMPARED - of_own, 1)
        slowest = self._forecast(self._spec).methods
        seconds = {entry.method: entry.confirm_seconds for entry in slowest if entry.variant is None}
        kept = list(self._names)
        while len(kept) > fewest:
            kept.remove(max(kept, key=lambda name: seconds[name]))
            yield tuple(kept)

    def _with_trials(self, methods: tuple[str, ...], seeds: int) -> Iterator[_Size]:
        """Yield the same methods with all trials, then with fewer and fewer screen rounds."""
        of_own = len(self._spec.space.configurations)
        asked = self._spec.budget.trials
        rounds = [rounds * len(methods) + of_own for rounds in range(SCREEN_ROUNDS, 0, -1)]
        for trials in (asked, *(fewer for fewer in rounds if fewer < asked)):
            yield _Size(methods, trials, seeds)

    def _sized(self, size: _Size, limit: float | None) -> StudySpec:
        changes = {"trials": size.trials, "seeds": size.seeds, "time_seconds": limit}
        budget = self._spec.budget.model_copy(update=changes)
        # As it was asked for, where that is possible: methods that cannot be tried are counted by the command, too.
        asked = self._spec.space.methods
        as_asked = size.methods == self._names and size.trials >= len(asked) + len(self._spec.space.configurations)
        methods = asked if as_asked else size.methods
        space = self._spec.space.model_copy(update={"methods": methods})
        return self._spec.model_copy(update={"budget": budget, "space": space})

    def _fewest_steps(self, spec: StudySpec) -> int:
        most = steps_for(self._task.rows["train"], spec.space)
        return most if spec.space.steps is not None else min(FEWEST_STEPS, most)

    def _proposal(self, plan: StudyPlan, spec: StudySpec, purpose: Purpose) -> StudyProposal:
        budget = spec.budget
        return StudyProposal(
            purpose=purpose,
            methods=tuple(name for name in spec.space.methods if name in self._measured.timings),
            trials=budget.trials,
            seeds=budget.seeds,
            steps=plan.steps,
            time_seconds=budget.time_seconds or 0.0,
            seconds=plan.seconds,
            detectable=plan.detectable,
            options=self._options(spec),
        )

    def _options(self, spec: StudySpec) -> tuple[str, ...]:
        """Return the options that make what was asked for what is proposed."""
        asked = self._spec
        words: list[str] = []
        if spec.space.methods != asked.space.methods:
            words += ["--methods", ",".join(spec.space.methods)]
        if spec.budget.trials != asked.budget.trials:
            words += ["--trials", str(spec.budget.trials)]
        if spec.budget.seeds != asked.budget.seeds:
            words += ["--seeds", str(spec.budget.seeds)]
        if spec.budget.time_seconds != asked.budget.time_seconds:
            words += ["--time", _as_option(spec.budget.time_seconds or 0.0)]
        return tuple(words)


def _rounded_up(seconds: float) -> float:
    """Round a limit up to whole minutes, five of them, half hours or hours, the longer the coarser."""
    unit = next(unit for most, unit in _ROUND_TO if seconds <= most)
    return float(math.ceil(seconds / unit) * unit)


def _as_option(seconds: float) -> str:
    """Write whole minutes as `--time` takes them."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")

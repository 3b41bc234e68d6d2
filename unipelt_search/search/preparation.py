"""From a checked request to the first trial: load the backbone, try every method on it, encode the task, estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from unipelt_search.backbones.backbone import Backbone, load_backbone
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.errors import BackboneError, RequestError
from unipelt_search.methods.catalogue import DEFAULT_METHODS
from unipelt_search.pelt.applicability import check_trial
from unipelt_search.records.history import DroppedMethod, TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.records.study_plan import StudyPlan
from unipelt_search.search.capacity import Capacity, fit_workers, usable_cores
from unipelt_search.search.forecast import forecast, steps_within
from unipelt_search.search.measured_sizes import measure_sizes, trained_by
from unipelt_search.search.sizes import within_limit
from unipelt_search.search.space import configured, largest, published, steps_for
from unipelt_search.specs.seeds import SEARCH_SEED_INDEX, run_seeds
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.tasks.encode import EncodedTask, encode_task
from unipelt_search.tasks.task import Task
from unipelt_search.training.checkpoint import checkpoint_bytes
from unipelt_search.training.timing import RunTiming, time_run

_CUT_SHARE_WORTH_A_NOTICE = 0.05
_FAR_TOO_SLOW = 1.5
"""A few rows are timed roughly: a method is left out when it takes this many times what is allowed."""


@dataclass(frozen=True)
class Prepared:
    """A study that can begin."""

    spec: StudySpec
    encoded: EncodedTask
    summary: TaskSummary
    dropped: tuple[DroppedMethod, ...]
    """Default methods that cannot attach to the backbone."""
    notices: tuple[Notice, ...]

    def plan(self, backbone: Backbone) -> StudyPlan:
        """Say what the study would do on this machine and about how long that takes.

        Args:
            backbone: The study's.

        Returns:
            The plan, as if nothing of the study were done yet.

        Raises:
            MachineError: A run needs more than this machine has.
        """
        capacity, timings = self._measure(backbone)
        ready = self._with_steps(backbone, capacity, timings)
        plan = forecast(ready.spec, self.summary, timings, capacity, _layers(backbone), self.dropped)
        kept = self.checkpoint_bytes(backbone) * capacity.workers
        return plan.model_copy(update={"notices": (*plan.notices, *ready.notices), "checkpoint_bytes": kept})

    def checkpoint_bytes(self, backbone: Backbone) -> int:
        """Estimate what the checkpoints of a run take on the disk at a time at most; nothing is trained for it.

        Args:
            backbone: The study's.

        Returns:
            Bytes.
        """
        gates = 4 * _layers(backbone) * (self.summary.rows["tune"] + self.summary.rows["select"])
        rows, space = self.summary.rows["train"], self.spec.space
        trials = [largest(method, space, rows) for method in space.methods]
        trials += _first_trials(self.spec, rows).values()
        return max(checkpoint_bytes(trained_by(backbone, trial), gates if trial.gate else 0) for trial in trials)

    def within_time(self, backbone: Backbone) -> Prepared:
        """Shorten the runs where the time limit asks for it, rather than leave out trials and seeds.

        Args:
            backbone: The study's.

        Returns:
            The same study, with fewer steps per run if the study gives none and its limit allows no more.

        Raises:
            MachineError: A run needs more than this machine has.
        """
        if self.spec.budget.time_seconds is None or self.spec.space.steps is not None:
            return self
        return self._with_steps(backbone, *self._measure(backbone))

    def fast_enough(self, backbone: Backbone) -> Prepared:
        """Leave out methods that are far too slow for the study's limit; the verdict looks at the others again.

        Args:
            backbone: The study's.

        Returns:
            The same study, without the methods that took much longer than `space.max_latency_ms` to score a few rows.

        Raises:
            MachineError: A run needs more than this machine has.
            RequestError: All methods are.
        """
        limit = self.spec.space.max_latency_ms
        if limit is None:
            return self
        _, timings = self._measure(backbone)
        times = {name: 1000 * timings[name].row_seconds for name in self.spec.space.methods if name in timings}
        dropped = [
            DroppedMethod(
                method=name,
                phase="screen",
                reason=Notice(code="too_slow", values={"milliseconds": time, "limit": limit}),
            )
            for name, time in times.items()
            if time > _FAR_TOO_SLOW * limit
        ]
        if len(dropped) == len(times) and not self.spec.space.configurations:
            raise RequestError(
                f"--max-latency-ms must be in reach of a method; got {limit:g}, and the fastest, "
                f"{min(times, key=lambda name: times[name])}, took {min(times.values()):.2f} ms per row here."
            )
        notices = map(_left_out, dropped)
        return replace(self, dropped=(*self.dropped, *dropped), notices=(*self.notices, *notices))

    def _with_steps(self, backbone: Backbone, capacity: Capacity, timings: Mapping[str, RunTiming]) -> Prepared:
        most = steps_for(self.summary.rows["train"], self.spec.space)
        steps = steps_within(self.spec, self.summary, timings, capacity, _layers(backbone))
        if steps == most:
            return self
        space = self.spec.space.model_copy(update={"steps": steps})
        shortened = Notice(code="steps_shortened", values={"steps": steps, "without_limit": most})
        spec = self.spec.model_copy(update={"space": space})
        return replace(self, spec=spec, notices=(*self.notices, shortened))

    def _measure(self, backbone: Backbone) -> tuple[Capacity, dict[str, RunTiming]]:
        """Time a few steps of every method and configuration on this machine."""
        gpus = torch.cuda.device_count()
        capacity = fit_workers(self.spec.machine, cores=usable_cores(), gpus=gpus, where="this machine")
        backbone.model.to(capacity.device)
        threads = torch.get_num_threads()
        torch.set_num_threads(capacity.threads)
        try:
            seeds = run_seeds(self.spec.seed, SEARCH_SEED_INDEX)
            return capacity, {
                name: time_run(
                    RunSpec(trial=within_limit(trial, self.spec.space, self.summary), seeds=seeds),
                    backbone,
                    self.encoded,
                )
                for name, trial in _first_trials(self.spec, self.summary.rows["train"]).items()
                if all(drop.method != name for drop in self.dropped)
            }
        finally:
            torch.set_num_threads(threads)
            backbone.model.to("cpu")


def prepare(spec: StudySpec, task: Task) -> tuple[Prepared, Backbone]:
    """Load the backbone once, try every method on it, and encode the task.

    Args:
        spec: What is asked.
        task: Its task.

    Returns:
        The study, ready to begin; default methods that cannot attach are left out with a notice. And its backbone, on
        the CPU, apart from it, because workers load their own.

    Raises:
        BackboneError: The backbone cannot be loaded, or a method that was asked for cannot attach to it.
        RequestError: Nothing is small enough for `space.max_parameters`, or a configuration of the user's is not.
    """
    backbone = load_backbone(spec.backbone, task.target.outputs, "cpu")
    dropped = []
    own = {given.name for given in spec.space.configurations}
    tokens = min(spec.task.max_length, backbone.max_length)
    for name, trial in _first_trials(spec, len(task.train)).items():
        try:
            check_trial(backbone, trial, tokens)
        except BackboneError as error:
            if name in own:
                raise BackboneError(f"space.configurations: {name!r} cannot be attached. {error}") from error
            if spec.space.methods != DEFAULT_METHODS:
                raise
            dropped.append(
                DroppedMethod(
                    method=name, phase="screen", reason=Notice(code="cannot_attach", values={"cause": str(error)})
                )
            )
    if len(dropped) == len(spec.space.methods):
        raise BackboneError(
            f"No method can be attached to {spec.backbone.model!r}. {dropped[0].reason.values['cause']}"
        )
    sizes, too_large = measure_sizes(spec.space, backbone, len(task.train), {drop.method for drop in dropped})
    dropped += too_large
    encoded = encode_task(task, backbone.tokenizer, tokens)
    notices = [_left_out(drop) for drop in dropped]
    if encoded.truncated_share > _CUT_SHARE_WORTH_A_NOTICE:
        notices.append(Notice(code="rows_cut", severity="warning", values={"share": encoded.truncated_share}))
    summary = task.summary(encoded.truncated_share).model_copy(update={"sizes": sizes})
    return Prepared(spec, encoded, summary, tuple(dropped), tuple(notices)), backbone


def _left_out(drop: DroppedMethod) -> Notice:
    """Return the notice of a method that is left out: the code and the values of the reason are among its values."""
    return Notice(
        code="method_left_out",
        severity="warning",
        values={**drop.reason.values, "method": drop.method, "reason": drop.reason.code},
    )


def _first_trials(spec: StudySpec, rows: int) -> dict[str, TrialSpec]:
    """Return the published settings of every method, and the user's own configurations by their names."""
    trials = {method: published(method, spec.space, rows)[0] for method in spec.space.methods}
    return trials | {given.name: configured(given, spec.space, rows) for given in spec.space.configurations}


def _layers(backbone: Backbone) -> int:
    return len(layer_parts(backbone.base, backbone.family))

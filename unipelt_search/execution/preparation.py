"""From a checked request to the first trial: load the backbone, try every method on it, encode the task, estimate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.layers import layer_parts
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import BackboneError, MachineError, RequestError
from unipelt_search.execution.local_capacity import local_capacity
from unipelt_search.execution.measured_sizes import measure_sizes, trained_by
from unipelt_search.execution.worker import is_out_of_memory, one_line
from unipelt_search.exporting.export_forms import planned_export
from unipelt_search.kinds.label_kind import find_metric
from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import DEFAULT_METHODS
from unipelt_search.pelt.applicability import check_trial, partial_reach
from unipelt_search.records.diagnosis import UNKNOWN_WORTH_A_NOTICE
from unipelt_search.records.history import EDITION, DroppedMethod, TaskSummary
from unipelt_search.records.notice import Notice, NoticeValue
from unipelt_search.records.run_timing import RunTiming
from unipelt_search.records.study_plan import PlannedExport, StudyPlan
from unipelt_search.records.study_stage import OnStage, StudyStage, unheard
from unipelt_search.search.alternatives import propose_alternatives
from unipelt_search.search.capacity import Capacity
from unipelt_search.search.forecast import Measured, forecast, steps_within, with_steps
from unipelt_search.search.sizes import within_limit
from unipelt_search.search.space import configured, largest, published, steps_for
from unipelt_search.specs.adapter_input import reads_feed_forward
from unipelt_search.specs.seeds import SEARCH_SEED_INDEX, run_seeds
from unipelt_search.specs.study import BackboneSpec, StudySpec
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.tasks.encode import EncodedTask, encode_task
from unipelt_search.tasks.known_tokens import check_known, count_unknown
from unipelt_search.tasks.task import Task
from unipelt_search.training.checkpoint import checkpoint_bytes
from unipelt_search.training.timing import time_run
from unipelt_search.verdict.power import FEW_DECIDING_ROWS, expected_detectable

_CUT_SHARE_WORTH_A_NOTICE = 0.05
_MOST_GATES_PER_LAYER = 4
_FAR_TOO_SLOW = 1.5
"""A few rows are timed roughly: a method is left out when it takes this many times what is allowed."""
_WORKER_START_SECONDS = 8.0
"""What Ray and the imports of a worker take; docs/decisions/0036-a-plan-that-can-be-believed.md measures it."""


@dataclass(frozen=True)
class Prepared:
    """A study that can begin."""

    spec: StudySpec
    """What is asked, its own configurations with the published values that they leave open."""
    basis: Basis
    """What published settings and searched ranges depend on."""
    backbone: BackboneSpec
    """As workers load it from wherever they run, with the pooling that was found here."""
    encoded: EncodedTask
    summary: TaskSummary
    dropped: tuple[DroppedMethod, ...]
    """Default methods that cannot attach to the backbone."""
    notices: tuple[Notice, ...]
    load_seconds: float = 0.0
    """What loading the backbone took here, as it will each worker."""

    @property
    def is_limited(self) -> bool:
        """Whether a limit of the study's may leave out methods or shorten runs, by what they take here."""
        chooses_steps = self.spec.budget.time_seconds is not None and self.spec.space.steps is None
        return chooses_steps or self.spec.space.max_latency_ms is not None

    def plan(self, backbone: Backbone, began: float | None = None, on_stage: OnStage = unheard) -> StudyPlan:
        """Say what the study would do on this machine and about how long that takes.

        Args:
            backbone: The study's.
            began: When the study was asked for, by `time.monotonic`; None is now.
            on_stage: Is told of every method before it is timed.

        Returns:
            The plan, as if nothing of the study were done yet.

        Raises:
            MachineError: A run needs more than this machine has.
            RequestError: Every method is far slower than `space.max_latency_ms`.
        """
        return self.planned(backbone, began, on_stage)[1]

    def exports(self, backbone: Backbone) -> tuple[PlannedExport, ...]:
        """Tell which forms of `export` can hold what the study trains; nothing is trained for it.

        Args:
            backbone: The study's.

        Returns:
            One entry per method that is in the study, and per configuration of the user's.
        """
        trials = _first_trials(self.spec, self.summary.rows["train"], self.basis)
        for drop in self.dropped:
            trials.pop(drop.method, None)
        target, side = self.encoded.target, self.spec.task.side
        return tuple(planned_export(name, trial, backbone, target, side) for name, trial in trials.items())

    def planned(
        self, backbone: Backbone, began: float | None = None, on_stage: OnStage = unheard
    ) -> tuple[Prepared, StudyPlan]:
        """Keep to the study's limits, and say what it will do: leave out slow methods, shorten runs that take too long.

        Runs are shortened rather than trials and seeds left out. Methods are timed once; the verdict looks at their
        latency again.

        Args:
            backbone: The study's.
            began: When the study was asked for, by `time.monotonic`; None is now.
            on_stage: Is told of every method before it is timed.

        Returns:
            The same study, without the methods that took much longer than `space.max_latency_ms` to score a few rows,
            and with fewer steps per run if the study gives none and its time limit allows no more. And its plan.

        Raises:
            MachineError: A run needs more than this machine has.
            RequestError: Every method is far slower than `space.max_latency_ms`.
        """
        measured, notices = self._measure(backbone, time.monotonic() if began is None else began, on_stage)
        asked = self._fast_enough(measured)
        measured = replace(measured, timings=asked._timings_of(measured))
        ready = asked._within_time(measured)
        plan = forecast(ready.spec, self.summary, measured, ready.dropped, self.basis)
        changes = {
            "notices": (*plan.notices, *ready.notices, *notices),
            "checkpoint_bytes": self.checkpoint_bytes(backbone) * measured.capacity.workers,
            "exports": ready.exports(backbone),
            "proposals": propose_alternatives(asked.spec, self.summary, measured, self.basis),
        }
        return ready, plan.model_copy(update=changes)

    def checkpoint_bytes(self, backbone: Backbone) -> int:
        """Estimate what the checkpoints of a run take on the disk at a time at most; nothing is trained for it.

        Args:
            backbone: The study's.

        Returns:
            Bytes.
        """
        # The gates before the first step are kept in a state, because a run that goes on cannot measure them again.
        gate_rows = self.summary.rows["tune"] + self.summary.rows["select"]
        gates = _MOST_GATES_PER_LAYER * _layers(backbone) * gate_rows
        # Whatever the search may come to: the largest of each method's space, and its published settings where the
        # largest cannot attach.
        rows = self.summary.rows["train"]
        space = self.spec.space
        trials = [largest(method, space, rows, self.basis) for method in space.methods]
        trials += _first_trials(self.spec, rows, self.basis).values()
        return max(checkpoint_bytes(trained_by(backbone, trial), gates if trial.gate else 0) for trial in trials)

    def _fast_enough(self, measured: Measured) -> Prepared:
        limit = self.spec.space.max_latency_ms
        if limit is None:
            return self
        timings = self._timings_of(measured)
        names = [name for name in self.spec.space.methods if name in timings]
        times = {name: 1000 * timings[name].row_seconds for name in names}
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
        notices = (*self.notices, *map(_left_out, dropped))
        return replace(self, dropped=(*self.dropped, *dropped), notices=notices)

    def _within_time(self, measured: Measured) -> Prepared:
        most = steps_for(self.summary.rows["train"], self.spec.space)
        steps = steps_within(self.spec, self.summary, measured, self.basis)
        if steps == most:
            return self
        shortened = Notice(code="steps_shortened", values={"steps": steps, "without_limit": most})
        return replace(self, spec=with_steps(self.spec, steps), notices=(*self.notices, shortened))

    def _timings_of(self, measured: Measured) -> dict[str, RunTiming]:
        """Return what was measured of the methods and configurations that are still in the study."""
        dropped = {drop.method for drop in self.dropped}
        return {name: timing for name, timing in measured.timings.items() if name not in dropped}

    def _measure(self, backbone: Backbone, began: float, on_stage: OnStage) -> tuple[Measured, list[Notice]]:
        """Time a few steps of every method and configuration on this machine; name those that it has no memory for."""
        capacity = local_capacity(self.spec.machine)
        # What cannot attach cannot be timed.
        dropped = {drop.method for drop in self.dropped}
        trials = _first_trials(self.spec, self.summary.rows["train"], self.basis)
        names = [name for name in trials if name not in dropped]
        timings = {}
        notices = []
        with _as_in_a_worker(backbone, capacity):
            for number, name in enumerate(names, start=1):
                on_stage(StudyStage(name="time", subject=name, number=number, of=len(names)))
                trial = within_limit(trials[name], self.spec.space, self.summary, self.basis)
                try:
                    timings[name] = self._time(trial, backbone)
                except MachineError as error:
                    values: dict[str, NoticeValue] = {"method": name, "cause": str(error)}
                    notices.append(Notice(code="not_timed", severity="warning", values=values))
        if notices and not timings:
            raise MachineError(str(notices[0].values["cause"]))
        start_seconds = time.monotonic() - began + self.load_seconds + _WORKER_START_SECONDS
        return Measured(capacity, _layers(backbone), timings, start_seconds), notices

    def _time(self, trial: TrialSpec, backbone: Backbone) -> RunTiming:
        """Time a configuration, with half of the rows at a time where memory is short, as its runs would go on.

        Raises:
            MachineError: Memory is too short even so.
        """
        run = RunSpec(trial=trial, seeds=run_seeds(self.spec.seed, SEARCH_SEED_INDEX))
        rows = trial.training.batch_size
        cause = ""
        for micro_batch in (None, -(-rows // 2)):
            try:
                return time_run(run, backbone, self.encoded, micro_batch)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                cause = one_line(error)
            if backbone.device.type == "cuda":
                torch.cuda.empty_cache()
        raise MachineError(f"There must be memory for {rows} rows, or for half of them at a time. {cause}")


@contextmanager
def _as_in_a_worker(backbone: Backbone, capacity: Capacity) -> Iterator[None]:
    """Give this process the device and the threads of a worker for a while, so that its times are a worker's."""
    threads = torch.get_num_threads()
    backbone.model.to(capacity.device)
    torch.set_num_threads(capacity.threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        backbone.model.to("cpu")
        if capacity.device == "cuda":
            torch.cuda.empty_cache()  # the workers need it


def prepare(
    spec: StudySpec, task: Task, basis: Basis | None = None, on_stage: OnStage = unheard
) -> tuple[Prepared, Backbone]:
    """Load the backbone once, try every method on it, and encode the task.

    Args:
        spec: What is asked.
        task: Its task.
        basis: That of the study that goes on; None is a new study, which has the newest edition.
        on_stage: Is told what is done, once the model is loaded.

    Returns:
        The study, ready to begin; default methods that cannot attach are left out with a notice. And its backbone, on
        the CPU, apart from it, because workers load their own.

    Raises:
        BackboneError: The backbone cannot be loaded, or a method that was asked for cannot attach to it.
        RequestError: Nothing is small enough for `space.max_parameters`, or a configuration of the user's is not.
    """
    new = basis is None
    edition = EDITION if basis is None else basis.edition
    began = time.perf_counter()
    backbone = load_backbone(spec.backbone, task.target.outputs, "cpu", edition)
    load_seconds = time.perf_counter() - began
    basis = basis or new_basis(backbone)
    if new:
        spec = _with_side(spec, backbone)
    spec = spec.completed(basis)
    # Checked before anything is encoded, which takes far longer than attaching.
    tokens = min(spec.task.max_length, backbone.max_length)
    rows = len(task.train)
    first_trials = _first_trials(spec, rows, basis)
    on_stage(StudyStage(name="attach", subject=spec.backbone.model, of=len(first_trials)))
    dropped = _drop_unattachable(spec, backbone, first_trials, tokens)
    sizes, too_large = measure_sizes(spec.space, backbone, rows, {drop.method for drop in dropped}, basis)
    dropped += too_large
    on_stage(
        StudyStage(name="encode", number=sum(len(split) for split in (task.train, task.tune, task.select, task.test)))
    )
    encoded = encode_task(task, backbone.tokenizer, tokens, spec.task.side)
    unknown = count_unknown(encoded, backbone)
    if new:
        check_known(unknown, backbone)
    notices = [*backbone.notices, *map(_left_out, dropped)]
    left_out = {drop.method for drop in dropped}
    used = {name: trial for name, trial in first_trials.items() if name not in left_out}
    notices += _partial_reaches(used, backbone)
    notices += _text_notices(spec, tokens, encoded.truncated_share, unknown)
    notices += _unread_outputs(used, basis)
    if new:
        # It depends on the seeds, which may grow; the verdict measures it.
        notices += _few_deciding_rows(spec, task)
    summary = task.summary(encoded.truncated_share).model_copy(
        update={
            "sizes": sizes,
            "hidden_size": basis.hidden_size,
            "block_output": basis.block_output,
            "unknown_share": unknown,
        }
    )
    worker = spec.backbone.absolute().model_copy(update={"pooling": backbone.pooling})
    ready = Prepared(spec, basis, worker, encoded, summary, tuple(dropped), tuple(notices), load_seconds)
    return ready, backbone


def _text_notices(spec: StudySpec, tokens: int, cut_share: float, unknown_share: float) -> list[Notice]:
    notices = _cut_rows(spec, tokens, cut_share)
    if unknown_share > UNKNOWN_WORTH_A_NOTICE:
        notices.append(Notice(code="tokens_unknown", severity="warning", values={"share": unknown_share}))
    return notices


def new_basis(backbone: Backbone) -> Basis:
    """Return what published settings depend on in a new study.

    Args:
        backbone: The study's.

    Returns:
        The newest edition, and what the backbone decides.
    """
    return Basis(
        edition=EDITION,
        # Every architecture here has one; what needs none could do without.
        hidden_size=getattr(backbone.model.config.get_text_config(), "hidden_size", None),
        block_output=backbone.has_block_output,
    )


def _few_deciding_rows(spec: StudySpec, task: Task) -> list[Notice]:
    """Say about how large a difference must be to show, where a small validation split decides alone."""
    rows = len(task.select)
    if not task.validation_decides or rows >= FEW_DECIDING_ROWS:
        return []
    detectable = None
    metric = find_metric(task.metric)
    # What is known of methods in general is how often they are right: a score of numbers, or one without an upper end,
    # is nothing like it.
    if task.labels and (metric.high, metric.direction) == (1.0, "maximize"):
        detectable = expected_detectable(rows, spec.budget.seeds, methods=len(spec.space.compared))
    values = {"rows": rows, "detectable": detectable}
    return [Notice(code="few_deciding_rows", severity="warning", values=values)]


def _unread_outputs(trials: Mapping[str, TrialSpec], basis: Basis) -> list[Notice]:
    """Name what has another adapter than the published one, because the backbone's blocks do not allow that one."""
    if basis.block_output:
        return []
    names = tuple(name for name, trial in trials.items() if reads_feed_forward(trial))
    return [Notice(code="no_block_output", severity="warning", values={"methods": names})] if names else []


def _cut_rows(spec: StudySpec, tokens: int, share: float) -> list[Notice]:
    """Say which share of the rows is cut, and by whose limit if it is not the study's own."""
    if share and tokens < spec.task.max_length:
        asked = spec.task.max_length
        return [
            Notice(
                code="fewer_positions",
                severity="warning",
                values={"model": spec.backbone.model, "tokens": tokens, "asked": asked, "share": share},
            )
        ]
    if share > _CUT_SHARE_WORTH_A_NOTICE:
        return [Notice(code="rows_cut", severity="warning", values={"share": share})]
    return []


def _with_side(spec: StudySpec, backbone: Backbone) -> StudySpec:
    """Write down the side that `auto` stands for, the tokenizer's own."""
    if spec.task.side is not None:
        return spec
    side = backbone.tokenizer.truncation_side
    return spec.model_copy(update={"task": spec.task.model_copy(update={"truncation": side})})


def _drop_unattachable(
    spec: StudySpec, backbone: Backbone, trials: Mapping[str, TrialSpec], tokens: int
) -> list[DroppedMethod]:
    """Try every method on the backbone; only the default methods may fail, since nobody has asked for them by name."""
    dropped = []
    own = {given.name for given in spec.space.configurations}
    for name, trial in trials.items():
        try:
            check_trial(backbone, trial, tokens)
        except BackboneError as error:
            if name in own:
                raise BackboneError(f"space.configurations: {name!r} cannot be attached. {error}") from error
            if spec.space.methods != DEFAULT_METHODS:
                raise
            reason = Notice(code="cannot_attach", values={"cause": str(error)})
            dropped.append(DroppedMethod(method=name, phase="screen", reason=reason))
    if len(dropped) == len(spec.space.methods):
        cause = dropped[0].reason.values["cause"]
        raise BackboneError(f"No method can be attached to {spec.backbone.model!r}. {cause}")
    return dropped


def _partial_reaches(trials: Mapping[str, TrialSpec], backbone: Backbone) -> list[Notice]:
    """Return a notice for every method that attaches to some of a hybrid model's layers only."""
    notices = []
    for name, trial in trials.items():
        reach = partial_reach(backbone, trial)
        if reach is not None:
            reached, layers = reach
            notices.append(
                Notice(
                    code="attaches_to_some_layers",
                    values={"method": name, "reached": reached, "layers": layers},
                )
            )
    return notices


def _left_out(drop: DroppedMethod) -> Notice:
    """Return the notice of a method that is left out: the code and the values of the reason are among its values."""
    return Notice(
        code="method_left_out",
        severity="warning",
        values={**drop.reason.values, "method": drop.method, "reason": drop.reason.code},
    )


def _first_trials(spec: StudySpec, rows: int, basis: Basis) -> dict[str, TrialSpec]:
    """Return the published settings of every method, and the user's own configurations by their names."""
    space = spec.space
    trials = {method: published(method, space, rows, basis)[0] for method in space.methods}
    return trials | {given.name: configured(given, space, rows, basis) for given in space.configurations}


def _layers(backbone: Backbone) -> int:
    return len(layer_parts(backbone.base, backbone.family))

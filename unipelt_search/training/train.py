"""Training runs: one alone, or a pack of them together. Needs no Ray and no database."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Literal

import numpy as np

from unipelt_search.backbones.backbone import Backbone, backbone_hash
from unipelt_search.errors import DivergedError
from unipelt_search.kinds.label_kind import Target
from unipelt_search.pelt.applicability import needs_own_pack
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.results import Costs, EvaluationRow, GateRow, OutcomeRow, Predictions, RunResult
from unipelt_search.remote_paths import StoragePath
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask
from unipelt_search.tasks.metrics import score_all
from unipelt_search.training.batches import lengths_of, training_batches
from unipelt_search.training.checkpoint import CostSoFar, RunCheckpoints, save_run
from unipelt_search.training.costs import PeakMemory
from unipelt_search.training.evaluate import ablate, outcome_rows, predict, prunable_parts, spread_rows
from unipelt_search.training.objective import Objective
from unipelt_search.training.optimizer import SlotAdamW
from unipelt_search.training.recorder import GateRecorder, gate_rows
from unipelt_search.training.shuffled_control import shuffled, with_shuffled_control
from unipelt_search.training.slot import Slot

Event = EvaluationRow | RunResult
Scored = Literal["select", "test"]
TUNE_ROWS = 500
"""Tune rows that an evaluation scores at most."""


def train_events(
    run: RunSpec,
    backbone: Backbone,
    task: EncodedTask,
    *,
    checkpoint: StoragePath | None = None,
    tune_rows: int = TUNE_ROWS,
    progress: RunCheckpoints | None = None,
    micro_batch: int | None = None,
) -> Iterator[Event]:
    """Train one run, or go on with it.

    Args:
        run: The configuration, its seeds, and what to measure at the end.
        backbone: The frozen backbone; left as it was when the iterator ends or is closed.
        task: The encoded rows.
        checkpoint: A folder for the best weights; None writes none.
        tune_rows: Tune rows that an evaluation scores at most.
        progress: Keeps the run's state at every evaluation; where an earlier attempt has left one, the run goes on
            from there to the result of a run that nothing disturbed. None keeps none.
        micro_batch: Rows that a training pass takes at most, to save memory: the gradient of a step is added up over
            several. None takes a step's rows at once.

    Yields:
        An `EvaluationRow` at every evaluation to come, and at last one `RunResult`, which has those before it too.

    Raises:
        DivergedError: The loss became no finite number.
        BackboneError: The configuration cannot attach to the backbone.
    """
    task, finished = task.of_resample(run.draw), None
    with Pack(backbone, [run]) as pack:
        for _, event in PackTraining(pack, [run], task, tune_rows, micro_batch).events(checkpoint, progress):
            if isinstance(event, DivergedError):
                raise event
            if isinstance(event, RunResult) and run.gate_null:
                finished = event
            else:
                yield event
    if finished is not None:
        plain = run.model_copy(update={"gate_null": False, "prune": False, "ablation": False, "draw": 0})
        mixed = shuffled(task, run.seeds.order)
        with suppress(DivergedError):  # then there is no null
            *_, null = train_events(plain, backbone, mixed, tune_rows=tune_rows, micro_batch=micro_batch)
            finished = with_shuffled_control(finished, null) if isinstance(null, RunResult) else finished
        yield finished


def train(
    runs: Sequence[RunSpec], backbone: Backbone, task: EncodedTask, *, tune_rows: int = TUNE_ROWS
) -> list[RunResult | DivergedError]:
    """Train several runs: those with the same rows as one pack, those that must be alone each in its own.

    Args:
        runs: What to train.
        backbone: The frozen backbone.
        task: The encoded rows.
        tune_rows: Tune rows that an evaluation scores at most.

    Returns:
        In the order of the runs, each one's result, or the error of a run whose loss became no finite number.

    Raises:
        BackboneError: A configuration cannot attach to the backbone.
    """
    unpackable = [i for i, run in enumerate(runs) if needs_own_pack(backbone, run.trial)]
    draws = sorted({run.draw for run in runs})
    packed = [[i for i, run in enumerate(runs) if i not in unpackable and run.draw == draw] for draw in draws]
    groups = [[i] for i in unpackable] + packed
    results: dict[int, RunResult | DivergedError] = {}
    for group in filter(None, groups):
        members = [runs[i] for i in group]
        with Pack(backbone, members) as pack:
            rows = task.of_resample(members[0].draw)
            for slot, event in PackTraining(pack, members, rows, tune_rows).events(None, None):
                if not isinstance(event, EvaluationRow):
                    results[group[slot]] = event
    return [results[i] for i in range(len(runs))]


class PackTraining:
    """Trains the runs of one attached pack."""

    def __init__(
        self, pack: Pack, runs: Sequence[RunSpec], task: EncodedTask, tune_rows: int, micro_batch: int | None = None
    ) -> None:
        self.pack, self.task, self.micro_batch = pack, task, micro_batch
        self.device = pack.backbone.device
        self.tune_rows = spread_rows(len(task.tune), tune_rows)
        self.objective = Objective(task.target, self.device)
        self.optimizer = SlotAdamW(pack.trained(), [run.trial.training for run in runs])
        lengths = lengths_of(task.train)
        self.slots = [
            Slot(
                run,
                training_batches(lengths, run.trial.training.batch_size, run.seeds.order),
                _evaluation_steps(run),
                task.target,
            )
            for run in runs
        ]
        self.gated = any(run.trial.gate for run in runs)
        self.memory = PeakMemory(self.device)
        self.train_seconds, self.positions, self.tokens = 0.0, 0, 0
        self.began = time.perf_counter()

    def events(
        self, checkpoint: StoragePath | None, progress: RunCheckpoints | None
    ) -> Iterator[tuple[int, Event | DivergedError]]:
        """Train to the end; yields (slot, event). Only a run that is alone has a progress."""
        if progress is None or not self._go_on(progress):
            self._record_initial_gates()
        while any(slot.active for slot in self.slots):
            self.step()
            for number, slot in enumerate(self.slots):
                if slot.diverged is not None and slot.active:
                    slot.active = False
                    yield number, slot.diverged
            due = [n for n, slot in enumerate(self.slots) if slot.active and slot.step in slot.evaluate_at]
            if due:
                for number, row in self._evaluate(due):
                    if progress is not None and isinstance(row, EvaluationRow):
                        self._keep(progress)
                    yield number, row
        yield from self._finish(checkpoint)

    def _record_initial_gates(self) -> None:
        if not self.gated:
            return
        recorder = self._recorder(self.task.tune)
        predict(self.pack, self.task.tune, self.task.pad_token_id, self.tune_rows, recorder=recorder)
        for number, slot in enumerate(self.slots):
            if slot.run.trial.gate:
                slot.initial_tune = recorder.gates(number)
                slot.gates += self._gate_rows(recorder, number, 0.0, "tune")
        if any(slot.run.confirm and slot.run.trial.gate for slot in self.slots):
            recorder = self._recorder(self.task.select)
            predict(self.pack, self.task.select, self.task.pad_token_id, _all(self.task.select), recorder=recorder)
            for number, slot in enumerate(self.slots):
                if slot.run.trial.gate:
                    slot.initial_select = recorder.gates(number)

    def _keep(self, progress: RunCheckpoints) -> None:
        """Write down where the only run is."""
        cost_so_far = CostSoFar(
            train_seconds=self.train_seconds,
            positions=self.positions,
            tokens=self.tokens,
            peak_memory_mb=self.memory.megabytes(),
        )
        progress.save(self.slots[0], self.pack, self.optimizer, cost_so_far)

    def _go_on(self, progress: RunCheckpoints) -> bool:
        """Put the only run where an earlier attempt has left it; tells whether there was one."""
        slot = self.slots[0]
        cost_so_far = progress.load(slot, self.pack, self.optimizer)
        if cost_so_far is None:
            return False
        self.train_seconds, self.positions, self.tokens = (
            cost_so_far.train_seconds,
            cost_so_far.positions,
            cost_so_far.tokens,
        )
        self.memory = PeakMemory(self.device)  # reading the checkpoint took memory that training does not
        self.memory.record_peak_memory(cost_so_far.peak_memory_mb)
        self.began -= slot.evaluations[-1].seconds
        return True

    def step(self) -> None:
        """Take one optimizer step with every active slot."""
        began = time.perf_counter()
        nothing = np.empty(0, dtype=np.int64)
        rows = [next(slot.batches) if slot.active else nothing for slot in self.slots]
        steps = [slot.step for slot in self.slots]
        passed = self.objective.descend(self.pack, self.task, rows, steps, self.micro_batch)
        for slot, value in zip(self.slots, passed.losses, strict=True):
            if slot.active and not np.isfinite(value):
                slot.diverged = DivergedError(
                    f"the training loss must be a finite number; got {value} at step {slot.step}"
                )
        taking = [slot.active and slot.diverged is None for slot in self.slots]
        self.optimizer.step(taking)
        for slot, taken, value, numbers in zip(self.slots, taking, passed.losses, rows, strict=True):
            if taken:
                slot.step += 1
                slot.examples += len(numbers)
                slot.losses.append(value)
        self.train_seconds += time.perf_counter() - began
        self.positions += passed.positions
        self.tokens += passed.tokens

    def _evaluate(self, due: Sequence[int]) -> Iterator[tuple[int, EvaluationRow | DivergedError]]:
        """Score the tune rows for the slots whose turn it is, and keep the best weights."""
        recorder = self._recorder(self.task.tune) if any(self.slots[n].run.trial.gate for n in due) else None
        logits = predict(self.pack, self.task.tune, self.task.pad_token_id, self.tune_rows, recorder=recorder)
        labels = self.task.tune.labels[self.tune_rows]
        self.memory.sample()
        for number in due:
            slot = self.slots[number]
            target = self.task.target.fitted(logits[number], labels)
            try:
                scores = score_all(target, labels, target.predict(logits[number]))
            except DivergedError as error:
                slot.diverged, slot.active = error, False
                yield number, error
                continue
            row = EvaluationRow(
                step=slot.step,
                epoch=self._epoch(slot),
                train_loss=float(np.mean(slot.losses)),
                value=scores[self.task.metric],
                seconds=time.perf_counter() - self.began,
            )
            slot.losses.clear()
            slot.evaluations.append(row)
            if recorder is not None and slot.run.trial.gate:
                slot.gates += self._gate_rows(recorder, number, row.epoch, "tune")
            if slot.best is None or row.value > slot.best.value:
                slot.best, slot.best_weights, slot.waiting = row, self.pack.snapshot(number), 0
                slot.target = target
            else:
                slot.waiting += 1
            slot.active = not slot.is_done()
            yield number, row

    def _finish(self, checkpoint: StoragePath | None) -> Iterator[tuple[int, RunResult]]:
        """Put the best weights back and measure what was asked for."""
        for number, slot in enumerate(self.slots):
            if slot.best is not None:
                self.pack.restore(number, slot.best_weights)
        logits, milliseconds, recorder = self._score_confirmed()
        for number, slot in enumerate(self.slots):
            if slot.diverged is not None or slot.best is None:
                continue
            confirmed = slot.run.confirm
            if recorder is not None and confirmed and slot.run.trial.gate:
                slot.gates += self._gate_rows(recorder, number, slot.best.epoch, "select")
            evaluated = replace(self.task, target=slot.target)
            ablation = tuple(ablate(self.pack, number, evaluated)) if slot.run.ablation else ()
            prunable = prunable_parts(self.pack, number, evaluated, len(self.tune_rows)) if slot.run.prune else None
            if checkpoint is not None:
                save_run(checkpoint, self.pack.slot_state_dict(number), self._description(slot))
            trained, stored, head = self.pack.counts(number)
            predictions = {split: slot.target.predict(logits[split][number]) for split in logits}
            yield (
                number,
                RunResult(
                    tune=slot.best.value,
                    select=self._scores("select", slot.target, predictions) if confirmed else None,
                    test=self._scores("test", slot.target, predictions) if confirmed else None,
                    best_step=slot.best.step,
                    steps=slot.step,
                    evaluations=tuple(slot.evaluations),
                    gates=tuple(slot.gates),
                    ablation=ablation,
                    prunable=prunable,
                    outcomes=tuple(self._outcomes(slot.target, predictions)) if confirmed else (),
                    predictions=tuple(self._predictions(slot.target, predictions)) if confirmed else (),
                    costs=Costs(
                        trained_parameters=trained,
                        stored_parameters=stored,
                        head_parameters=head,
                        train_seconds=self.train_seconds,
                        predict_ms_per_example=milliseconds if confirmed else None,
                        peak_memory_mb=self.memory.megabytes(),
                        examples_trained=slot.examples,
                        padding_share=1 - self.tokens / max(self.positions, 1),
                    ),
                    checkpoint=None if checkpoint is None else str(checkpoint),
                ),
            )

    def _score_confirmed(self) -> tuple[dict[Scored, np.ndarray], float, GateRecorder | None]:
        """Score select and test rows once for the whole pack; the latency is that of the select rows."""
        if not any(slot.run.confirm for slot in self.slots):
            return {}, 0.0, None
        task, recorder = self.task, None
        began = time.perf_counter()
        select = predict(self.pack, task.select, task.pad_token_id, _all(task.select))
        milliseconds = 1000 * (time.perf_counter() - began) / (len(task.select) * self.pack.slots)
        test = predict(self.pack, task.test, task.pad_token_id, _all(task.test))
        if any(slot.run.confirm and slot.run.trial.gate for slot in self.slots):
            recorder = self._recorder(task.select, contributions=True)
            predict(self.pack, task.select, task.pad_token_id, _all(task.select), recorder=recorder)
        return {"select": select, "test": test}, milliseconds, recorder

    def _labels(self, split: Scored) -> np.ndarray:
        return self.task.select.labels if split == "select" else self.task.test.labels

    def _scores(self, split: Scored, target: Target, predictions: Mapping[Scored, np.ndarray]) -> dict[str, float]:
        return score_all(target, self._labels(split), predictions[split])

    def _outcomes(self, target: Target, predictions: Mapping[Scored, np.ndarray]) -> Iterator[OutcomeRow]:
        for split, predicted in predictions.items():
            yield from outcome_rows(split, target, self._labels(split), predicted)

    def _predictions(self, target: Target, predictions: Mapping[Scored, np.ndarray]) -> Iterator[Predictions]:
        for split, predicted in predictions.items():
            labels = target.from_array(self._labels(split))
            rows = self.task.select_rows if split == "select" else None
            yield Predictions(split=split, labels=labels, predicted=target.from_array(predicted), rows=rows)

    def _recorder(self, split: EncodedSplit, *, contributions: bool = False) -> GateRecorder:
        return GateRecorder(self.pack.slots, len(split), contributions=contributions)

    def _gate_rows(
        self, recorder: GateRecorder, number: int, epoch: float, split: Literal["tune", "select"]
    ) -> Iterator[GateRow]:
        slot, encoded = self.slots[number], self.task.tune if split == "tune" else self.task.select
        return gate_rows(
            recorder,
            number,
            slot.initial_tune if split == "tune" else slot.initial_select,
            epoch=epoch,
            stacks=[layer.stack for layer in self.pack.layers],
            split=split,
            labels=encoded.labels,
            names=self.task.labels if split == "select" else (),
        )

    def _epoch(self, slot: Slot) -> float:
        return round(slot.examples / len(self.task.train), 4)

    def _description(self, slot: Slot) -> dict[str, object]:
        return {
            "run": slot.run.model_dump(mode="json"),
            "backbone": self.pack.backbone.name,
            "backbone_hash": backbone_hash(self.pack.backbone),
            "pooling": self.pack.backbone.pooling,
            "target": asdict(slot.target),
            "metric": self.task.metric,
        }


def _evaluation_steps(run: RunSpec) -> frozenset[int]:
    """Choose the steps after which a run is evaluated: evenly spread, the last one included."""
    training = run.trial.training
    count = min(training.evaluations, training.steps)
    return frozenset(round(training.steps * (i + 1) / count) for i in range(count))


def _all(split: EncodedSplit) -> np.ndarray:
    return np.arange(len(split))

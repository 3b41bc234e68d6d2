"""The training loop of one attached pack: steps, evaluations, the best weights, and going on from a kept state."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from unipelt_search.errors import DivergedError
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.results import EvaluationRow, RunResult
from unipelt_search.remote_paths import StoragePath
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask
from unipelt_search.tasks.metrics import score_logits
from unipelt_search.training.batches import lengths_of, training_batches
from unipelt_search.training.checkpoint import CostSoFar, RunCheckpoints
from unipelt_search.training.costs import PeakMemory
from unipelt_search.training.evaluate import every_row, predict, spread_rows
from unipelt_search.training.final_scoring import FinalScoring
from unipelt_search.training.objective import Objective
from unipelt_search.training.optimizer import SlotAdamW
from unipelt_search.training.recorder import GateRecorder, gate_rows
from unipelt_search.training.slot import Slot

Event = EvaluationRow | RunResult


class PackTraining:
    """Trains the runs of one attached pack."""

    def __init__(
        self,
        pack: Pack,
        runs: Sequence[RunSpec],
        task: EncodedTask,
        tune_rows: int,
        micro_batch: int | None = None,
    ) -> None:
        """Take what is trained, on what.

        Args:
            pack: The attached pack of the runs.
            runs: What is trained, slot by slot.
            task: The encoded rows.
            tune_rows: Tune rows that an evaluation scores at most.
            micro_batch: Rows of a slot that one pass takes at most; None is all.
        """
        self.pack = pack
        # Here, because only here the training rows are those of the run, whether sampled again or those of a fold.
        self.task = replace(task, train=task.train.with_mean_weight_one())
        self.micro_batch = micro_batch
        self.device = pack.backbone.device
        self.tune_rows = spread_rows(len(task.tune), tune_rows)
        self.objective = Objective(task.target, self.device)
        self.optimizer = SlotAdamW(pack.trained(), [run.trial.training for run in runs])
        lengths = lengths_of(task.train)
        self.slots = [_new_slot(run, task, lengths) for run in runs]
        self.memory = PeakMemory(self.device)
        self.train_seconds = 0.0
        self.positions = 0
        self.tokens = 0
        self.began = time.perf_counter()

    def events(
        self, checkpoint: StoragePath | None, progress: RunCheckpoints | None
    ) -> Iterator[tuple[int, Event | DivergedError]]:
        """Train to the end.

        Args:
            checkpoint: A folder for the best weights; None writes none.
            progress: Keeps the run's state at every evaluation; only for a run that is alone in its pack.

        Yields:
            A slot with its next evaluation, its result, or the error that ended it.
        """
        went_on = progress is not None and self._go_on(progress)
        if not went_on:
            self._record_initial_gates()
        while any(slot.active for slot in self.slots):
            self.step()
            yield from self._end_diverged()
            for number, event in self._evaluate_due():
                if progress is not None and isinstance(event, EvaluationRow):
                    self._keep(progress)
                yield number, event
        yield from self._finish(checkpoint)

    def step(self) -> None:
        """Take one optimizer step with every active slot."""
        began = time.perf_counter()
        nothing = np.empty(0, dtype=np.int64)
        rows = [next(slot.batches) if slot.active else nothing for slot in self.slots]
        steps = [slot.step for slot in self.slots]
        passed = self.objective.descend(self.pack, self.task, rows, steps, self.micro_batch)
        for slot, loss in zip(self.slots, passed.losses, strict=True):
            if slot.active and not np.isfinite(loss):
                slot.diverged = DivergedError(
                    f"the training loss must be a finite number; got {loss} at step {slot.step}"
                )
        # A slot that has just diverged must not spoil its moments: its best weights are still to be scored.
        taking = [slot.active and slot.diverged is None for slot in self.slots]
        self.optimizer.step(taking)
        for slot, taken, loss, numbers in zip(self.slots, taking, passed.losses, rows, strict=True):
            if taken:
                slot.step += 1
                slot.examples += len(numbers)
                slot.losses.append(loss)
        self.train_seconds += time.perf_counter() - began
        self.positions += passed.positions
        self.tokens += passed.tokens

    def _record_initial_gates(self) -> None:
        """Keep what the gates are before the first step: statistics compare with it."""
        if not any(slot.gated for slot in self.slots):
            return
        recorder = self._recorder(self.task.tune)
        self._predict(self.task.tune, self.tune_rows, recorder)
        for number, slot in enumerate(self.slots):
            if slot.gated:
                slot.initial_tune = recorder.gates(number)
                self._record_gates(recorder, number, epoch=0.0)
        if any(slot.gated and slot.run.confirm for slot in self.slots):
            recorder = self._recorder(self.task.select)
            self._predict(self.task.select, every_row(self.task.select), recorder)
            for number, slot in enumerate(self.slots):
                if slot.gated:
                    slot.initial_select = recorder.gates(number)

    def _end_diverged(self) -> Iterator[tuple[int, DivergedError]]:
        for number, slot in enumerate(self.slots):
            if slot.diverged is not None and slot.active:
                slot.active = False
                yield number, slot.diverged

    def _evaluate_due(self) -> Iterator[tuple[int, EvaluationRow | DivergedError]]:
        """Score the tune rows for the slots whose turn it is, and keep the best weights."""
        due = [number for number, slot in enumerate(self.slots) if slot.is_due()]
        if not due:
            return
        recorder = None
        if any(self.slots[number].gated for number in due):
            recorder = self._recorder(self.task.tune)
        logits = self._predict(self.task.tune, self.tune_rows, recorder)
        self.memory.sample()
        for number in due:
            slot = self.slots[number]
            try:
                row = self._score(slot, logits[number])
            except DivergedError as error:
                slot.diverged = error
                slot.active = False
                yield number, error
                continue
            if recorder is not None and slot.gated:
                self._record_gates(recorder, number, epoch=row.epoch)
            if slot.best is row:
                slot.best_weights = self.pack.snapshot(number)
            slot.active = not slot.is_done()
            yield number, row

    def _score(self, slot: Slot, logits: np.ndarray) -> EvaluationRow:
        """Score one slot's tune rows from its logits ``(m, outputs)`` and note the evaluation."""
        labels = self.task.tune.labels[self.tune_rows]
        target = self.task.target.fitted(logits, labels)
        weights = self.task.metric_weights(self.task.tune)
        counted = None if weights is None else weights[self.tune_rows]
        value = score_logits(target, self.task.metric, labels, logits, counted)
        row = EvaluationRow(
            step=slot.step,
            epoch=round(slot.examples / len(self.task.train), 4),
            train_loss=float(np.mean(slot.losses)),
            value=value,
            seconds=time.perf_counter() - self.began,
        )
        slot.note_evaluation(row, target)
        return row

    def _finish(self, checkpoint: StoragePath | None) -> Iterator[tuple[int, RunResult]]:
        """Put the best weights back and measure what was asked for."""
        for number, slot in enumerate(self.slots):
            if slot.best is not None:
                self.pack.restore(number, slot.best_weights)
        scoring = FinalScoring(self.pack, self.task, self.slots, len(self.tune_rows))
        for number, slot in enumerate(self.slots):
            if slot.diverged is None and slot.best is not None:
                yield number, scoring.result(number, self._cost_so_far(), checkpoint)

    def _cost_so_far(self) -> CostSoFar:
        return CostSoFar(
            train_seconds=self.train_seconds,
            positions=self.positions,
            tokens=self.tokens,
            peak_memory_mb=self.memory.megabytes(),
        )

    def _keep(self, progress: RunCheckpoints) -> None:
        """Write down where the only run is."""
        progress.save(self.slots[0], self.pack, self.optimizer, self._cost_so_far())

    def _go_on(self, progress: RunCheckpoints) -> bool:
        """Put the only run where an earlier attempt has left it; tells whether there was one."""
        slot = self.slots[0]
        cost_so_far = progress.load(slot, self.pack, self.optimizer)
        if cost_so_far is None:
            return False
        self.train_seconds = cost_so_far.train_seconds
        self.positions = cost_so_far.positions
        self.tokens = cost_so_far.tokens
        self.memory = PeakMemory(self.device)  # reading the checkpoint took memory that training does not
        self.memory.include(cost_so_far.peak_memory_mb)
        # The curve's seconds go on where those of the earlier attempt ended.
        self.began -= slot.evaluations[-1].seconds
        return True

    def _predict(
        self,
        split: EncodedSplit,
        rows: np.ndarray,
        recorder: GateRecorder | None,
    ) -> np.ndarray:
        """Compute logits ``(S, m, outputs)`` of some rows."""
        return predict(self.pack, split, self.task.pad_token_id, rows, recorder=recorder)

    def _recorder(self, split: EncodedSplit) -> GateRecorder:
        return GateRecorder(self.pack.slots, len(split), contributions=False)

    def _record_gates(self, recorder: GateRecorder, number: int, *, epoch: float) -> None:
        """Add one slot's gate statistics on the tune rows."""
        slot = self.slots[number]
        slot.gates += gate_rows(
            recorder.of_slot(number, slot.initial_tune),
            epoch=epoch,
            stacks=[layer.stack for layer in self.pack.layers],
            split="tune",
            labels=self.task.tune.labels,
        )


def _new_slot(run: RunSpec, task: EncodedTask, lengths: np.ndarray) -> Slot:
    batches = training_batches(lengths, run.trial.training.batch_size, run.seeds.order)
    return Slot(run, batches, _evaluation_steps(run), task.target, task.target.metric(task.metric))


def _evaluation_steps(run: RunSpec) -> frozenset[int]:
    """Choose the steps after which a run is evaluated: evenly spread, the last one included."""
    training = run.trial.training
    count = min(training.evaluations, training.steps)
    return frozenset(round(training.steps * (i + 1) / count) for i in range(count))

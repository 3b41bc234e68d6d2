"""What is measured once a pack's best weights are back: scores, predictions, gates, ablation, costs, kept weights."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Literal

import numpy as np

from unipelt_search.backbones.backbone import backbone_hash
from unipelt_search.kinds.label_kind import Target
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.results import (
    GATE_VALUE_ROWS,
    AblationRow,
    Costs,
    GateValues,
    OutcomeRow,
    Predictions,
    RunResult,
)
from unipelt_search.remote_paths import StoragePath
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask
from unipelt_search.tasks.metrics import score_all
from unipelt_search.training.checkpoint import CostSoFar, save_run
from unipelt_search.training.evaluate import (
    ablate,
    every_row,
    outcome_rows,
    predict,
    prunable_parts,
    spread_rows,
)
from unipelt_search.training.recorder import GateRecorder, gate_rows, gate_values
from unipelt_search.training.slot import Slot

Scored = Literal["select", "test"]


class FinalScoring:
    """Measures the runs of a pack that have ended; select and test rows are scored once for the whole pack."""

    def __init__(
        self,
        pack: Pack,
        task: EncodedTask,
        slots: Sequence[Slot],
        tune_rows: int,
    ) -> None:
        """Score the rows of the confirmed runs.

        Args:
            pack: The attached pack, with each slot's best weights.
            task: The encoded rows.
            slots: The runs.
            tune_rows: Tune rows that decide which submodules can be pruned, at most.
        """
        self.pack = pack
        self.task = task
        self.slots = slots
        self.tune_rows = tune_rows
        self.logits: dict[Scored, np.ndarray] = {}
        self.milliseconds: float | None = None
        self.recorder: GateRecorder | None = None
        if any(slot.run.confirm for slot in slots):
            self._score_confirmed()

    def result(self, number: int, costs: CostSoFar, checkpoint: StoragePath | None) -> RunResult:
        """Measure one slot.

        Args:
            number: The run's slot; it has a best evaluation.
            costs: What the pack has cost.
            checkpoint: A folder for its weights; None keeps none.

        Returns:
            What the run measured.
        """
        slot = self.slots[number]
        best = slot.best
        if best is None:
            raise RuntimeError("only a run that was evaluated has a result")
        confirmed = slot.run.confirm
        values = self._record_gates(number, best.epoch) if confirmed else None
        # With sets of labels the best evaluation has chosen the threshold.
        task = replace(self.task, target=slot.target)
        ablation = self._ablation(number, task)
        prunable = prunable_parts(self.pack, number, task, self.tune_rows) if slot.run.prune else None
        if checkpoint is not None:
            save_run(checkpoint, self.pack.slot_state_dict(number), self._description(slot))
        predicted = self._predicted(number) if confirmed else {}
        return RunResult(
            tune=best.value,
            select=self._scores("select", number, predicted) if confirmed else None,
            test=self._scores("test", number, predicted) if confirmed else None,
            best_step=best.step,
            steps=slot.step,
            evaluations=tuple(slot.evaluations),
            gates=tuple(slot.gates),
            gate_values=values,
            ablation=ablation,
            prunable=prunable,
            outcomes=tuple(self._outcomes(slot.target, predicted)),
            predictions=tuple(self._predictions(number, predicted)),
            costs=self._costs(number, costs),
            checkpoint=None if checkpoint is None else str(checkpoint),
        )

    def _score_confirmed(self) -> None:
        """Compute the logits ``(S, n, outputs)`` of select and test rows; the latency is that of the select rows."""
        select = self.task.select
        began = time.perf_counter()
        self.logits["select"] = self._predict(select)
        seconds = time.perf_counter() - began
        self.milliseconds = 1000 * seconds / (len(select) * self.pack.slots)
        self.logits["test"] = self._predict(self.task.test)
        if any(slot.run.confirm and slot.gated for slot in self.slots):
            # A pass of its own: recording contributions takes time, which is no part of the latency.
            self.recorder = GateRecorder(self.pack.slots, len(select), contributions=True)
            self._predict(select, self.recorder)

    def _predict(self, split: EncodedSplit, recorder: GateRecorder | None = None) -> np.ndarray:
        """Compute logits ``(S, n, outputs)`` of all rows of a split."""
        return predict(self.pack, split, self.task.pad_token_id, every_row(split), recorder=recorder)

    def _predicted(self, number: int) -> dict[Scored, np.ndarray]:
        """Turn one confirmed slot's logits into predictions."""
        target = self.slots[number].target
        return {split: target.predict(logits[number]) for split, logits in self.logits.items()}

    def _record_gates(self, number: int, epoch: float) -> GateValues | None:
        """Add one slot's gate statistics on the select rows, label by label; returns the gates themselves.

        None where it has no gates.
        """
        slot = self.slots[number]
        if self.recorder is None or not slot.gated:
            return None
        gates = self.recorder.of_slot(number, slot.initial_select)
        stacks = [layer.stack for layer in self.pack.layers]
        slot.gates += gate_rows(
            gates,
            epoch=epoch,
            stacks=stacks,
            split="select",
            labels=self.task.select.labels,
            names=self.task.labels,
        )
        # By their number alone, so that all runs keep the same rows.
        rows = spread_rows(len(self.task.select), GATE_VALUE_ROWS)
        return gate_values(gates, stacks=stacks, rows=rows)

    def _ablation(self, number: int, task: EncodedTask) -> tuple[AblationRow, ...]:
        """Measure what one slot's submodules are worth, as far as that was asked for."""
        run = self.slots[number].run
        if not run.ablation:
            return ()
        return tuple(ablate(self.pack, number, task, layers=run.ablation_layers))

    def _split(self, name: Scored) -> EncodedSplit:
        return self.task.select if name == "select" else self.task.test

    def _scores(self, name: Scored, number: int, predicted: Mapping[Scored, np.ndarray]) -> dict[str, float]:
        """Score one confirmed slot's rows by every metric."""
        target = self.slots[number].target
        split = self._split(name)
        probabilities = target.probabilities(self.logits[name][number])
        weights = self.task.metric_weights(split)
        return score_all(target, split.labels, predicted[name], probabilities, weights, metric=self.task.metric)

    def _outcomes(
        self,
        target: Target,
        predicted: Mapping[Scored, np.ndarray],
    ) -> Iterator[OutcomeRow]:
        for name, rows in predicted.items():
            yield from outcome_rows(name, target, self._split(name).labels, rows)

    def _predictions(
        self,
        number: int,
        predicted: Mapping[Scored, np.ndarray],
    ) -> Iterator[Predictions]:
        target = self.slots[number].target
        for name, rows in predicted.items():
            split = self._split(name)
            probabilities = target.probabilities(self.logits[name][number])
            weights = self.task.metric_weights(split)
            yield Predictions(
                split=name,
                labels=target.from_array(split.labels),
                predicted=target.from_array(rows),
                rows=self.task.select_rows if name == "select" else None,
                probabilities=None if probabilities is None else probabilities.astype("<f4").tobytes(),
                weights=None if weights is None else tuple(weights.tolist()),
            )

    def _costs(self, number: int, costs: CostSoFar) -> Costs:
        slot = self.slots[number]
        trained, stored, head = self.pack.counts(number)
        return Costs(
            trained_parameters=trained,
            stored_parameters=stored,
            head_parameters=head,
            train_seconds=costs.train_seconds,
            predict_ms_per_example=self.milliseconds if slot.run.confirm else None,
            peak_memory_mb=costs.peak_memory_mb,
            examples_trained=slot.examples,
            padding_share=1 - costs.tokens / max(costs.positions, 1),
        )

    def _description(self, slot: Slot) -> dict[str, object]:
        """Say what is needed to load the weights again."""
        return {
            "run": slot.run.model_dump(mode="json"),
            "backbone": self.pack.backbone.name,
            "backbone_hash": backbone_hash(self.pack.backbone),
            "pooling": self.pack.backbone.pooling,
            "target": asdict(slot.target),
            "metric": self.task.metric,
        }

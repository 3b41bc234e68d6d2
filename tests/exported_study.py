"""A study of one confirmed run on a tiny saved backbone, trained for real, ready to be exported."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tiny
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.records.history import RunRecord, RunState, StudyRecord, StudyState, TrialRecord, TrialState
from unipelt_search.records.results import RunResult
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import BackboneSpec, StudySpec, TaskSpec
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import encode_task, encode_texts, pad_token_id
from unipelt_search.tasks.load import load_task
from unipelt_search.training.batches import make_batch
from unipelt_search.training.train import train_events

TEXTS = ["w1 w2 w3", "w50", "w22 w23 w24 w25 w26 w27 w28", "w7 w8 w9 w33"]
PAIRS = [("w1 w2", "w3"), ("w50", "w51 w52"), ("w22 w23 w24", "w25 w26 w27 w28"), ("w7", "w8 w9 w33")]


@dataclass(frozen=True)
class Trained:
    """A study, and what the training pack itself answered with the kept weights."""

    record: StudyRecord
    logits: torch.Tensor
    """``(rows, labels)`` for `TEXTS`, or `PAIRS`."""

    @property
    def run(self) -> RunRecord:
        """The confirmed run."""
        return self.record.trials[0].runs[0]

    @property
    def checkpoint(self) -> Path:
        """Where its weights are."""
        assert self.run.result is not None
        assert self.run.result.checkpoint is not None
        return Path(self.run.result.checkpoint)


def save_toy(folder: Path, family: str = "bert", rows: int = 90, **changes: Any) -> None:
    """Save a tiny model with its tokenizer as `model`, and rows whose label can be read off the words as `rows.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    # Some families' own tokenizer classes add a token when they are loaded: room for it.
    tiny.tiny_model(family, **{"vocab_size": 80, **changes}).save_pretrained(folder / "model")
    tiny.tiny_tokenizer().save_pretrained(folder / "model")
    draw = random.Random(0)
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["sentence", "second", "kind", "number", "tags"])
        for number in range(rows):
            kind = number % 3
            words = [f"w{20 * kind + draw.randrange(20)}" for _ in range(draw.randrange(4, 10))]
            tags = "|".join(f"tag {tag}" for tag in range(kind + 1))
            text = " ".join([*words, f"n{number}"])
            table.writerow([text, words[0], f"kind {kind}", f"{40 + 10 * kind + number % 2 / 2}", tags])


def train_toy(
    folder: Path,
    method: str,
    kept: Path,
    *,
    pair: bool = False,
    pooling: str = "native",
    label: str = "kind",
    prefix: PrefixSpec | None = None,
    **training: Any,
) -> Trained:
    """Train one confirmed run of a method on what `save_toy` wrote, and keep its weights in a folder.

    The label's column is `kind` for three classes, `number` for regression, `tags` for sets of labels.
    """
    spec = StudySpec(
        name="toy",
        task=TaskSpec(
            data=str(folder / "rows.csv"),
            text=("sentence", "second") if pair else ("sentence",),
            label=label,
            max_length=16,
        ),
        backbone=BackboneSpec(model=str(folder / "model"), pooling=pooling),
    )
    task = load_task(spec.task, 0)
    backbone = load_backbone(spec.backbone, task.target.outputs, "cpu")
    encoded = encode_task(task, backbone.tokenizer, 16)
    trial = tiny.tiny_trial(method, **{"steps": 8, **training})
    if prefix is not None:
        trial = trial.model_copy(update={"prefix": prefix})
    run = RunSpec(trial=trial, seeds=run_seeds(0, 1), confirm=True)
    own = encode_texts(PAIRS if pair else [(text,) for text in TEXTS], backbone.tokenizer, 16)
    inputs = make_batch(own, [np.arange(len(own))], pad_token_id(backbone.tokenizer), torch.device("cpu")).inputs
    answered = []
    close = Pack.close

    def answer_and_close(pack: Pack) -> None:
        with torch.no_grad():
            answered.append(pack(inputs)[0])
        close(pack)

    Pack.close = answer_and_close  # type: ignore[method-assign]
    try:
        *_, result = train_events(run, backbone, encoded, checkpoint=kept)
    finally:
        Pack.close = close  # type: ignore[method-assign]
    assert isinstance(result, RunResult)
    record_of_run = RunRecord(
        id="r", trial=0, phase="confirm", seed_index=1, state=RunState.COMPLETE, attempt=1, result=result
    )
    record = StudyRecord(
        id="s", spec=spec, task=task.summary(), state=StudyState.COMPLETE, phase="confirm",
        created=datetime(2026, 1, 2, tzinfo=UTC), software={"torch": "2"}, command="", wall_seconds=1.0,
        trials=(
            TrialRecord(number=0, method=method, spec=trial, phase="confirm", state=TrialState.COMPLETE,
                        value=result.tune, origin="published", runs=(record_of_run,)),
        ),
        dropped=(), notices=(),
    )  # fmt: skip
    return Trained(record, answered[0])

"""Batches bucketed by length against batches padded to a fixed length: training and evaluation, one ratio each.

    python benchmarks/batching.py [--model minilm] [--data DIR --text COL --label COL]

Both sides train the same number of LoRA steps on the same rows, one after the other, on one thread.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import BackboneSpec, TaskSpec
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.tasks.encode import EncodedSplit, encode_task
from unipelt_search.tasks.load import load_task
from unipelt_search.training.batches import evaluation_batches, lengths_of, make_batch, training_batches

STEPS, FIXED = 20, 128


def seconds(backbone: Backbone, split: EncodedSplit, padded_to: int | None, *, train: bool) -> float:
    """Time STEPS batches of 16 rows, or the evaluation of 16 · STEPS rows."""
    trial = TrialSpec(method="lora", training=TrainingSpec(learning_rate=1e-3, steps=STEPS), lora=LoraSpec())
    rows = np.arange(min(16 * STEPS, len(split)))
    lengths = lengths_of(split)
    batches = training_batches(lengths, 16, 0)
    chosen = [next(batches) for _ in range(STEPS)] if train else evaluation_batches(lengths, rows)
    with Pack(backbone, [RunSpec(trial=trial, seeds=run_seeds(0, 0))]) as pack:
        began = time.perf_counter()
        for step, numbers in enumerate(chosen):
            inputs = make_batch(split, [numbers], 0, torch.device("cpu")).inputs
            if padded_to is not None:
                missing = padded_to - inputs["input_ids"].shape[1]
                inputs = {name: torch.nn.functional.pad(tensor, (0, missing)) for name, tensor in inputs.items()}
            if train:
                pack(inputs, steps=[step]).sum().backward()
            else:
                with torch.inference_mode():
                    pack(inputs)
        return time.perf_counter() - began


def main() -> None:
    """Print both ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--data", default="demo")
    parser.add_argument("--text", default="sentence")
    parser.add_argument("--label", default="package")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    task = load_task(TaskSpec(data=asked.data, text=(asked.text,), label=asked.label), 0)
    backbone = load_backbone(BackboneSpec(model=asked.model), len(task.labels), "cpu")
    split = encode_task(task, backbone.tokenizer, FIXED).train
    for train in (True, False):
        bucketed, fixed = (seconds(backbone, split, width, train=train) for width in (None, FIXED))
        what = "training" if train else "evaluation"
        print(f"{what}: padded to {FIXED} {fixed:.1f} s, bucketed {bucketed:.1f} s, ratio {fixed / bucketed:.1f}")


if __name__ == "__main__":
    main()

"""S runs in one pack against the same S runs one after the other: seconds per step and run, and the ratio.

    python benchmarks/packs.py [--slots 8] [--device cpu]

On a CPU the matrix products dominate and packs gain little; on a GPU a small model's step is bound by kernel launches.
"""

from __future__ import annotations

import argparse
import time

import torch

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.training.optimizer import SlotAdamW

ROWS, TOKENS, STEPS = 16, 24, 10


def seconds_per_run_step(backbone: Backbone, runs: list[RunSpec]) -> float:
    """Time training steps of one pack, divided by its runs."""
    with Pack(backbone, runs) as pack:
        optimizer = SlotAdamW(pack.trained(), [run.trial.training for run in runs])
        ids = torch.randint(1000, 2000, (ROWS * len(runs), TOKENS), device=backbone.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        for step in range(-2, STEPS):  # two steps to warm up
            if step == 0:
                _wait(backbone.device)
                began = time.perf_counter()
            pack(inputs, steps=[max(step, 0)] * len(runs)).sum().backward()
            optimizer.step([True] * len(runs))
        _wait(backbone.device)
        return (time.perf_counter() - began) / STEPS / len(runs)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="minilm")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    backbone = load_backbone(BackboneSpec(model=asked.model), 6, asked.device)
    trial = TrialSpec(method="lora", training=TrainingSpec(learning_rate=1e-3, steps=100), lora=LoraSpec())
    runs = [RunSpec(trial=trial, seeds=run_seeds(0, i)) for i in range(asked.slots)]
    alone = seconds_per_run_step(backbone, runs[:1])
    packed = seconds_per_run_step(backbone, runs)
    print(f"{1000 * alone:.0f} ms a step alone, {1000 * packed:.0f} ms a step and run in a pack of {asked.slots}: "
          f"ratio {alone / packed:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()

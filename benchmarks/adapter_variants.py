"""What the published adapter is worth against that of edition 1, alone and inside UniPELT, with little data.

python benchmarks/adapter_variants.py --data-root DIR                (all that is missing; goes on where it was)
python benchmarks/adapter_variants.py --data-root DIR --minutes 60   (begins no run after that)
python benchmarks/adapter_variants.py --table                        (what there is, as Markdown)

Every arm is trained on the same rows with the same seeds: for each seed K training rows are sampled anew, and tune rows
choose the best of the evaluations. The score is that of the test rows, of which at most 1,000, evenly spaced, are used.
An arm names what it changes of the published settings. Results are in `adapter_variants.json` beside this script.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student

from unipelt_search import BackboneSpec, SpaceSpec, TaskSpec
from unipelt_search.backbones.backbone import Backbone
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.methods.basis import Basis
from unipelt_search.records.results import RunResult
from unipelt_search.search.space import configured
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.trial import RunSpec, TrialSpec
from unipelt_search.specs.variants import Variant
from unipelt_search.tasks.encode import EncodedSplit, EncodedTask, encode_task
from unipelt_search.tasks.load import load_task
from unipelt_search.training.train import train

TASKS = ("trec", "sst2", "banking77")
SEEDS = 5
ROWS = 100
SPACE = SpaceSpec(steps=100, batch_size=16, evaluations=5, patience=5)
TUNE_ROWS, SELECT_ROWS, TEST_ROWS = 200, 32, 1000
MAX_LENGTH = 64
EDITION_1 = {"bottleneck": 48, "activation": "gelu", "input": "feed_forward", "up": "zero"}
LOWER_RATE = 0.0005


@dataclass(frozen=True)
class Arm:
    """One configuration that is trained."""

    method: str
    baseline: str
    """The arm that it is compared with; its own name where it is one."""
    adapter: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the method's published adapter."""
    rate: float = 0.002


ARMS = {
    "adapter": Arm("adapter", "adapter"),
    "adapter, edition 1": Arm("adapter", "adapter", EDITION_1),
    "unipelt_apl": Arm("unipelt_apl", "unipelt_apl"),
    "unipelt_apl, edition 1": Arm("unipelt_apl", "unipelt_apl", EDITION_1),
    "unipelt_apl, rate 0.0005": Arm("unipelt_apl", "unipelt_apl, rate 0.0005", rate=LOWER_RATE),
    "unipelt_apl, edition 1, rate 0.0005": Arm("unipelt_apl", "unipelt_apl, rate 0.0005", EDITION_1, LOWER_RATE),
    "adapter, input: feed_forward": Arm("adapter", "adapter", {"input": "feed_forward"}),
    "adapter, up: zero": Arm("adapter", "adapter", {"up": "zero"}),
    "adapter, activation: gelu": Arm("adapter", "adapter", {"activation": "gelu"}),
    "adapter, bottleneck: 48": Arm("adapter", "adapter", {"bottleneck": 48}),
}
"""By name. The main arms come first, then the same at a lower learning rate, then one change at a time."""
MAIN = tuple(ARMS)[:4]
LOWER = tuple(ARMS)[4:6]
ONE_CHANGE = tuple(ARMS)[6:]

Results = dict[str, dict[str, Any]]
"""By `task/seed/arm`."""


def main() -> None:
    """Run what is missing, seed by seed, the main arms of all seeds first; or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, help="folder with a folder per task")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after this")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--table", action="store_true", help="print what there is and train nothing")
    options = parser.parse_args()
    known = json.loads(options.results.read_text()) if options.results.exists() else {}
    if not options.table:
        if options.data_root is None:
            parser.error("--data-root must be given, to train")
        end = time.monotonic() + 60 * options.minutes
        torch.set_num_threads(1)
        for arms in (MAIN, LOWER, ONE_CHANGE):
            for task, seed in order_of(arms):
                missing = [arm for arm in arms if f"{task}/{seed}/{arm}" not in known]
                if missing and time.monotonic() < end:
                    run_arms(task, seed, missing, options, known, end)
    print(table(known))


def order_of(arms: tuple[str, ...]) -> list[tuple[str, int]]:
    """Return the tasks and seeds of some arms in their order: seed by seed; with the lower rate task by task."""
    if arms == LOWER:
        return [(task, seed) for task in TASKS for seed in range(SEEDS)]
    return [(task, seed) for seed in range(SEEDS) for task in TASKS]


def run_arms(task: str, seed: int, arms: list[str], options: argparse.Namespace, known: Results, end: float) -> None:
    """Train some arms on one sample of a task's rows, and write each result as it comes."""
    data = str(options.data_root / task)
    spec = TaskSpec(data=data, text=("sentence",), label="label", train_size=ROWS, max_length=MAX_LENGTH)
    rows = load_task(spec, seed)
    backbone = load_backbone(BackboneSpec(model="minilm"), rows.target.outputs, "cpu")
    encoded = fewer(encode_task(rows, backbone.tokenizer, MAX_LENGTH))
    for arm in arms:
        if time.monotonic() >= end:
            return
        trial = trial_of(arm, backbone)
        began = time.monotonic()
        run = RunSpec(trial=trial, seeds=run_seeds(seed, 1), confirm=True)
        (result,) = train([run], backbone, encoded, tune_rows=TUNE_ROWS)
        if not isinstance(result, RunResult) or result.test is None:
            raise SystemExit(f"{task}/{seed}/{arm}: {result}")
        known[f"{task}/{seed}/{arm}"] = {
            "score": round(result.test[encoded.metric], 5),
            "metric": encoded.metric,
            "best_step": result.best_step,
            "seconds": round(time.monotonic() - began, 1),
        }
        options.results.write_text(json.dumps(known, indent=1) + "\n")
        print(f"{task}/{seed}/{arm}: {known[f'{task}/{seed}/{arm}']}", flush=True)


def trial_of(arm: str, backbone: Backbone) -> TrialSpec:
    """Return an arm's configuration on a backbone."""
    asked = ARMS[arm]
    training = {"learning_rate": asked.rate}
    given = {"name": "arm", "method": asked.method, "adapter": dict(asked.adapter), "training": training}
    variant = Variant.model_validate(given)
    basis = Basis(edition=2, hidden_size=backbone.model.config.hidden_size, block_output=backbone.has_block_output)
    return configured(variant, SPACE, ROWS, basis)


def fewer(task: EncodedTask) -> EncodedTask:
    """Leave out rows that would only be scored: the score stands on the test rows."""
    return replace(task, select=spaced(task.select, SELECT_ROWS), test=spaced(task.test, TEST_ROWS))


def spaced(split: EncodedSplit, most: int) -> EncodedSplit:
    """Keep at most so many rows, evenly spaced."""
    count = min(most, len(split))
    return split.take([int(number) for number in np.linspace(0, len(split) - 1, count)])


def whole_seeds(known: Results, arms: Iterable[str], tasks: tuple[str, ...]) -> tuple[int, ...]:
    """Return the seeds with which every one of some arms has run on every one of some tasks."""
    needed = [(task, arm) for task in tasks for arm in arms]
    return tuple(seed for seed in range(SEEDS) if all(f"{task}/{seed}/{arm}" in known for task, arm in needed))


def score(known: Results, task: str, seed: int, arm: str) -> float:
    """Return a run's score in points."""
    return 100 * float(known[f"{task}/{seed}/{arm}"]["score"])


def difference(known: Results, arm: str, tasks: tuple[str, ...], seeds: tuple[int, ...]) -> str:
    """Return the mean of an arm minus its baseline over tasks and seeds, with its 95 % interval over the seeds."""
    baseline = ARMS[arm].baseline
    by_seed = []
    for seed in seeds:
        pairs = [(score(known, task, seed, arm), score(known, task, seed, baseline)) for task in tasks]
        by_seed.append(fmean(one - other for one, other in pairs))
    mean = fmean(by_seed)
    half = float(student.ppf(0.975, len(seeds) - 1) * np.std(by_seed, ddof=1) / len(seeds) ** 0.5)
    low, high = (f"{value:+.2f}" for value in (mean - half, mean + half))
    # What rounds to zero has no sign of its own.
    return f"{round(mean, 2) or 0.0:+.2f} ({low} to {high})"


def table(known: Results) -> str:
    """Write what there is: scores by task, and the difference to the published arm of the same method and rate."""
    seeds = whole_seeds(known, MAIN, TASKS)
    said = f"{len(known)} runs, {SPACE.steps} steps each; {len(seeds)} seeds shown."
    if len(seeds) < 2:
        return said
    header = ["configuration", *TASKS, *[f"{task}, minus published" for task in TASKS], "mean, minus published"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for arm, asked in ARMS.items():
        pair = (arm, asked.baseline)
        done = tuple(task for task in TASKS if set(seeds) <= set(whole_seeds(known, pair, (task,))))
        if not done:
            continue
        scores = {task: fmean(score(known, task, seed, arm) for seed in seeds) for task in done}
        cells = [f"{scores[task]:.1f}" if task in done else "–" for task in TASKS]
        groups = [(task,) for task in TASKS] + [TASKS]
        for group in groups:
            shown = arm != asked.baseline and set(group) <= set(done)
            cells.append(difference(known, arm, group, seeds) if shown else "")
        lines.append(f"| {arm} | {' | '.join(cells)} |".replace("-", "−"))
    return "\n".join([said, "", *lines])


if __name__ == "__main__":
    main()

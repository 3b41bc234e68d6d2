"""What a plan forecasts beside what its runs then take, in one process: phase by phase and method by method.

python benchmarks/plan_forecast.py                      (a few minutes on one core)
python benchmarks/plan_forecast.py --model FOLDER --steps 20 --repeats 1

Seconds are those of the process, not of the clock, so that other work on the machine changes little. Early stopping,
which a plan leaves out, is switched off. Ray, the workers' start and the database are no part of it.
"""

from __future__ import annotations

import argparse
import gc
import time

from unipelt_search.backbones.backbone import Backbone
from unipelt_search.execution.preparation import Prepared, prepare
from unipelt_search.methods.catalogue import DEFAULT_METHODS
from unipelt_search.search.asked_ablation import asked_ablation
from unipelt_search.search.space import published
from unipelt_search.specs.seeds import run_seeds
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.load import load_task
from unipelt_search.training.train import train_events


def main() -> None:
    """Forecast a small study, train its runs, and print both."""
    time.perf_counter = time.process_time
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--methods", default=",".join(DEFAULT_METHODS))
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    methods = tuple(asked.methods.split(","))
    spec = StudySpec(
        name="forecast",
        task=TaskSpec(data="demo", text=("sentence",), label="package"),
        backbone=BackboneSpec(model=asked.model),
        space=SpaceSpec(methods=methods, steps=asked.steps, evaluations=4, patience=1000),
        budget=BudgetSpec(trials=len(methods), seeds=1),
        machine=MachineSpec(concurrency=1),
    )
    ready, backbone = prepare(spec, load_task(spec.task, spec.seed))
    print("| method | run: forecast s | ran s | ratio | first confirm run: forecast s | ran s | ratio |")
    print("|---|---|---|---|---|---|---|")
    totals = [0.0, 0.0]
    for _ in range(asked.repeats):
        plan = ready.plan(backbone)
        for planned in plan.methods:
            trial = published(planned.method, spec.space, ready.summary.rows["train"], ready.basis)[0]
            search = _seconds(RunSpec(trial=trial, seeds=run_seeds(0, 0)), ready, backbone)
            ablation = asked_ablation(planned.method, spec.space, ready.basis.edition)
            run = RunSpec(
                trial=trial,
                seeds=run_seeds(0, 1),
                confirm=True,
                ablation=ablation.submodules > 0,
                ablation_layers=ablation.single_layers,
            )
            confirm = _seconds(run, ready, backbone)
            forecast = (planned.run_seconds, planned.confirm_seconds)
            cells = [planned.method]
            for expected, took in zip(forecast, (search, confirm), strict=True):
                cells += [f"{expected:.1f}", f"{took:.1f}", f"{took / expected:.2f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
            totals[0] += sum(forecast)
            totals[1] += search + confirm
    print(f"\nAll runs: {totals[0]:.0f} s forecast, {totals[1]:.0f} s ran, {totals[1] / totals[0]:.2f} times as long.")


def _seconds(run: RunSpec, ready: Prepared, backbone: Backbone) -> float:
    gc.collect()
    began = time.process_time()
    for _ in train_events(run, backbone, ready.encoded, tune_rows=ready.spec.space.tune_rows):
        pass
    return time.process_time() - began


if __name__ == "__main__":
    main()

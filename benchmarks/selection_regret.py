"""How much score is lost by choosing a method in different ways: our verdict, a favourite, chance, one seed.

python benchmarks/selection_regret.py --data-root DIR     (three tasks, about two and a half hours on two cores)

For every task a truth study trains every method with eight fresh seeds, each with training rows of its own, and its
mean test score is what the method is worth. Then a study of its own seed chooses, at about a quarter of the cost of the
exhaustive search (every method at three learning rates with eight seeds). Regret is the score of the best method minus
that of the chosen one, in points. All studies are in one database, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unipelt_search import BackboneSpec, BudgetSpec, SpaceSpec, StudySpec, TaskSpec, run_study
from unipelt_search.records.history import StudyRecord
from unipelt_search.verdict.decide import decide
from unipelt_search.verdict.judge import judge

METHODS = ("head", "bitfit", "lora", "adapter", "prefix", "unipelt_apl", "fine_tuning")
PAIR, SINGLE = ("sentence1", "sentence2"), ("sentence",)
TASKS = {"rte": PAIR, "sst2": SINGLE, "trec": SINGLE, "stsb": PAIR, "cola": SINGLE, "mrpc": PAIR}
TRUTH_SEEDS, RATES = 8, 3
TRIALS, SEEDS = 2 * len(METHODS), 3
DRAWS = 4000


@dataclass(frozen=True)
class Choice:
    """What each way of choosing chose on one task."""

    task: str
    truth: Mapping[str, np.ndarray]
    """Test scores by method, ``(seeds,)``."""
    chosen: Mapping[str, tuple[str, ...]]
    """Methods by way of choosing; with several, one of them is taken by chance."""


def regret(choice: Choice, way: str, random: np.random.Generator | None = None) -> float:
    """Return the points that a way of choosing loses; with a generator on seeds drawn anew, for a bootstrap."""
    means = {}
    for method, scores in choice.truth.items():
        drawn = scores if random is None else random.choice(scores, len(scores))
        means[method] = float(drawn.mean())
    # The best is the best of all seeds: the best of drawn ones would be too good in every draw.
    best = max(choice.truth, key=lambda method: float(choice.truth[method].mean()))
    return 100 * (means[best] - float(np.mean([means[method] for method in choice.chosen[way]])))


def truth_of(record: StudyRecord) -> dict[str, np.ndarray]:
    """Return every method's test scores over its confirm seeds."""
    return {s.name: np.array([run.test for run in s.confirmed]) for s in judge(record).confirmed}


def choices(record: StudyRecord) -> dict[str, tuple[str, ...]]:
    """Return what each way chooses, given our study."""
    judgement = judge(record)
    verdict = decide(judgement)
    first = {s.name: s.confirmed[0].select for s in judgement.confirmed}
    return {
        "our verdict": (str(verdict.name),),
        "our cheapest tie": (str(verdict.cheapest_tie),),
        "best of one seed": (max(first, key=lambda name: first[name]),),
        "always lora": ("lora",),
        "always unipelt_apl": ("unipelt_apl",),
        "random": tuple(first),
    }


def question(
    name: str, data_root: Path, task: str, model: str, budget: BudgetSpec, seed: int, *, redraw: bool
) -> StudySpec:
    """Ask about one task with 100 training rows."""
    return StudySpec(
        name=name,
        task=TaskSpec(data=str(data_root / task), text=TASKS[task], label="label", train_size=100, redraw=redraw),
        backbone=BackboneSpec(model=model),
        space=SpaceSpec(methods=METHODS, tune_rows=250),
        budget=budget,
        seed=seed,
    )


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="folder with a folder per task")
    parser.add_argument("--tasks", default="trec,sst2,stsb", help=f"of {', '.join(TASKS)}")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--storage", default="sqlite:///build/selection_regret.db")
    options = parser.parse_args()
    found, ours, exhaustive = [], 0.0, 0.0
    for task in options.tasks.split(","):
        truth_budget = BudgetSpec(trials=len(METHODS), seeds=TRUTH_SEEDS)
        truth, our = (
            run_study(
                question(
                    f"{kind}-{task}", options.data_root, task, options.model, budget, seed, redraw=kind == "truth"
                ),
                storage=options.storage,
            ).record
            for kind, budget, seed in (("truth", truth_budget, 1), ("ours", BudgetSpec(trials=TRIALS, seeds=SEEDS), 2))
        )
        choice = Choice(task, truth_of(truth), choices(our))
        found.append(choice)
        ours += sum(run.result.costs.train_seconds for trial in our.trials for run in trial.runs if run.result)
        each = [run.result.costs.train_seconds for trial in truth.trials for run in trial.runs if run.result]
        exhaustive += float(np.mean(each)) * len(METHODS) * RATES * TRUTH_SEEDS
        scores = ", ".join(f"{name} {100 * values.mean():.1f}" for name, values in choice.truth.items())
        print(f"{task}: {scores}")
    random = np.random.default_rng(0)
    print(f"\nour studies took {ours / exhaustive:.0%} of the training time of the exhaustive search\n")
    print(f"{'chosen by':20}" + "".join(f"{choice.task:>10}" for choice in found) + f"{'mean':>8}  95 % interval")
    for way in found[0].chosen:
        each = [regret(choice, way) for choice in found]
        drawn = [np.mean([regret(choice, way, random) for choice in found]) for _ in range(DRAWS)]
        low, high = np.quantile(drawn, [0.025, 0.975])
        print(
            f"{way:20}" + "".join(f"{value:10.2f}" for value in each) + f"{np.mean(each):8.2f}  {low:.2f} to {high:.2f}"
        )


if __name__ == "__main__":
    main()

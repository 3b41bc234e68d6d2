"""How much score is lost by choosing a method in different ways: our verdict, a favourite, chance, one seed.

python benchmarks/selection_regret.py --data-root DIR     (three tasks, about two hours on two cores)

For every task a truth study trains every method with eight fresh seeds, each with training rows of its own, and its
mean test score is what the method is worth. Then a study of its own seed chooses, at about a quarter of the cost of the
exhaustive search (every method at three learning rates with eight seeds). Regret is the score of the best method minus
that of the chosen one, in points.

All studies are in one database, so an interrupted run goes on where it was. What came out for each task is kept in
`selection_regret.json` beside this script, and a task that is there is not asked again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from unipelt_search import BackboneSpec, BudgetSpec, SpaceSpec, StudySpec, TaskSpec, run_study
from unipelt_search.records.history import StudyRecord
from unipelt_search.verdict.ranking import rank_methods
from unipelt_search.verdict.recommend import recommend

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
    truth: Mapping[str, tuple[float, ...]]
    """Test scores by method, one per seed."""
    chosen: Mapping[str, tuple[str, ...]]
    """Methods by way of choosing; with several, one of them is taken by chance."""
    our_seconds: float
    """Seconds of training of our study."""
    exhaustive_seconds: float
    """Seconds of training that the exhaustive search would take."""


def regret(choice: Choice, way: str, random: np.random.Generator | None = None) -> float:
    """Return the points that a way of choosing loses; with a generator on seeds drawn anew, for a bootstrap."""
    means = {}
    for method, scores in choice.truth.items():
        drawn = scores if random is None else random.choice(scores, len(scores))
        means[method] = float(np.mean(drawn))
    # The best is the best of all seeds: the best of drawn ones would be too good in every draw.
    best = max(choice.truth, key=lambda method: float(np.mean(choice.truth[method])))
    return 100 * (means[best] - float(np.mean([means[method] for method in choice.chosen[way]])))


def truth_of(record: StudyRecord) -> dict[str, tuple[float, ...]]:
    """Return every method's test scores over its confirm seeds."""
    return {
        s.name: tuple(float(run.test) for run in s.confirmed if run.test is not None)
        for s in rank_methods(record).confirmed
    }


def choices(record: StudyRecord) -> dict[str, tuple[str, ...]]:
    """Return what each way chooses, given our study."""
    ranking = rank_methods(record)
    verdict = recommend(ranking)
    first = {s.name: s.confirmed[0].select for s in ranking.confirmed}
    return {
        "our verdict": (str(verdict.name),),
        "our cheapest tie": (str(verdict.cheapest_tie),),
        "best of one seed": (max(first, key=lambda name: first[name]),),
        "always lora": ("lora",),
        "always unipelt_apl": ("unipelt_apl",),
        "random": tuple(first),
    }


def identity(
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


def compare(task: str, data_root: Path, model: str, storage: str) -> Choice:
    """Run both studies of a task, or what is missing of them."""
    budgets = {
        "truth": (BudgetSpec(trials=len(METHODS), seeds=TRUTH_SEEDS), 1),
        "ours": (BudgetSpec(trials=TRIALS, seeds=SEEDS), 2),
    }
    records = []
    for kind, (budget, seed) in budgets.items():
        asked = identity(f"{kind}-{task}", data_root, task, model, budget, seed, redraw=kind == "truth")
        study = run_study(asked, storage=storage)
        if study.interrupted:
            raise SystemExit(f"{asked.name} was interrupted; the same command goes on.")
        records.append(study.record)
    truth, our = records
    cost_so_far, each = (
        [run.result.costs.train_seconds for trial in record.trials for run in trial.runs if run.result]
        for record in (our, truth)
    )
    exhaustive = float(np.mean(each)) * len(METHODS) * RATES * TRUTH_SEEDS
    return Choice(task, truth_of(truth), choices(our), sum(cost_so_far), exhaustive)


def read(path: Path) -> dict[str, Choice]:
    """Return what is known of every task."""
    return {one["task"]: Choice(**one) for one in json.loads(path.read_text())} if path.exists() else {}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="folder with a folder per task")
    parser.add_argument("--tasks", default="trec,sst2,cola", help=f"of {', '.join(TASKS)}")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--storage", default="sqlite:///build/selection_regret.db")
    parser.add_argument(
        "--results", type=Path, default=Path(__file__).with_suffix(".json"), help="what is known, of one model"
    )
    options = parser.parse_args()
    known = read(options.results)
    for task in options.tasks.split(","):
        if task not in known:
            known[task] = compare(task, options.data_root, options.model, options.storage)
            options.results.write_text(json.dumps([asdict(choice) for choice in known.values()], indent=1) + "\n")
    report([known[task] for task in options.tasks.split(",")])


def report(found: list[Choice]) -> None:
    """Print the scores and the table."""
    for choice in found:
        scores = ", ".join(f"{name} {100 * np.mean(values):.1f}" for name, values in choice.truth.items())
        verdict = "; ".join(f"{way}: {names[0]}" for way, names in choice.chosen.items() if len(names) == 1)
        print(f"{choice.task}: {scores} ({verdict})")
    share = sum(choice.our_seconds for choice in found) / sum(choice.exhaustive_seconds for choice in found)
    print(f"\nour studies took {share:.0%} of the training time of the exhaustive search\n")
    print(f"{'chosen by':20}" + "".join(f"{choice.task:>10}" for choice in found) + f"{'mean':>8}  95 % interval")
    random = np.random.default_rng(0)
    for way in found[0].chosen:
        each = [regret(choice, way) for choice in found]
        drawn = [np.mean([regret(choice, way, random) for choice in found]) for _ in range(DRAWS)]
        low, high = np.quantile(drawn, [0.025, 0.975])
        print(
            f"{way:20}" + "".join(f"{value:10.2f}" for value in each) + f"{np.mean(each):8.2f}  {low:.2f} to {high:.2f}"
        )


if __name__ == "__main__":
    main()

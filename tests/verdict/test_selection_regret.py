"""The benchmark `selection_regret` on a made study; the studies themselves take hours."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from made_record import whole_record


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    name = "selection_regret"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_regret_is_what_the_best_method_has_more_than_the_chosen_ones(benchmark: ModuleType) -> None:
    truth = {"lora": (0.8, 0.9), "head": (0.6, 0.7), "adapter": (0.5, 0.5)}
    ways = {"lora": ("lora",), "head": ("head",), "random": ("lora", "head", "adapter")}
    choice = benchmark.Choice("toy", truth, ways, our_seconds=1.0, exhaustive_seconds=4.0)
    assert [benchmark.regret(choice, way) for way in ways] == pytest.approx([0.0, 20.0, 100 * (0.85 - 2 / 3)])
    drawn = [benchmark.regret(choice, "head", np.random.default_rng(seed)) for seed in range(200)]
    assert np.mean(drawn) == pytest.approx(20.0, abs=1.0)
    assert np.std(drawn) > 1.0


def test_every_way_chooses_from_the_study(benchmark: ModuleType) -> None:
    record = whole_record()
    chosen = benchmark.choices(record)
    assert chosen["our verdict"] == chosen["our cheapest tie"] == ("lora",)
    assert chosen["best of one seed"] == ("adapter",)  # 0.88 with the first seed, lora 0.87
    assert set(chosen["random"]) == {"lora", "adapter", "unipelt_apl", "fine_tuning", "bitfit", "head"}
    assert benchmark.truth_of(record)["lora"] == pytest.approx([0.89, 0.90, 0.91])


def test_what_came_out_is_read_again_and_printed(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def compare(task: str, *given: object) -> object:
        asked.append(task)
        chosen = {"our verdict": ("head",), "random": ("lora", "head")}
        return benchmark.Choice(task, {"lora": (0.8, 0.9), "head": (0.8, 0.7)}, chosen, 3.0, 12.0)

    monkeypatch.setattr(benchmark, "compare", compare)
    for tasks in ("trec", "trec,sst2"):
        words = ["selection_regret.py", "--data-root", "there", "--tasks", tasks, "--results", str(tmp_path / "r.json")]
        monkeypatch.setattr(sys, "argv", words)
        benchmark.main()
    assert asked == ["trec", "sst2"]
    told = capsys.readouterr().out
    assert "sst2: lora 85.0, head 75.0 (our verdict: head)" in told
    assert "took 25% of the training time" in told
    assert "our verdict              10.00     10.00   10.00  " in told
    assert "random                    5.00      5.00    5.00  " in told

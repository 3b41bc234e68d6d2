"""A method from another package: ReFT is searched, gated, exported, loaded and predicted with, like ours."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from exported_study import save_toy
from thread_executor import train_in_process

from source_tree import MODULES
from tiny import tiny_backbone, tiny_inputs, tiny_run, tiny_trial
from unipelt_search import api
from unipelt_search.methods.catalogue import find_method, find_submodule, reload_catalogue
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.pelt.pack import Pack
from unipelt_search.pelt.registry import torch_submodule
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.specs.trial import TrialSpec

PROJECT = Path(__file__).parent / "unipelt_reft"
SOURCES = sorted(PROJECT.rglob("*.py"))
GATED = "unipelt[lora,adapter,reft]"


def _installed_at(folder: Path) -> list[str]:
    """Write what an installer would write of the package, without network; returns what belongs on the path."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"unipelt_reft-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return [str(folder), str(PROJECT)]


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "unipelt_reft"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    reload_catalogue()
    torch_submodule.cache_clear()


@pytest.fixture
def search_path(tmp_path: Path) -> Iterator[list[str]]:
    """Install ReFT for one test."""
    folder = tmp_path / "site"
    folder.mkdir()
    added = _installed_at(folder)
    sys.path[:0] = added
    _forget()
    yield added
    for entry in added:
        sys.path.remove(entry)
    _forget()


def test_it_is_small_and_no_module_of_ours_knows_it() -> None:
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES) <= 80
    assert [path.name for path in MODULES if "reft" in path.read_text(encoding="utf-8").lower()] == []


def test_its_settings_load_without_torch(search_path: list[str]) -> None:
    code = (
        "import sys; from unipelt_search.methods.catalogue import find_submodule; "
        "entry = find_submodule('reft'); assert entry.package == 'unipelt-reft', entry; "
        "assert not {'torch', 'unipelt_reft.reft'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*search_path, *sys.path])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@torch.no_grad()
def test_it_adds_nothing_at_first_and_something_later(search_path: list[str]) -> None:
    entry = find_submodule("reft")
    assert entry.settings is not None
    training = TrainingSpec(learning_rate=1e-3, steps=1)
    trial = TrialSpec(method="reft", training=training, reft=entry.settings())
    inputs = tiny_inputs([6, 4])
    with Pack(tiny_backbone(), [tiny_run(tiny_trial("head"))]) as head:
        expected = head(inputs)
    with Pack(tiny_backbone(), [tiny_run(trial)]) as pack:
        assert torch.equal(pack(inputs), expected)
        pack.parts["reft/1"].up.normal_()
        assert not torch.allclose(pack(inputs), expected, atol=1e-3)


def test_it_is_searched_gated_exported_loaded_and_predicted_with(
    search_path: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_toy(tmp_path, hidden_size=64)
    train_in_process(monkeypatch)
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/studies.db"
    spec = StudySpec(
        name="toy",
        task=TaskSpec(data=str(tmp_path / "rows.csv"), text=("sentence",), label="kind", max_length=16),
        backbone=BackboneSpec(model=str(tmp_path / "model"), pooling="native"),
        space=SpaceSpec(methods=("reft", GATED), steps=4, evaluations=1),
        budget=BudgetSpec(trials=8, seeds=1),
        machine=MachineSpec(concurrency=1),
    )
    study = api.run_study(spec, storage=url, out=tmp_path / "study")
    canonical = find_method(GATED).name
    assert canonical == "unipelt[adapter,lora,reft]"
    assert {row.method for row in study.report.leaderboard} == {"majority", "reft", canonical}
    proposed = [trial for trial in study.record.trials if trial.phase != "screen" and trial.origin != "published"]
    assert proposed
    ranks = {trial.spec.parts["reft"].rank for trial in study.record.trials}
    assert len(ranks) > 1, "its space was not searched"
    gates = {row.gate for row in study.report.gates if row.method == canonical}
    assert gates == {"adapter", "lora_query", "lora_value", "reft"}
    removed = {row.submodule for row in study.report.ablation if row.method == canonical}
    assert removed == {"adapter", "lora", "reft"}
    trial = next(row.trial for row in study.report.leaderboard if row.method == canonical)
    api.export_model("toy", tmp_path / "out", trial=trial, storage=url)
    model = api.load_model(tmp_path / "out")
    assert model.method == canonical
    assert {prediction.label for prediction in model.predict(["w1 w2", "w50"])} <= {f"kind {n}" for n in range(3)}
    frame = model.gates(["w1 w2", "w50"])
    assert set(frame["gate"]) == gates
    assert frame["value"].between(0, 1, inclusive="neither").all()


@pytest.mark.timeout(300)
def test_it_passes_the_conformance_suite_that_ships(search_path: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*search_path, *sys.path])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "unipelt_search.testing"]
    found = subprocess.run(
        [*command, "-k", "reft"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout
    passed = int(found.stdout.split(" passed")[0].split()[-1])
    assert passed >= 13, found.stdout

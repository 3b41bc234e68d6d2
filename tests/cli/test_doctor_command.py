from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from model_folders import break_folder, save_whole
from unipelt_search.cli import doctor_command
from unipelt_search.cli.app import main
from unipelt_search.methods.catalogue import trained_methods
from unipelt_search.records.diagnosis import Diagnosis, MachineFacts


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_whole(tmp_path_factory.mktemp("model") / "m")


def test_the_machine_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for fact in ("machine", "cores", "memory free", "torch", "transformers", "HF_HUB_OFFLINE"):
        assert fact in out


def test_a_model_is_told_with_every_method(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", str(model), "--device", "cpu"]) == 0
    out = " ".join(capsys.readouterr().out.split())  # lines are as wide as the terminal
    for fact in ("bert, bidirectional attention", "safetensors", "64 tokens for 64 embeddings", "native", "Thai"):
        assert fact in out
    assert all(method in out for method in trained_methods())


def test_as_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", str(model), "--json"]) == 0
    found = Diagnosis.model_validate_json(capsys.readouterr().out)
    assert found.problem is None
    assert found.model is not None
    assert found.model.source == str(model)
    assert {fit.method for fit in found.model.methods} == set(trained_methods())


@pytest.mark.parametrize("kind", ["no tokenizer", "half a download", "hostile .bin", "AWQ"])
def test_a_broken_model_is_exit_code_2(
    model: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = break_folder(model, tmp_path / "broken", kind)
    before = sorted(tmp_path.rglob("*"))
    assert main(["doctor", "--model", str(folder), "--json"]) == 2
    out, err = capsys.readouterr()
    content = json.loads(out)
    assert content["model"] is None
    assert err == f"unipelt-search: {content['problem']}\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_machine_is_printed_also_where_the_model_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--model", "nowhere"]) == 2
    out, err = capsys.readouterr()
    assert "memory free" in out
    assert "got 'nowhere'" in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", "cuda"]) == 2
    assert "--device cpu" in capsys.readouterr().err


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    facts = doctor_command.machine_facts()

    def without_ray() -> MachineFacts:
        return facts.model_copy(update={"packages": {**facts.packages, "ray": None}})

    monkeypatch.setattr(doctor_command, "machine_facts", without_ray)
    assert main(["doctor"]) == 2
    out, err = capsys.readouterr()
    assert "ray missing" in out
    assert "missing: ray. Install" in err

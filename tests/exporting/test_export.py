from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from exported_study import Trained, save_toy, train_toy
from safetensors.torch import load_file, save_file

from unipelt_search.errors import SavedModelError
from unipelt_search.exporting import export as export_module
from unipelt_search.exporting.export import OutputFolders, export_run
from unipelt_search.exporting.saved_model import read_description


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    made = tmp_path_factory.mktemp("export")
    save_toy(made)
    return train_toy(made, "lora", made / "kept", steps=2, evaluations=1)


@pytest.fixture
def trained(trained_once: Trained, tmp_path: Path) -> Trained:
    """The same study with a copy of its weights, to be damaged."""
    kept = shutil.copytree(trained_once.checkpoint, tmp_path / "kept")
    record = trained_once.record.model_dump(mode="json")
    record["trials"][0]["runs"][0]["result"]["checkpoint"] = str(kept)
    return Trained(type(trained_once.record).model_validate(record), trained_once.logits)


def test_only_what_is_needed_is_written(trained: Trained, tmp_path: Path) -> None:
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "a" / "out"))
    assert sorted(path.name for path in (tmp_path / "a" / "out").iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip
    tensors = load_file(tmp_path / "a" / "out" / "model.safetensors")
    assert trained.run.result is not None
    assert sum(tensor.numel() for tensor in tensors.values()) == trained.run.result.costs.stored_parameters
    saved = read_description(tmp_path / "a" / "out")
    assert saved.trial == trained.record.trials[0].spec
    assert saved.task.labels == ("kind 0", "kind 1", "kind 2")
    assert saved.task.max_length == 16
    assert saved.backbone.source == "folder"
    for path in (tmp_path / "a" / "out").iterdir():
        assert "w1 " not in path.read_text(encoding="latin-1")  # no text of the data
        assert path.stat().st_mode & 0o444 == 0o444


def test_a_second_export_is_the_same_byte_for_byte(trained: Trained, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_run(trained.record, trained.run, OutputFolders(tmp_path / name))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_folder_with_files_stays(trained: Trained, tmp_path: Path) -> None:
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out"))
    with pytest.raises(SavedModelError, match="must be a new or empty folder"):
        export_run(trained.record, trained.run, OutputFolders(tmp_path / "out"))
    export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", force=True))
    with pytest.raises(SavedModelError, match="--to, --merged must be different folders"):
        export_run(trained.record, trained.run, OutputFolders(tmp_path / "x", merged=tmp_path / "y" / ".." / "x"))


def refused(trained: Trained, tmp_path: Path, pattern: str, **outputs: Path) -> None:
    with pytest.raises(SavedModelError, match=pattern) as caught:
        export_run(trained.record, trained.run, OutputFolders(tmp_path / "out", **outputs))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*out*"))
    assert not list(tmp_path.glob(".*"))


def test_weights_that_are_gone(trained: Trained, tmp_path: Path) -> None:
    shutil.rmtree(trained.checkpoint)
    refused(trained, tmp_path, "The weights of trial 0 must be in .*; nothing is there. Put the folder back")


@pytest.mark.parametrize("name", ["model.safetensors", "run.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]"])
def test_weights_that_are_damaged(trained: Trained, tmp_path: Path, name: str, content: bytes | None) -> None:
    path = trained.checkpoint / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    refused(trained, tmp_path, "The weights of trial 0 in .* cannot be used: .* Put an intact copy back")


def test_weights_of_another_trial(trained: Trained, tmp_path: Path) -> None:
    path = trained.checkpoint / "run.json"
    description = json.loads(path.read_text())
    path.write_text(
        json.dumps({**description, "target": {**description["target"], "labels": ["kind 1", "kind 0", "kind 2"]}})
    )
    refused(trained, tmp_path, "they belong to another trial or task")
    description["run"]["trial"]["lora"]["rank"] = 4
    path.write_text(json.dumps(description))
    refused(trained, tmp_path, "they belong to another trial or task")


def test_weights_of_another_shape_or_no_numbers(trained: Trained, tmp_path: Path) -> None:
    path = trained.checkpoint / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "lora.0.query.up": torch.full((32, 8), torch.nan)}, path)
    refused(trained, tmp_path, "must hold finite numbers only")
    save_file({**tensors, "lora.0.query.up": torch.ones(32, 4)}, path)
    refused(trained, tmp_path, r"lora.0.query.up must be \(32, 8\), got \(32, 4\)")


def test_a_backbone_that_has_changed(trained: Trained, tmp_path: Path) -> None:
    path = trained.checkpoint / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "backbone_hash": "0" * 64}))
    refused(trained, tmp_path, "must be what it was when the study ran")


def test_all_folders_or_none(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object) -> None:
        raise SavedModelError("logits differ")

    monkeypatch.setattr(export_module, "write_merged", fails)
    refused(trained, tmp_path, "logits differ", merged=tmp_path / "merged-out")

"""Folders that are damaged, foreign or hostile: each is refused with one sentence, and none runs or opens anything."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_study import save_toy, train_toy
from safetensors.torch import load_file, save_file

from unipelt_search.errors import MachineError, SavedModelError
from unipelt_search.exporting.export import OutputFolders, export_run
from unipelt_search.exporting.loaded_model import load_saved
from unipelt_search.exporting.saved_model import check_tensors


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a model with every kind of tensor."""
    made = tmp_path_factory.mktemp("saved")
    save_toy(made)
    trained = train_toy(made, "unipelt_apl", made / "kept", steps=2, evaluations=1)
    export_run(trained.record, trained.run, OutputFolders(made / "out"))
    return made / "out"


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """Copy the exported model, to be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "model"))


def change(folder: Path, *output: str, value: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    inner = config
    for key in output[:-1]:
        inner = inner[key]
    inner[output[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))


def rewrite(folder: Path, changed: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors and make the hash fit, as someone would who means harm."""
    tensors = load_file(folder / "model.safetensors")
    changed(tensors)
    save_file(tensors, folder / "model.safetensors")
    rehash(folder)


def rehash(folder: Path) -> None:
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    change(folder, "weights_sha256", value=digest)


def refused(folder: Path, pattern: str) -> None:
    with pytest.raises(SavedModelError, match=pattern) as caught:
        load_saved(folder, "cpu")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize(
    ("plugins", "message"),
    [({"reft": "unipelt-reft"}, "no 'reft', which is of the package 'unipelt-reft'"), ({}, "that was not stored")],
)
def test_a_missing_package_is_named(folder: Path, plugins: dict[str, str], message: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert "plugins" not in config
    change(folder, "plugins", value=plugins)
    assert load_saved(folder, "cpu").saved.plugins == plugins
    change(folder, "trial", "method", value="unipelt[lora,reft]")
    with pytest.raises(MachineError, match=message):
        load_saved(folder, "cpu")
    change(folder, "plugins", value={"reft": "evil\n; pip install x"})
    refused(folder, "plugins.reft")
    change(folder, "plugins", value=plugins)
    change(folder, "trial", "method", value="x" * 100_000)
    refused(folder, "trial.method")


def test_the_copy_is_whole(folder: Path) -> None:
    assert load_saved(folder, "cpu").predict(["w1 w2"])


@pytest.mark.parametrize(
    ("output", "value", "pattern"),
    [
        (("auto_map",), {"AutoModel": "evil.Model"}, "auto_map: Extra inputs are not permitted"),
        (("trial", "code"), "import os", "trial.code: Extra"),
        (("format",), 2, "format: it must be 1"),
        (("trial", "lora", "rank"), 10**9, "trial.lora.rank: it must be less than"),
        (("trial", "method"), "majority", "method must be one of"),
        (("backbone", "model"), "../../etc", "backbone.model must be a hub name, an absolute folder or"),
        (("backbone", "model"), "/a/../etc", "backbone.model must be"),
        (("backbone", "source"), "hub", "backbone.model must be"),
        (("task", "labels"), ["a", "a", "b"], "task.labels must differ"),
        (("task", "max_length"), 10**12, "task.max_length: it must be less than"),
        (("weights_sha256",), "0", "weights_sha256"),
    ],
)
def test_a_description_that_says_something_else(
    folder: Path, output: tuple[str, ...], value: Any, pattern: str
) -> None:
    change(folder, *output, value=value)
    refused(folder, pattern)


def test_a_configuration_of_another_size(folder: Path) -> None:
    change(folder, "trial", "lora", "rank", value=4)
    refused(folder, "is damaged or belongs to another model")


def test_a_label_too_many_is_more_than_the_head_has(folder: Path) -> None:
    change(folder, "task", "labels", value=["a", "b", "c", "d"])
    refused(folder, r"head.classifier.weight must be \(4, 32\), got \(3, 32\)")


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", "[" * 100_000, '{"model_type": "bert"}', "\xff"])
def test_no_description_of_ours(folder: Path, text: str) -> None:
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    refused(folder, "must be a folder that `unipelt-search export` wrote; its config.json says something else")


def test_a_huge_description_is_not_read(folder: Path) -> None:
    with (folder / "config.json").open("r+b") as file:
        file.truncate(5 * 2**30)
    refused(folder, "at most 4,194,304 bytes")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_files_must_be_there_and_in_the_folder(folder: Path, name: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere)
    refused(folder, f"it has no {name}")
    (folder / name).symlink_to(elsewhere)
    refused(folder, "is a link")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, f"it has no {name}")


def test_no_folder_at_all(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "A model must be a folder")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "A model must be a folder")


def test_pickles_are_not_looked_at(folder: Path) -> None:
    weights = folder / "model.safetensors"
    torch.save({"x": torch.ones(3)}, folder / "pytorch_model.bin")
    weights.unlink()
    refused(folder, "it has no model.safetensors")
    shutil.copy(folder / "pytorch_model.bin", weights)
    refused(folder, "is damaged")


def test_a_truncated_or_flipped_file(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for content in (b"", whole[:100], whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        weights.write_bytes(content)
        refused(folder, "is damaged or belongs to another model")
    padded = whole[:8] + b"[" * (len(whole) - 8)  # a header that is no JSON, and a hash that fits
    weights.write_bytes(padded)
    rehash(folder)
    refused(folder, "is damaged or belongs to another model")


def test_a_sparse_giant_is_not_read(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(2**40)
    refused(folder, "1,099,511,627,776 bytes where its config.json needs about")


def test_tensors_of_another_shape_type_or_name(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"lora.0.query.down": tensors["lora.0.query.down"].T.contiguous()}))
    refused(folder, r"lora.0.query.down must be \(8, 32\), got \(32, 8\)")
    rewrite(folder, lambda t: t.update({"lora.0.query.down": t["lora.0.query.down"].T.contiguous().view(torch.int32)}))
    refused(folder, "must hold torch.float32 numbers; lora.0.query.down has torch.int32")


def test_a_tensor_more_or_less(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"../../x": torch.ones(1)}))
    refused(folder, "it has '../../x', which does not belong there")
    rewrite(folder, lambda tensors: [tensors.pop("../../x"), tensors.pop("gate.0.prefix.bias")])
    refused(folder, "bytes where its config.json needs about|gate.0.prefix.bias must be")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite(folder: Path, value: float) -> None:
    rewrite(folder, lambda tensors: tensors["head.classifier.bias"].fill_(value))
    refused(folder, "must hold finite numbers only; head.classifier.bias has others")


def test_check_tensors_names_the_first_fault() -> None:
    with pytest.raises(SavedModelError, match=r"X must hold the tensors .*; a must be \(2,\), got nothing"):
        check_tensors({}, {"a": torch.ones(2)}, "X")

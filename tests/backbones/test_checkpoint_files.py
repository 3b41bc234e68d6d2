from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import tiny
from model_folders import BIN, WEIGHTS, pickled, save_whole, shard
from unipelt_search.backbones import checkpoint_files
from unipelt_search.backbones.backbone import Backbone, backbone_hash
from unipelt_search.backbones.checkpoint_files import find_file, find_weights, precision_of
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import BackboneError
from unipelt_search.specs.study import BackboneSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_whole(tmp_path)


def loaded(folder: Path) -> Backbone:
    return load_backbone(BackboneSpec(model=str(folder)), 2, "cpu")


@pytest.mark.parametrize("form", ["one file", "shards of safetensors", "one .bin", "shards of .bin"])
def test_the_same_weights_come_out_of_every_form(folder: Path, form: str) -> None:
    known = backbone_hash(loaded(folder))
    tensors = load_file(folder / WEIGHTS)
    if form == "one .bin":
        pickled(lambda _: tensors)(folder)
    elif form != "one file":
        shard(folder, pickles=form.endswith("bin"))
    assert find_weights("m", str(folder)).pickled == form.endswith("bin")
    assert backbone_hash(loaded(folder)) == known


def test_safetensors_are_preferred(folder: Path) -> None:
    (folder / BIN).write_bytes(b"no pickle is opened where safetensors are")
    assert find_weights("m", str(folder)).files == (folder / WEIGHTS,)
    loaded(folder)


def test_a_bin_file_of_a_hub_is_fetched_only_where_there_are_no_safetensors(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(path: str, file: str, **options: bool) -> str | None:
        asked.append(file)
        return str(folder / file) if (folder / file).is_file() else None

    monkeypatch.setattr(checkpoint_files, "cached_file", fetch)
    assert find_weights("some/model", "some/model").files == (folder / WEIGHTS,)
    assert asked == [WEIGHTS]
    pickled(lambda _: {})(folder)
    assert find_weights("some/model", "some/model").files == (folder / BIN,)
    assert asked[1:] == [WEIGHTS, f"{WEIGHTS}.index.json", BIN]


def test_weights_of_quantised_pickles_are_refused(folder: Path) -> None:
    pickled(lambda _: {"a.weight": torch.zeros(2, dtype=torch.uint8)})(folder)
    with pytest.raises(BackboneError, match=r"'a.weight' of 'm' is stored as uint8"):
        find_weights("m", str(folder)).read()


def test_masks_in_whole_numbers_are_no_weights(folder: Path) -> None:
    """GPT-2 checkpoints of old have the causal mask in them."""
    pickled(lambda _: {"h.0.attn.bias": torch.ones(2, dtype=torch.uint8), "a.weight": torch.ones(2)})(folder)
    assert set(find_weights("m", str(folder)).read()) == {"h.0.attn.bias", "a.weight"}


def test_shards_of_two_kinds_are_refused(folder: Path) -> None:
    shard(folder)
    pickle = folder / "pytorch_model-1.bin"
    torch.save({}, pickle)
    index = folder / "model.safetensors.index.json"
    names = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": {**names, "x": pickle.name}}))
    with pytest.raises(BackboneError, match="must be of one kind"):
        find_weights("m", str(folder))


def test_the_precision_is_that_of_most_numbers() -> None:
    model = tiny.tiny_model("bert").to(torch.bfloat16)
    tensors = {**model.state_dict(), "scale": torch.ones(3), "ids": torch.ones(10**6, dtype=torch.long)}
    assert precision_of(tensors) == "bfloat16"
    assert precision_of({}) == "unknown"


def test_a_file_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(BackboneError, match="config.json of .* cannot be read: Permission denied"):
        loaded(folder)


def test_a_file_of_a_folder_is_found_only_if_it_is_one(folder: Path) -> None:
    assert find_file(str(folder), "config.json") == folder / "config.json"
    assert find_file(str(folder), "1_Pooling/config.json") is None
    assert find_file(str(folder.parent), folder.name) is None

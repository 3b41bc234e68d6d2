from __future__ import annotations

import os
import pickle
import random
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from unipelt_search.backbones.pickled_weights import read_pickled
from unipelt_search.errors import BackboneError

TENSORS = {"a.weight": torch.arange(12.0).view(4, 3), "b": torch.tensor([1, 2])}


class Hostile:
    """What touches a file when a pickle of it is opened."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.canary}",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_tensors_by_name_are_read(tmp_path: Path, zipped: bool, kind: type[dict[str, Any]]) -> None:
    state = kind({**TENSORS, "c": nn.Parameter(torch.ones(2))})
    torch.save(state, tmp_path / "w.bin", _use_new_zipfile_serialization=zipped)
    read = read_pickled(tmp_path / "w.bin")
    assert {name: tensor.tolist() for name, tensor in read.items()} == {k: v.tolist() for k, v in state.items()}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["value", "key", "alone", "deep"])
def test_a_hostile_file_runs_nothing(tmp_path: Path, zipped: bool, where: str) -> None:
    hostile = Hostile(tmp_path / "canary")
    state = {
        "value": {**TENSORS, "x": hostile},
        "key": {hostile: TENSORS["b"]},
        "alone": hostile,
        "deep": {"x": [{"y": hostile}]},
    }[where]
    torch.save(state, tmp_path / "w.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(BackboneError, match="w.bin of .* is refused, and nothing of it was run: it asks for .*system"):
        read_pickled(tmp_path / "w.bin")
    assert not (tmp_path / "canary").exists()


def test_a_plain_pickle_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(pickle.dumps(Hostile(tmp_path / "canary")))
    with pytest.raises(BackboneError, match="nothing of it was run"):
        read_pickled(tmp_path / "w.bin")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ([TENSORS["b"]], "one list"),
        ({"state_dict": TENSORS}, "a dict under 'state_dict'"),
        ({"a": 1}, "a int under 'a'"),
        ({1: TENSORS["b"]}, "a Tensor under '1'"),
        ({"a": torch.eye(2).to_sparse()}, "a Tensor under 'a'"),
        ({"a": partial(len)}, "functools.partial"),
        (nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
    ],
)
def test_any_other_object_is_refused(tmp_path: Path, state: object, found: str) -> None:
    torch.save(state, tmp_path / "w.bin")
    with pytest.raises(BackboneError, match="must have weights that are tensors by name and nothing else") as error:
        read_pickled(tmp_path / "w.bin")
    assert found in str(error.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, zipped: bool) -> None:
    torch.save(TENSORS, tmp_path / "w.bin", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "w.bin").read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(chance.choice([1, 3, 10])):
            if damaged:
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        (tmp_path / "w.bin").write_bytes(damaged)
        try:
            read_pickled(tmp_path / "w.bin")
        except BackboneError:
            refused += 1
    assert refused > 50

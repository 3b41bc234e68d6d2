"""Models that release 0.1.0 exported load anywhere and predict as they did."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from golden import make_golden
from golden.observed import MODELS, TRAINED, differences, predictions_of, read

CASES = [(path.parent.parent.name, path.parent.name) for path in sorted(MODELS.glob("*/*/config.json"))]
CASES = [case for case in CASES if case[1] != "backbone"]


def test_every_kind_of_label_has_a_model_of_every_method_that_was_asked_for() -> None:
    names = {"head", *(given["name"] for given in make_golden.GIVEN)}
    assert set(CASES) == {(kind, name) for kind in make_golden.KINDS for name in names}


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_an_exported_model_predicts_as_it_did(kind: str, name: str, tmp_path: Path) -> None:
    for part in (name, "backbone"):
        shutil.copytree(MODELS / kind / part, tmp_path / part)
    kept = read(MODELS / kind / "predictions.json")
    found = predictions_of(tmp_path / name, tmp_path / "backbone", kept["texts"])
    assert differences(kept["models"][name], found, TRAINED) == []

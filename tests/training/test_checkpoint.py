from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unipelt_search.training import checkpoint
from unipelt_search.training.checkpoint import load_run, save_run


def test_round_trip_and_replacement(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    save_run(folder, {"x": torch.arange(6.0).view(2, 3).T}, {"method": "lora"})
    save_run(folder, {"y": torch.ones(2)}, {"method": "adapter"})
    tensors, description = load_run(folder)
    assert list(tensors) == ["y"]
    assert description == {"method": "adapter"}
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    save_run(folder, {"x": torch.ones(1)}, {})

    def full(*args: object, **kwargs: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        save_run(folder, {"x": torch.zeros(1)}, {})
    assert load_run(folder)[0]["x"].tolist() == [1.0]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

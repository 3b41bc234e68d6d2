"""A run's weights on disk: safetensors and a JSON description, complete or absent."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

WEIGHTS, DESCRIPTION = "model.safetensors", "run.json"


def save_run(folder: Path, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write a run's weights; a folder of that name is replaced only when the new one is whole.

    Args:
        folder: Where to.
        tensors: The weights by name.
        description: What is needed to load them, as JSON.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, made / WEIGHTS)
        (made / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def load_run(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_run` wrote.

    Args:
        folder: Where from.

    Returns:
        The weights by name, and the description.
    """
    return load_file(folder / WEIGHTS), json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))

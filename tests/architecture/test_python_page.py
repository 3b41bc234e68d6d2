"""docs/python.md names every public name, and its examples run, as they would in a notebook."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from exported_study import save_toy

import unipelt_search

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", unipelt_search.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE)


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_the_examples_run_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_toy(tmp_path, rows=1100, hidden_size=64)
    rows = pd.read_csv(tmp_path / "rows.csv").rename(columns={"sentence": "review", "kind": "stars"})
    rows[["review", "stars"]].to_csv(tmp_path / "reviews.csv", index=False)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}

    async def notebook() -> None:  # cells of a notebook run on the main thread, inside of a running event loop
        for block in BLOCKS:
            exec(compile(block, "docs/python.md", "exec"), names)

    asyncio.run(notebook())
    assert len(BLOCKS) >= 5
    assert names["study"].record.state == "complete"
    assert names["predictions"][0].label in names["model"].labels
    assert set(names["opened"].columns) == {"adapter", "lora_query", "lora_value"}

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unipelt_search.errors import DataError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.data_frames import read_frames
from unipelt_search.tasks.load import load_task
from unipelt_search.tasks.rows import Rows, read_rows

SPEC = TaskSpec(data="mine", text=("text",), label="label")


def frame(count: int, start: str = "train") -> pd.DataFrame:
    return pd.DataFrame(
        {"text": [f"{start} {n}" for n in range(count)], "label": [f"c{n % 3}" for n in range(count)], "other": 1.5}
    )


def test_tables_and_files_are_the_same_task(tmp_path: Path) -> None:
    frames = {"train": frame(60), "dev": frame(30, "dev"), "test": frame(20, "test")}
    for name, table in frames.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    before = {name: table.copy() for name, table in frames.items()}
    told = load_task(SPEC, 3, frames)
    read = load_task(SPEC.model_copy(update={"data": str(tmp_path)}), 3)
    assert told.name == "mine"
    assert told.fingerprint == read.fingerprint
    assert told.train == read.train
    assert all(table.equals(before[name]) for name, table in frames.items())


def test_one_table_is_carved_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task = load_task(SPEC, 0, frame(100).sample(frac=1, random_state=0))
    assert [len(split) for split in (task.train, task.tune, task.select, task.test)] == [60, 10, 10, 20]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("labels", "read"),
    [
        (pd.Series([1, 0]), ("1", "0")),
        (pd.Series([1, 0], dtype="Int64"), ("1", "0")),
        (pd.Series([1.5, 0.25], dtype="float32"), ("1.5", "0.25")),
        (pd.Categorical(["b", "a"]), ("b", "a")),
        (pd.Series([True, False]), ("true", "false")),
        (np.array(["NA", "None"]), ("NA", "None")),
    ],
)
def test_cells_of_every_type_become_their_text(labels: object, read: tuple[str, ...]) -> None:
    table = pd.DataFrame({"text": ["x", "y"], "label": labels})
    raw = read_rows(read_frames(table, SPEC), SPEC)
    assert (raw.name, raw.splits) == ("mine", {"train": Rows((("x",), ("y",)), read)})


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (frame(3).rename(columns={"label": "lable"}), "--label must name a column of mine; got 'label'.* mean 'lable'"),
        ({"train": frame(3).assign(text=["x", None, "y"])}, "in split train of mine, column 'text' is empty at row 2"),
        ({"train": frame(3).assign(label=pd.Series([1, None, 2], dtype="Int64"))}, "'label' is empty at row 2"),
        ({"train": frame(0)}, "split train of mine must have rows"),
        ({"dev": frame(3)}, "must have a split `train` with labels; mine has: dev"),
        ({"train": [1, 2]}, "split train of mine must be a pandas DataFrame, .*; got a list with int in it"),
        (pd.concat([frame(2), frame(2)[["text"]]], axis=1), "'text' stands there 2 times"),
        (frame(2).assign(label=[[[1]], [2]]), "in mine, column 'label' has list of lists at row 1"),
    ],
)
def test_faults_of_tables_are_named(frames: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(read_frames(frames, SPEC), SPEC)

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from unipelt_search.errors import DataError
from unipelt_search.records.notice import facts, without_facts
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks import hub_data
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


ROWS = [{"text": "x", "label": "a", "id": 1}, {"text": "y", "label": "b", "id": 2}]
COLUMNS = {"text": ["x", "y"], "label": ["a", "b"], "id": [1, 2]}


class Polars:
    """Stands in for what gives its table as Arrow does."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.table(COLUMNS).__arrow_c_stream__(requested_schema)


def generated() -> Iterator[dict[str, object]]:
    yield from ROWS


ONE_TABLE = {
    "pandas": pd.DataFrame(COLUMNS),
    "rows": ROWS,
    "tuple of rows": tuple(ROWS),
    "columns": COLUMNS,
    "columns of arrays": {name: np.array(column) for name, column in COLUMNS.items()},
    "columns of series": {name: pd.Series(column) for name, column in COLUMNS.items()},
    "arrow": pa.table(COLUMNS),
    "batch": pa.RecordBatch.from_pydict(COLUMNS),
    "polars": Polars(),
    "dataset": datasets.Dataset.from_dict(COLUMNS),
    "chosen rows of a dataset": datasets.Dataset.from_dict(
        {"text": ["y", "z", "x"], "label": ["b", "c", "a"], "id": [2, 3, 1]}
    ).select([2, 0]),
    "formatted dataset": datasets.Dataset.from_dict(COLUMNS).with_format("numpy"),
    "streamed dataset": datasets.IterableDataset.from_generator(generated),
}


@pytest.mark.parametrize("form", ONE_TABLE)
def test_every_table_in_memory_is_read(form: str) -> None:
    tables = read_frames(ONE_TABLE[form], SPEC)
    assert tables.splits["train"].cells == {"text": ["x", "y"], "label": ["a", "b"]}
    assert [str(location) for location in tables.splits["train"].locations] == ["row 1 of mine", "row 2 of mine"]
    of_splits = read_frames({"train": ONE_TABLE[form], "dev": ONE_TABLE["rows"], "other": 5}, SPEC)
    assert set(of_splits.splits) == {"train", "validation"}
    assert [notice.code for notice in without_facts(of_splits.notices)] == ["split_name_unknown"]
    (count, *_) = facts(of_splits.notices)
    assert (count.values["source"], count.values["rows"]) == ("split train of mine", 2)


@pytest.mark.parametrize("kind", [datasets.DatasetDict, datasets.IterableDatasetDict])
def test_datasets_by_split_are_read(kind: type[dict[str, object]]) -> None:
    one = datasets.Dataset.from_dict(COLUMNS)
    of_kind = one if kind is datasets.DatasetDict else one.to_iterable_dataset()
    tables = read_frames(kind(train=of_kind, test=of_kind), SPEC)
    assert {split: len(table) for split, table in tables.splits.items()} == {"train": 2, "test": 2}


@pytest.mark.parametrize("streamed", [False, True])
def test_classes_of_a_dataset_have_their_names(streamed: bool) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    made = datasets.Dataset.from_dict({"text": ["x", "y"], "label": [1, 0]}, features=features)
    tables = read_frames(made.to_iterable_dataset() if streamed else made, SPEC)
    assert tables.splits["train"].cells["label"] == ["yes", "no"]


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.str_("x"), "x"),
        (np.bool_(True), True),
        (np.array([1, 0]), [1, 0]),
        (np.array([[1], [0]]), [[1], [0]]),
        (("a", "b"), ["a", "b"]),
        ([np.int64(1), None], [1, None]),
        (pd.NA, None),
        (pd.NaT, None),
        (np.datetime64("NaT"), None),
        (pd.Timestamp("2026-01-31"), "2026-01-31 00:00:00"),
        (np.datetime64("2026-01-31T09:30", "ns"), "2026-01-31 09:30:00"),
        (float("nan"), None),
        (np.float64("nan"), None),
        (Decimal("0.5"), Decimal("0.5")),
    ],
)
def test_cells_in_memory_become_what_python_has(cell: object, read: object) -> None:
    for frame in (
        pd.DataFrame({"text": ["x"], "label": pd.Series([cell], dtype=object)}),
        [{"text": "x", "label": cell}],
        {"text": ["x"], "label": [cell]},
    ):
        (found,) = read_frames(frame, SPEC).splits["train"].cells["label"]
        assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"text": ["x"], "meta": [{"label": 1}]}),
        [{"text": "x", "meta": {"label": 1}}],
        {"text": ["x"], "meta": [{"label": 1}]},
        pa.table({"text": ["x"], "meta": [{"label": 1}]}),
        datasets.Dataset.from_dict({"text": ["x"], "meta": [{"label": 1}]}),
    ],
    ids=["pandas", "rows", "columns", "arrow", "dataset"],
)
def test_columns_inside_of_objects_are_read(frame: object) -> None:
    table = read_frames(frame, SPEC.model_copy(update={"label": ("meta.label",)})).splits["train"]
    assert table.cells == {"text": ["x"], "meta.label": [1]}
    assert table.names == ("text", "meta", "meta.label")


def test_a_dataset_without_a_length_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_end() -> Iterator[dict[str, object]]:
        while True:
            yield ROWS[0]

    monkeypatch.setattr(hub_data, "MAX_STREAMED", 100)
    with pytest.raises(DataError, match="may have 100 rows; mine has more"):
        read_frames(datasets.IterableDataset.from_generator(without_end), SPEC)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([[1, 2]], "mine must be a pandas DataFrame, .*; got a list with list in it"),
        ([pd.DataFrame(COLUMNS)], "got a list with DataFrame in it"),
        ("train.csv", "got str. A file is named by task.data"),
        ({"text": ["x"], "label": ["a", "b"]}, "as many cells; 'text' has 1, 'label' has 2"),
        ({"text": "x", "label": "a"}, "must be a list of cells; 'text' is str"),
        (5, "got int"),
        (pd.Series(["x"]), "got Series"),
        ([], "mine must have rows"),
        ({"dev": ROWS}, "must have a split `train` with labels; mine has: dev"),
        ({"txt": ["x"], "lable": ["a"]}, "--text must name a column of mine; got 'text', found: txt, lable"),
        ({"first": ROWS}, "must have a split `train` with labels; mine has: first"),
        ([{"txt": "x", "label": 1}], "--text must name a column of mine; got 'text', found: txt, label"),
        (pa.table({"text": ["x"], "lable": [1]}), "--label must name a column of mine.*Did you mean 'lable'"),
    ],
)
def test_what_is_no_table_is_named(frames: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_rows(read_frames(frames, SPEC), SPEC)

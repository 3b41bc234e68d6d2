from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from huggingface_hub import HfApi
from raw_rows import read_data, rows_of

from unipelt_search.errors import DataError
from unipelt_search.records.notice import Notice, without_facts
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks import hub_data
from unipelt_search.tasks.build import build_task
from unipelt_search.tasks.hub_data import dataset_table
from unipelt_search.tasks.read import read_tables
from unipelt_search.tasks.rows import Rows
from unipelt_search.tasks.table import Tables

SPEC = TaskSpec(data="x", text=("text",), label="label")
FEATURES = datasets.Features(
    {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"]), "n": datasets.Value("int8")}
)


def table(*labels: int | None) -> datasets.Dataset:
    columns = {"text": [f"text {n}" for n in range(len(labels))], "label": list(labels), "n": [0] * len(labels)}
    return datasets.Dataset.from_dict(columns, features=FEATURES)


def read_rows_of(path: Path) -> Rows:
    return read_data(SPEC.model_copy(update={"data": str(path)})).splits["train"]


def test_numbers_and_words_of_a_parquet_file_become_text(tmp_path: Path) -> None:
    pd.DataFrame({"label": [1, 0], "text": ["NA", "007"], "other": [None, 1.5]}).to_parquet(tmp_path / "t.parquet")
    assert read_rows_of(tmp_path / "t.parquet") == Rows((("NA",), ("007",)), ("1", "0"))


def test_class_labels_of_a_parquet_file_become_names(tmp_path: Path) -> None:
    table(1, 0).to_parquet(tmp_path / "t.parquet")
    assert read_rows_of(tmp_path / "t.parquet").labels == ("good", "bad")


def test_lists_of_class_labels_become_sets_of_names(tmp_path: Path) -> None:
    names = datasets.List(datasets.ClassLabel(names=["joy", "calm", "fear"]))
    features = datasets.Features({"text": datasets.Value("string"), "label": names})
    table = datasets.Dataset.from_dict({"text": ["x", "y", "z"], "label": [[2, 0], [], [1]]}, features=features)
    table.to_parquet(tmp_path / "t.parquet")
    assert read_rows_of(tmp_path / "t.parquet").labels == ("fear|joy", "", "calm")


@pytest.mark.parametrize("inner", [datasets.List, datasets.LargeList])
def test_vectors_of_class_labels_become_sets_of_names(tmp_path: Path, inner: Any) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": inner(datasets.ClassLabel(names=["joy", "calm", "fear"]))}
    )
    table = datasets.Dataset.from_dict({"text": ["x", "y", "z"], "label": [[1, 0, 1], [0, 0, 0], [0, 1, 1]]}, features)
    table.to_parquet(tmp_path / "t.parquet")
    assert read_rows_of(tmp_path / "t.parquet").labels == ("fear|joy", "", "calm|fear")


def test_categories_of_a_parquet_file_are_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["x", "y"], "label": pd.Categorical(["b", "a"])})
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_rows_of(tmp_path / "t.parquet").labels == ("b", "a")


def test_faults_of_a_parquet_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_text("text,label\nx,0\n")
    with pytest.raises(DataError, match="t.parquet must be a Parquet file; it cannot be read"):
        read_rows_of(path)
    pd.DataFrame({"text": ["x", None], "label": [1, 0]}).to_parquet(path)
    with pytest.raises(DataError, match="column 'text' is empty at row 2"):
        read_rows_of(path)
    table(0, None, -1).to_parquet(path)
    with pytest.raises(DataError, match="column 'label' is empty at row 2, row 3"):
        read_rows_of(path)
    pd.DataFrame({"text": ["x"], "lable": [1]}).to_parquet(path)
    with pytest.raises(DataError, match=r"--label must name a column of t.parquet.*Did you mean 'lable'\?"):
        read_rows_of(path)
    pd.DataFrame({"text": [], "label": []}).to_parquet(path)
    with pytest.raises(DataError, match="t.parquet must have rows"):
        read_rows_of(path)


def hub_tables(name: str) -> Tables:
    return read_tables(SPEC.model_copy(update={"data": name}))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str | None], Any]:
    """Stand in for the hub: what it has, by name and configuration."""
    known: dict[tuple[str, str | None], Any] = {}

    def load(name: str, configuration: str | None) -> Any:
        if isinstance(answer := known[name, configuration], Exception):
            raise answer
        return answer

    monkeypatch.setattr(hub_data.datasets, "load_dataset", load)
    return known


def test_a_hub_dataset_is_read_with_its_label_names(hub: dict[tuple[str, str | None], Any]) -> None:
    hub["owner/name", "small"] = datasets.DatasetDict(train=table(1, 0), test=table(-1, -1))
    tables = hub_tables("owner/name:small").splits
    assert tables["train"].cells == {"text": ["text 0", "text 1"], "label": ["good", "bad"]}
    assert tables["test"].cells["label"] == [-1, -1]


def test_rows_of_the_hub_without_a_text_are_left_out(hub: dict[tuple[str, str | None], Any]) -> None:
    complete = table(1, 0, 1, 0)
    texts = ["text 0", " ", "text 2", None]
    hub["o/n", None] = datasets.DatasetDict(train=complete.remove_columns("text").add_column("text", texts))
    read = hub_tables("o/n")
    assert read.splits["train"].cells == {"text": ["text 0", "text 2"], "label": ["good", "good"]}
    assert [str(location) for location in read.splits["train"].locations] == [
        f"row {n} of split train of o/n" for n in (1, 3)
    ]
    values = {"data": "o/n", "split": "train", "rows": ("2", "4"), "rows_count": 2}
    assert without_facts(read.notices) == (Notice(code="empty_texts", values=values),)


def test_a_parquet_file_keeps_what_stands_for_withheld_labels(tmp_path: Path) -> None:
    for split, labels in (("train", [1, 0]), ("test", [-1, -1])):
        table(*labels).to_parquet(tmp_path / f"{split}.parquet")
    alone = read_tables(SPEC.model_copy(update={"data": str(tmp_path / "test.parquet")})).splits["train"]
    assert alone.cells["label"] == [-1, -1]
    raw = read_data(SPEC.model_copy(update={"data": str(tmp_path)}))
    assert {name: rows.labels for name, rows in raw.splits.items()} == {"train": ("good", "bad")}


def test_faults_of_a_hub_dataset_are_named(hub: dict[tuple[str, str | None], Any]) -> None:
    hub["o/n", None] = ValueError("Config name is missing.\nPick one of: ['a', 'b']")
    with pytest.raises(DataError, match=r"Pick one of: \['a', 'b'\].*written o/n:CONFIGURATION"):
        hub_tables("o/n")
    hub["o/n", None] = RuntimeError("Dataset scripts are no longer supported, but found n.py")
    with pytest.raises(DataError, match="'o/n' cannot: Dataset scripts are no longer supported"):
        hub_tables("o/n")
    hub["o/n", None] = datasets.DatasetDict(train=table(1, 0).rename_column("label", "lable"))
    with pytest.raises(DataError, match="--label must name a column of split train of o/n"):
        rows_of(hub_tables("o/n").splits["train"], SPEC)


def test_the_hub_without_a_connection_is_one_sentence() -> None:
    with pytest.raises(
        DataError, match="no file or folder 'owner/nothing' is here, and the hub is switched off by HF_HUB"
    ):
        hub_tables("owner/nothing")


def test_an_unreachable_hub_is_asked_once(monkeypatch: pytest.MonkeyPatch, hub: dict[Any, Any]) -> None:
    asked: list[str] = []

    def no_connection(_: HfApi, name: str, *, timeout: float) -> None:
        asked.append(name)
        raise ConnectionError

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(HfApi, "dataset_info", no_connection)
    with pytest.raises(DataError, match="the hub cannot be reached"):
        hub_tables("owner/nothing:x")
    assert asked == ["owner/nothing"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give `datasets` an empty cache of its own."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
    return folder


def hub_folder(folder: Path, *, data: str = "data") -> Path:
    (folder / data).mkdir(parents=True)
    for split, labels in (("train", [1, 0, 1, 0]), ("validation", [0, 1]), ("test", [-1, -1])):
        table(*labels).to_parquet(folder / data / f"{split}-00000-of-00001.parquet")
    return folder


READ = ("good", "bad", "good", "bad"), ("bad", "good")


@pytest.mark.parametrize("data", ["data", "."])
def test_a_folder_as_the_hub_keeps_it_is_read(tmp_path: Path, cache: Path, data: str) -> None:
    folder = hub_folder(tmp_path / "copied", data=data)
    raw = read_data(SPEC.model_copy(update={"data": str(folder)}))
    assert (raw.name, {name: rows.labels for name, rows in raw.splits.items()}) == (
        "copied", dict(zip(("train", "validation"), READ, strict=True))
    )  # fmt: skip
    assert raw.notices == (
        Notice(code="labels_withheld", values={"data": "copied", "source": "test-00000-of-00001.parquet"}),
    )
    (folder / data / "train-00000-of-00001.parquet").write_bytes(b"PAR1 is broken PAR1")
    with pytest.raises(DataError, match="must be a Parquet file; it cannot be read"):
        read_data(SPEC.model_copy(update={"data": str(folder)}))


def test_a_dataset_in_the_cache_is_read_offline_with_its_configuration(tmp_path: Path, cache: Path) -> None:
    datasets.load_dataset(str(hub_folder(tmp_path / "copied")))
    # What a download from the hub leaves behind: owner___name/configuration/version/hash.
    version = next((cache / "copied" / "default").iterdir())
    kept = cache / "nyu-mll___glue" / "cola"
    kept.mkdir(parents=True)
    version.rename(kept / version.name)
    for file in kept.rglob("*"):
        if file.name == "dataset_info.json":
            info = json.loads(file.read_text())
            file.write_text(json.dumps(info | {"config_name": "cola", "dataset_name": "glue"}))
        elif file.suffix == ".arrow":
            file.rename(file.with_name(file.name.replace("copied", "glue")))
    spec = SPEC.model_copy(update={"data": "nyu-mll/glue:cola"})
    raw = read_data(spec)
    assert tuple(rows.labels for rows in raw.splits.values()) == READ
    assert build_task(raw, spec, 0).metric == "matthews"
    with pytest.raises(DataError, match="'nyu-mll/glue:mrpc' cannot: .*A configuration is written nyu-mll/glue:CONF"):
        read_data(spec.model_copy(update={"data": "nyu-mll/glue:mrpc"}))


def test_what_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    both = datasets.DatasetDict(train=table(1, 0, 1), validation=table(0, 1))
    both.save_to_disk(str(tmp_path / "both"))
    table(1, 0).save_to_disk(str(tmp_path / "one"))
    raw = read_data(SPEC.model_copy(update={"data": str(tmp_path / "both")}))
    assert {split: rows.labels for split, rows in raw.splits.items()} == {
        "train": ("good", "bad", "good"),
        "validation": ("bad", "good"),
    }
    raw = read_data(SPEC.model_copy(update={"data": str(tmp_path / "one")}))
    assert (raw.name, raw.splits["train"].labels) == ("one", ("good", "bad"))
    assert str(raw.splits["train"].locations[0]) == "row 1 of one"
    next((tmp_path / "one").glob("*.arrow")).write_bytes(b"broken")
    with pytest.raises(DataError, match="one must hold what save_to_disk wrote; it cannot be read"):
        read_data(SPEC.model_copy(update={"data": str(tmp_path / "one")}))


def test_columns_that_nobody_wants_need_not_be_readable(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["x", "y"], "label": ["a", "b"], "picture": ["no such file.png", "none.png"]})
    made = datasets.Dataset.from_pandas(frame).cast_column("picture", datasets.Value("string"))
    made = made.add_column("pairs", [[{"k": 1}], []])
    assert set(dataset_table(made, "mine", SPEC.columns).cells) == {"text", "label"}
    lacking = dataset_table(made, "mine", ("gone",))
    assert (lacking.names, lacking.cells, len(lacking)) == (("text", "label", "picture", "pairs"), {}, 2)


CARD = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': bad
          '1': good
---
"""


def test_names_that_only_the_card_of_a_copy_says_are_used(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["x", "y"], "label": [1, 0]})
    (tmp_path / "data").mkdir()
    frame.to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    spec = SPEC.model_copy(update={"data": str(tmp_path)})
    assert read_tables(spec).splits["train"].cells["label"] == [1, 0]
    (tmp_path / "README.md").write_text(CARD)
    assert read_tables(spec).splits["train"].cells == {"text": ["x", "y"], "label": ["good", "bad"]}
    (tmp_path / "README.md").write_text(CARD.replace("names:", "names: ["))
    assert read_tables(spec).splits["train"].cells["label"] == [1, 0]

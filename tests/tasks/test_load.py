from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from unipelt_search.errors import DataError
from unipelt_search.records.finding import FindingsError
from unipelt_search.specs.study import TaskSpec
from unipelt_search.tasks.load import load_task

DATA = Path(os.environ.get("UNIPELT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
CASES = Path(os.environ.get("UNIPELT_TEST_CASES", Path(__file__).parents[3] / "shared" / "cases" / "data"))
ONE, TWO = ("sentence",), ("sentence1", "sentence2")
DATASETS = {
    "banking77": (ONE, 77, "classification", "accuracy"),
    "cola": (ONE, 2, "classification", "matthews"),
    "germeval18": (ONE, 2, "classification", "accuracy"),
    "goemotions": (ONE, 28, "multi_label", "micro_f1"),
    "mnli": (TWO, 3, "pair_classification", "accuracy"),
    "mrpc": (TWO, 2, "pair_classification", "f1"),
    "qnli": (TWO, 2, "pair_classification", "accuracy"),
    "qqp": (TWO, 2, "pair_classification", "f1"),
    "rte": (TWO, 2, "pair_classification", "accuracy"),
    "sst2": (ONE, 2, "classification", "accuracy"),
    "stsb": (TWO, 0, "pair_regression", "spearman"),
    "trec": (ONE, 6, "classification", "accuracy"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, count in (("train", 60), ("test", 20)):
        lines = [f"{name} {number},{number % 3}" for number in range(count)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines]))
    return tmp_path


def test_the_same_words_and_seed_give_the_same_task(folder: Path) -> None:
    spec = TaskSpec(data=str(folder), text=("text",), label="label", train_size=12)
    task = load_task(spec, 3)
    assert task == load_task(spec, 3)
    assert task.summary().rows == {"train": 12, "validation": 12, "test": 20, "tune": 6, "select": 6}
    others = {load_task(spec, seed).fingerprint for seed in range(5)}
    assert len(others) == 5


def test_a_column_that_has_two_jobs_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="--text and --label must name different columns; got 'text' twice"):
        load_task(TaskSpec(data=str(folder), text=("text",), label="text"), 0)


@pytest.mark.parametrize("name", DATASETS)
def test_real_data_loads(name: str) -> None:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not below UNIPELT_TEST_DATA")
    text, classes, kind, metric = DATASETS[name]
    for size in (None, 100):
        task = load_task(TaskSpec(data=str(folder), text=text, label="label", train_size=size), 0)
        assert (len(task.labels), task.kind, task.metric) == (classes, kind, metric)
        lines = (folder / "test.csv").read_bytes().count(b"\n") - 1  # no cell of theirs has a line break
        assert len(task.test) == lines
        assert not {"possible_typos", "labels_without_rows"} & {notice.code for notice in task.notices}
    assert len(task.train) == 100
    positive = {"mrpc": "equivalent", "qqp": "duplicate"}.get(name)
    found = [notice.values["label"] for notice in task.notices if notice.code == "positive_label"]
    assert found == ([] if positive is None else [positive])


def test_hundreds_of_classes_are_a_task_and_fewer_rows_than_classes_lose_some() -> None:
    count, each = 1500, 6
    frame = pd.DataFrame(
        {
            "text": [f"text {n}" for n in range(count * each)],
            "label": [f"class {n % count}" for n in range(count * each)],
        }
    )
    spec = TaskSpec(data="many", text=("text",), label="label")
    task = load_task(spec, 0, frame)
    assert len(task.labels) == len(set(task.train.labels)) == count
    fewer = load_task(spec.model_copy(update={"train_size": 150}), 0, frame)
    assert len(set(fewer.train.labels)) == 150
    (lost,) = [notice.values for notice in fewer.notices if notice.code == "labels_without_rows"]
    assert (lost["labels_count"], lost["of"], lost["rows"]) == (1350, 1500, 150)


def test_loading_pulls_in_no_torch() -> None:
    code = (
        "import sys, unipelt_search.tasks.load, unipelt_search.tasks.encode, unipelt_search.tasks.demo_corpus as demo;"
        "found = [len(list(demo._package_sentences(name))) for name in ('torch', 'optuna')];"
        "heavy = {'torch', 'transformers', 'ray', 'sqlalchemy', 'optuna', 'fastapi'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or not min(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_study_that_goes_on_is_refused_where_its_file_is_read_otherwise_now(tmp_path: Path) -> None:
    path = tmp_path / "reviews.tsv"
    marks = {7: '"text 7', 9: 'text 9"', 20: '"text 20', 22: 'text 22"'}
    lines = [f"{marks.get(number, f'text {number}')}\t{number % 2}" for number in range(60)]
    path.write_text("\n".join(["text\tlabel", *lines]))
    spec = TaskSpec(data=str(path), text=("text",), label="label")
    assert sum(load_task(spec, 0).summary().rows[split] for split in ("train", "validation", "test")) == 60
    for edition in (1, 2):
        with pytest.raises(DataError, match="since edition 3 reviews.tsv is read otherwise: its quotes are characters"):
            load_task(spec, 0, edition=edition)
    path.write_text("\n".join(["text\tlabel", *(line.replace('"', "") for line in lines)]))
    assert load_task(spec, 0, edition=2).fingerprint


def test_data_in_files_needs_no_library_of_tables_in_memory(folder: Path) -> None:
    code = (
        "import sys\n"
        "from unipelt_search.specs.study import TaskSpec\n"
        "from unipelt_search.tasks.read import read_tables\n"
        f"read_tables(TaskSpec(data={str(folder)!r}, text=('text',), label='label'))\n"
        "print(sorted({'pandas', 'pyarrow', 'datasets', 'torch'} & set(sys.modules)))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_weights_of_a_file_are_read_with_their_rows() -> None:
    path = CASES / "20_weights.csv"
    if not path.is_file():
        pytest.skip("20_weights.csv is not below UNIPELT_TEST_CASES")
    frame = pd.read_csv(path)
    weights = dict(zip(frame["text"], frame["weight"], strict=True))
    task = load_task(TaskSpec(data=str(path), text=("text",), label="label", weight="weight"), 0, repeats=1)
    for split in (task.train, task.tune, task.select, task.test):
        assert split.weights == tuple(weights[text] for (text,) in split.texts)


GOOD = "".join(f"row {number},{'ab'[number % 2]},{1 + number % 3}\n" for number in range(60))
ODD_ROWS: dict[str, tuple[str, str, str, int]] = {
    "no text": (",a,1", "empty_text", "text", 62),
    "a blank text": ('"  \t ",a,1', "empty_text", "text", 62),
    "no label": ("new,,1", "missing_label", "label", 62),
    "a blank label": ("new,  ,1", "missing_label", "label", 62),
    "NUL": ("new,a\x00,1", "bad_unicode", "label", 62),
    "no weight": ("new,a,", "bad_weight", "w", 62),
    "a weight of zero": ("new,a,0", "bad_weight", "w", 62),
    "a negative weight": ("new,a,-0.5", "bad_weight", "w", 62),
    "a weight that is not finite": ("new,a,inf", "bad_weight", "w", 62),
    "a weight that is a word": ("new,a,much", "bad_weight", "w", 62),
    "after a text of two lines": ('"two\nlines",b,1\nnew,,1', "missing_label", "label", 64),
}


@pytest.mark.parametrize("name", ODD_ROWS)
def test_a_row_that_cannot_be_used_is_named_or_dropped(name: str, tmp_path: Path) -> None:
    line, code, column, number = ODD_ROWS[name]
    path = tmp_path / "mine.csv"
    path.write_bytes(f"text,label,w\n{GOOD}{line}\n".encode())
    spec = TaskSpec(data=str(path), text=("text",), label="label", weight="w", allow_overlap=True)
    with pytest.raises(FindingsError) as caught:
        load_task(spec, 0)
    (found,) = [one for one in caught.value.findings if one.severity == "error"]
    assert (found.code, found.column, found.source, found.numbers) == (code, column, "mine.csv", (number,))
    before = path.read_bytes()
    task = load_task(spec.model_copy(update={"drop_bad_rows": True}), 0)
    (notice,) = [notice for notice in task.notices if notice.code == "rows_dropped"]
    assert (notice.values["split"], notice.values["count"], notice.values["reasons"]) == ("train", 1, (code,))
    assert path.read_bytes() == before


def test_faults_of_all_files_are_said_together(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(f"text,label,w\n{GOOD},a,1\nx,B,1\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("text,label\none,a\ntwo,A\nthree,other\n,b\n", encoding="utf-8")
    spec = TaskSpec(data=str(tmp_path), text=("text",), label="label", weight="w")
    with pytest.raises(FindingsError) as caught:
        load_task(spec, 0)
    errors = [(one.source, one.code, one.numbers) for one in caught.value.findings if one.severity == "error"]
    assert errors == [
        ("train.csv", "empty_text", (62,)), ("test.csv", "unknown_label", (3,)), ("test.csv", "unknown_label", (4,)),
        ("test.csv", "empty_text", (5,)),
    ]  # fmt: skip
    assert ("train.csv", (63,)) in {(one.source, one.numbers) for one in caught.value.findings}
    (tmp_path / "test.csv").write_text("text,label\none,a\ntwo,A\n,b\n", encoding="utf-8")
    task = load_task(spec.model_copy(update={"drop_bad_rows": True, "merge_labels": True}), 0)
    assert task.labels == ("a", "b")
    assert [notice.values["split"] for notice in task.notices if notice.code == "rows_dropped"] == ["train", "test"]
    (merged,) = [notice for notice in task.notices if notice.code == "labels_merged"]
    assert dict(zip(merged.values["labels"], merged.values["read_as"], strict=True)) == {"A": "a", "B": "b"}  # type: ignore[arg-type]
